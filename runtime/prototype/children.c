#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/channel.h"
#include "base/own.h"
#include "runtime/protocol/descriptors.h"
#include "runtime/protocol/steps.h"
#include "runtime/prototype/prototype.h"
#include "runtime/worker/worker.h"

int children_init(struct prototype *prototype, size_t source_count, struct error *error)
{
        prototype->first_listener = PROTOTYPE_FD_FIRST + (int)source_count;
        prototype->children =
                calloc(prototype->launch.slot_count + 1, sizeof(*prototype->children));
        if (!prototype->children)
                return error_set(error, ENOMEM, "table of workers");
        for (uint32_t i = 0; i < prototype->launch.slot_count; i++)
                prototype->children[i] = (struct child){.handshake = -1, .notify = -1};
        prototype->listeners = calloc(prototype->launch.listener_count + 1, sizeof(int));
        if (!prototype->listeners)
                return error_set(error, ENOMEM, "table of listeners");
        for (size_t i = 0; i < prototype->launch.listener_count; i++)
                prototype->listeners[i] = prototype->first_listener + (int)i;
        snprintf(prototype->worker_title, sizeof(prototype->worker_title), "clade: worker %s",
                 prototype->launch.application);
        return 0;
}

static struct child *child_find(struct prototype *prototype, pid_t pid)
{
        for (uint32_t i = 0; i < prototype->launch.slot_count; i++)
                if (prototype->children[i].pid == pid)
                        return &prototype->children[i];
        return NULL;
}

bool children_any(const struct prototype *prototype)
{
        for (uint32_t i = 0; i < prototype->launch.slot_count; i++)
                if (prototype->children[i].pid)
                        return true;
        return false;
}

/* In the clone. Whatever can be made beforehand has been: each page that is touched here is copied. */
static _Noreturn void become_worker(struct prototype *prototype, uint32_t slot,
                                    const struct child *child, int handshake, pid_t parent)
{
        int outputs = prototype->first_listener + (int)prototype->launch.listener_count;
        char notify[108];
        struct worker_start start = {
                .module = prototype->module,
                .application = &prototype->application,
                .failure = &prototype->failure,
                .difference = &prototype->launch.plan.worker_filter,
                .notify = child->notify >= 0 ? notify : NULL,
                .title = prototype->title,
                .title_new = prototype->worker_title,
                .signals = &prototype->changed,
                .slot = slot,
                .serial = child->serial,
                .prototype = parent,
                .listeners = prototype->listeners,
                .out = outputs + 2 * (int)slot,
                .err = outputs + 2 * (int)slot + 1,
                .handshake = handshake,
                .scoreboard = PROTOTYPE_FD_SCOREBOARD,
                .kick = PROTOTYPE_FD_KICK,
                .ruleset = prototype->isolation.worker_ruleset,
                .ruleset_flags = prototype->isolation.worker_flags,
                .tells_load = prototype->launch.tells_load,
        };

        if (child->notify >= 0)
                notify_path(child, notify, sizeof(notify));
        worker_run(&start);
}

void children_clone(struct prototype *prototype, uint32_t slot, uint64_t serial)
{
        struct child child = {.serial = serial, .handshake = -1, .notify = -1};
        pid_t parent = getpid();
        int handshake[2], code;

        if (slot >= prototype->launch.slot_count || prototype->children[slot].pid ||
            prototype->stopping) {
                report_clone_failed(serial, slot, EBUSY);
                return;
        }
        if (channel_packet_pipe(handshake) < 0) {
                report_clone_failed(serial, slot, errno);
                return;
        }
        if (prototype->application.ready == CLADE_READY_NOTIFY) {
                int r = notify_create(&child);

                if (r < 0) {
                        report_clone_failed(serial, slot, -r);
                        fd_close(handshake[0]);
                        fd_close(handshake[1]);
                        return;
                }
        }
        fflush(NULL); /* or both would write what is buffered */
        if (prototype->module->before_clone)
                prototype->module->before_clone(&prototype->application);
        child.pid = fork();
        if (child.pid == 0)
                become_worker(prototype, slot, &child, handshake[1], parent);
        code = errno;
        if (prototype->module->clone_done)
                prototype->module->clone_done(&prototype->application);
        fd_close(handshake[1]);
        if (child.pid < 0) {
                report_clone_failed(serial, slot, code);
                notify_destroy(&child);
                fd_close(handshake[0]);
                return;
        }
        child.handshake = handshake[0];
        prototype->children[slot] = child;
        report_cloned(serial, slot, child.pid);
}

/* Reads what the worker says before it hands over. The end of the file after "I hand over" means that the exec
 * worked; one without a word, of a worker that says by itself when it is ready, that it got as far as the
 * application's code, or died before, as its end will tell. */
void children_handshake(struct prototype *prototype, struct child *child)
{
        struct worker_word word;
        ssize_t n = channel_receive(child->handshake, &word, sizeof(word));

        if (n == -EAGAIN)
                return;
        if (n == (ssize_t)sizeof(word) && word.step == 0) {
                child->handing_over = true;
                return;
        }
        fd_close(TAKE_FD(child->handshake));
        if (n == (ssize_t)sizeof(word)) {
                word.error.text[sizeof(word.error.text) - 1] = '\0';
                word.error.remedy[sizeof(word.error.remedy) - 1] = '\0';
                report_worker_failed(child->pid, word.step, &word.error);
        } else if (child->handing_over) {
                report_started(child->pid);
                if (prototype->application.ready == CLADE_READY_EXEC)
                        report_worker_ready(child->pid);
        }
}

void children_notified(struct child *child)
{
        if (notify_receive(child->notify) != 1)
                return;
        notify_destroy(child);
        report_worker_ready(child->pid);
}

void children_acknowledge(struct prototype *prototype, pid_t pid)
{
        struct child *child = child_find(prototype, pid);

        if (!child || !pid)
                return;
        child->acknowledged = true;
        children_reap(prototype);
}

static void child_report_exit(struct prototype *prototype, struct child *child,
                              const siginfo_t *info)
{
        bool killed = info->si_code != CLD_EXITED;

        /* What it said comes before its end. */
        while (child->handshake >= 0)
                children_handshake(prototype, child);
        notify_destroy(child);
        /* A worker leads a process group of its own. What it leaves there belongs to nobody any more, and
         * would go on accepting; as long as it is a zombie, its number is nobody else's. */
        kill(-child->pid, SIGKILL);
        report_exited(child->pid, killed ? 0 : (uint32_t)info->si_status,
                      killed ? (uint32_t)info->si_status : 0, info->si_code == CLD_DUMPED);
        child->exit_reported = true;
}

/* Looks at the dead without taking them. A worker that the supervisor has not acknowledged stays: a zombie
 * keeps its pids, so that even one that died at once can be found from outside. Whoever is no worker is
 * an orphan that the kernel gave to us, and goes at once. */
void children_reap(struct prototype *prototype)
{
        for (;;) {
                siginfo_t info = {.si_pid = 0};
                struct child *child;

                if (waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT | __WALL) < 0 ||
                    info.si_pid == 0)
                        return;
                child = child_find(prototype, info.si_pid);
                if (child && !child->exit_reported)
                        child_report_exit(prototype, child, &info);
                if (child && !child->acknowledged)
                        return;
                waitid(P_PID, (id_t)info.si_pid, &info, WEXITED | WNOHANG | __WALL);
                if (child)
                        *child = (struct child){.handshake = -1, .notify = -1};
        }
}
