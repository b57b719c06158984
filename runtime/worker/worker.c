/* The worker's story.
 *
 * We are a clone of the prototype: already confined, the application already loaded. What is left to do is to
 * become one of many instead of a copy: only our own descriptors, our own session, our own slot, our own
 * Landlock domain, and the filter that separates workers from the prototype. Then the module starts the
 * application, and nothing of clade's runs here any more.
 *
 * Until then a failure is told to the prototype with its step, and is our exit status.
 */
#include "runtime/worker/worker.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "base/channel.h"
#include "base/own.h"
#include "base/signals.h"
#include "isolation/apply.h"
#include "runtime/protocol/descriptors.h"
#include "runtime/protocol/steps.h"
#include "runtime/worker/scoreboard.h"

#define LISTENERS_MAX 256

/* Where the descriptors went, behind the listeners. */
struct own {
        int handshake, scoreboard, kick, ruleset;
        int kept[CLADE_KEPT_MAX];
        size_t kept_count;
};

static _Noreturn void worker_die(int handshake, unsigned step, const struct error *error)
{
        struct worker_word word = {.step = step, .error = *error};

        channel_send(handshake, &word, sizeof(word));
        _exit((int)step);
}

/* Everything that is not on the list is closed: the prototype's pipes, the other slots', whatever the
 * application opened while it was loaded. */
static int take_descriptors(const struct worker_start *start, struct own *ret_own,
                            struct error *error)
{
        const struct clade_application *application = start->application;
        size_t kept = application->kept_count;
        int count = (int)application->listener_count;
        int list[WORKER_FD_LISTENERS + LISTENERS_MAX + 4 + CLADE_KEPT_MAX];
        int n = 0, r;

        /* What was checked after setup the application could reach since. */
        if (count > LISTENERS_MAX || kept > CLADE_KEPT_MAX)
                return error_say(error, EMFILE, "%d listeners, and %zu descriptors of the module's",
                                 count, kept);
        list[n++] = 0;
        list[n++] = start->out;
        list[n++] = start->err;
        for (int i = 0; i < count; i++)
                list[n++] = start->listeners[i];
        *ret_own = (struct own){
                .handshake = n,
                .scoreboard = n + 1,
                .kick = n + 2,
                .ruleset = start->ruleset < 0 ? -1 : n + 3,
                .kept_count = kept,
        };
        list[n++] = start->handshake;
        list[n++] = start->scoreboard;
        list[n++] = start->kick;
        list[n++] = start->ruleset;
        for (size_t i = 0; i < kept; i++) {
                ret_own->kept[i] = application->kept[i] < 0 ? -1 : n;
                list[n++] = application->kept[i];
        }
        r = fd_arrange_some(list, (size_t)n, 0, (size_t)(WORKER_FD_LISTENERS + count));
        if (r < 0)
                return error_set(error, -r, "moving descriptors to their numbers");
        return 0;
}

/* Signals by default, a session of our own, and no life without the prototype. */
static int take_process(const struct worker_start *start, struct error *error)
{
        signals_reset_some(start->signals);
        if (setsid() < 0)
                return error_set(error, errno, "setsid");
        if (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) < 0)
                return error_set(error, errno, "prctl(PR_SET_PDEATHSIG)");
        if (getppid() != start->prototype)
                return error_say(error, ESRCH, "the prototype is gone");
        return 0;
}

/* What ps shows. The words for a prototype are longer than those for a worker, so there is room. */
static void take_title(const struct worker_start *start)
{
        size_t room = strlen(start->title), length = strlen(start->title_new);

        if (length > room)
                length = room;
        memcpy(start->title, start->title_new, length);
        memset(start->title + length, 0, room - length);
}

/* Our page of the scoreboard and no other's; the descriptor goes, the mapping stays. */
static int take_slot(const struct worker_start *start, struct own *own, struct error *error)
{
        const struct scoreboard_owner owner = {
                .slot = start->slot,
                .serial = start->serial,
                .capacity = start->application->capacity,
                .tells_load = start->tells_load,
        };
        int r = scoreboard_take(own->scoreboard, own->kick, &owner, error);

        fd_close(TAKE_FD(own->scoreboard));
        return r;
}

static unsigned worker_steps(const struct worker_start *start, struct clade_worker *worker,
                             struct own *own, struct error *error)
{
        enum isolation_step_id step;

        if (take_process(start, error) < 0 || take_slot(start, own, error) < 0)
                return STEP_WORKER;
        if (isolation_confine_worker(start->difference, own->ruleset, start->ruleset_flags, &step,
                                     error) < 0)
                return step;
        if (own->ruleset >= 0)
                fd_close(TAKE_FD(own->ruleset));
        if (start->notify && setenv("NOTIFY_SOCKET", start->notify, 1) < 0) {
                error_set(error, errno, "setenv of NOTIFY_SOCKET");
                return STEP_WORKER;
        }
        if (start->module->after_clone && start->module->after_clone(worker) < 0) {
                *error = start->failure->error;
                return STEP_AFTER_CLONE;
        }
        return 0;
}

_Noreturn void worker_run(const struct worker_start *start)
{
        int listeners[LISTENERS_MAX];
        struct error error = ERROR_INIT;
        struct worker_word word = {.step = 0};
        struct clade_worker worker = {
                .application = start->application,
                .failure = start->failure,
                .slot = start->slot,
                .serial = start->serial,
                .listeners = listeners,
                .ready = scoreboard_ready,
                .begin = scoreboard_begin,
                .end = scoreboard_end,
                .leave = scoreboard_leave,
        };
        struct own own;
        unsigned step;
        int status;

        if (take_descriptors(start, &own, &error) < 0)
                worker_die(start->handshake, STEP_WORKER, &error);
        worker.kept = own.kept;
        take_title(start);
        for (size_t i = 0; i < start->application->listener_count; i++)
                listeners[i] = WORKER_FD_LISTENERS + (int)i;
        step = worker_steps(start, &worker, &own, &error);
        if (step != 0)
                worker_die(own.handshake, step, &error);

        /* From here on the application has the process. One that execs proves it by closing the pipe; one that
         * will say by itself when it is ready has nothing to prove. */
        if (start->application->ready == CLADE_READY_CALLED)
                fd_close(TAKE_FD(own.handshake));
        else
                channel_send(own.handshake, &word, sizeof(word));
        status = start->module->start(&worker);
        if (status >= 0)
                exit(status & 0xff);
        if (own.handshake >= 0)
                worker_die(own.handshake, STEP_START, &start->failure->error);
        dprintf(STDERR_FILENO, "clade: %s\n", start->failure->error.text);
        _exit(STEP_START);
}
