/* What comes from below. Each message is copied, counted against the budget, checked against the table for
 * the prototype's phase, and then against what we know ourselves: the slot must be waiting, the serial ours,
 * the pid one that we found. A claim that does not fit ends the incarnation. */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/channel.h"
#include "base/own.h"
#include "runtime/protocol/scoreboard.h"
#include "runtime/protocol/steps.h"
#include "runtime/supervisor/application.h"
#include "runtime/supervisor/pids.h"
#include "runtime/supervisor/scaling.h"

#define TURN_US UINT64_C(3000)

union report {
        struct message_header header;
        struct report_ready ready;
        struct report_failed failed;
        struct report_cloned cloned;
        struct report_clone_failed clone_failed;
        struct report_worker worker;
        struct report_worker_failed worker_failed;
        struct report_exited exited;
};

static int violation(struct error *error, const char *what, unsigned number)
{
        return error_say(error, EBADMSG, "the prototype claims %s %u, which is not so", what,
                         number);
}

/* Texts from below end where the field ends, at the latest, and hold no numbers we act on. */
static void clean_error(struct error *error)
{
        error->text[sizeof(error->text) - 1] = '\0';
        error->remedy[sizeof(error->remedy) - 1] = '\0';
        if (error->code <= 0 || error->code > 4095)
                error->code = EIO;
}

static struct worker *find_worker(struct application *application, uint32_t isolated_pid)
{
        for (uint32_t i = 0; i < application->config->processes.max; i++) {
                struct worker *worker = &application->workers[i];

                if (worker->pidfd >= 0 && worker->isolated_pid == isolated_pid)
                        return worker;
        }
        return NULL;
}

static struct worker *find_request(struct application *application, uint32_t slot, uint64_t serial)
{
        struct worker *worker;

        if (slot >= application->config->processes.max)
                return NULL;
        worker = &application->workers[slot];
        if (worker->state != WORKER_REQUESTED || worker->serial != serial || worker->clone_due)
                return NULL;
        return worker;
}

static int on_cloned(struct application *application, const struct report_cloned *report,
                     struct error *error)
{
        struct worker *worker = find_request(application, report->slot, report->serial);
        int r;

        if (!worker)
                return violation(error, "a clone on slot", report->slot);
        if (find_worker(application, report->isolated_pid))
                return violation(error, "a second worker with pid", report->isolated_pid);
        r = worker_found(worker, report->isolated_pid, error);
        if (r < 0)
                return r;
        worker_event(worker, WORKER_CLONED);
        reports_scoreboard(worker); /* it may have been quicker than its prototype's word */
        return 0;
}

static int on_clone_failed(struct application *application,
                           const struct report_clone_failed *report, struct error *error)
{
        struct worker *worker = find_request(application, report->slot, report->serial);
        struct error why = ERROR_INIT;

        if (!worker)
                return violation(error, "a failed clone on slot", report->slot);
        error_set(&why, report->code > 0 && report->code < 4096 ? (int)report->code : EIO,
                  "clone of a worker");
        if (why.code == EAGAIN)
                error_remedy(&why,
                             "the application has as many processes as it may: its limit, the "
                             "user's (ulimit -u), or the cgroup's (pids.max)");
        if (why.code == EACCES || why.code == EROFS || why.code == ENOENT || why.code == ENOSPC)
                error_remedy(&why,
                             "\"ready\": \"notify\" needs a socket in /tmp: a directory there that "
                             "the application may write to, by its mounts and by landlock.paths");
        application_worker_failed(application, STEP_WORKER, &why);
        worker_event(worker, WORKER_REFUSED);
        return 0;
}

static int on_worker_failed(struct application *application, struct report_worker_failed *report,
                            struct error *error)
{
        struct worker *worker = find_worker(application, report->isolated_pid);

        if (!worker || worker->told_failure || worker->told_end)
                return violation(error, "a failed worker with pid", report->isolated_pid);
        worker->told_failure = true;
        clean_error(&report->error);
        log_error(&application->supervisor->log, LOG_WARNING, "worker-failed", application->name,
                  &report->error, LOG_NUMBER("pid", worker->pid),
                  LOG_NUMBER("isolated_pid", worker->isolated_pid),
                  LOG_TEXT_FIELD("step", step_name(report->step)));
        application_worker_failed(application, report->step, &report->error);
        worker_event(worker, WORKER_FAILED);
        return 0;
}

static int on_exited(struct application *application, const struct report_exited *report,
                     struct error *error)
{
        struct worker *worker = find_worker(application, report->isolated_pid);

        if (!worker || worker->told_end)
                return violation(error, "the end of a worker with pid", report->isolated_pid);
        if (!pids_dead(worker->pidfd))
                return violation(error, "the end of a living worker, pid", report->isolated_pid);
        if (report->code > 255 || report->signal > 64 || report->core > 1)
                return violation(error, "an impossible end of pid", report->isolated_pid);
        worker->told_end = true;
        worker->code = report->code;
        worker->signal = report->signal;
        worker->core = report->core;
        worker_event(worker, WORKER_EXITED);
        return 0;
}

/* STARTED, WORKER_READY */
static int on_worker(struct application *application, const struct report_worker *report,
                     struct error *error)
{
        bool ready = report->header.type == REPORT_WORKER_READY;
        struct worker *worker = find_worker(application, report->isolated_pid);
        bool *told;

        if (!worker || worker->told_end)
                return violation(error, "a running worker with pid", report->isolated_pid);
        told = ready ? &worker->told_ready : &worker->told_start;
        if (*told)
                return violation(error, "once more a running worker with pid",
                                 report->isolated_pid);
        *told = true;
        if (ready)
                worker_event(worker, WORKER_SERVES);
        return 0;
}

static int handle(struct application *application, union report *report, struct error *error)
{
        switch ((enum report_type)report->header.type) {
        case REPORT_READY:
                if (report->ready.step_count > REPORT_STEPS_MAX)
                        return violation(error, "a number of steps,", report->ready.step_count);
                start_steps(application, &report->ready);
                application->phase = PROTOTYPE_RUNNING;
                application_event(application, APPLICATION_READY);
                return 0;
        case REPORT_FAILED:
                application->phase = PROTOTYPE_FAILED;
                clean_error(&report->failed.error);
                application_fault(application, report->failed.step, &report->failed.error);
                return 0;
        case REPORT_CLONED:
                return on_cloned(application, &report->cloned, error);
        case REPORT_CLONE_FAILED:
                return on_clone_failed(application, &report->clone_failed, error);
        case REPORT_STARTED:
        case REPORT_WORKER_READY:
                return on_worker(application, &report->worker, error);
        case REPORT_WORKER_FAILED:
                return on_worker_failed(application, &report->worker_failed, error);
        case REPORT_EXITED:
                return on_exited(application, &report->exited, error);
        }
        return error_say(error, EBADMSG, "message of type %u", report->header.type);
}

/* One message. 1: handled, there may be more. 0: nothing there. Negative: the peer broke a rule. */
static int take(struct application *application, struct error *error)
{
        union report report;
        ssize_t n = channel_receive(application->reports, &report, sizeof(report));
        int r;

        if (n == -EAGAIN)
                return 0;
        if (n == 0) {
                /* Closed: it is dying, and its pidfd will say so; or it closed the pipe and lives on,
                 * which nobody may. */
                sd_event_source_set_enabled(application->reports_source, SD_EVENT_OFF);
                incarnation_kill(application);
                return 0;
        }
        if (n < 0)
                return error_say(error, EBADMSG, "the prototype sent a packet of no known size");
        if (!budget_spend(&application->messages, 1, now_us(application->supervisor))) {
                error_say(error, EBADMSG, "the prototype sent more than %u messages in a second",
                          application->messages.per_second);
                return error_remedy(error,
                                    "an application that attacks its supervisor: look at what "
                                    "it loads");
        }
        if (!message_check(&report_table, application->phase, &report, (size_t)n,
                           &application->seen, error))
                return -EBADMSG;
        r = handle(application, &report, error);
        return r < 0 ? r : 1;
}

int reports_dispatch(sd_event_source *source, int fd, uint32_t revents, void *userdata)
{
        struct application *application = userdata;
        struct error error = ERROR_INIT;
        uint64_t start = clock_us();
        int r = 1;

        (void)source;
        (void)fd;
        (void)revents;
        /* The others want their turn, too: what is left comes in the next one. */
        while (r > 0 && application->reports >= 0 && application->state != APPLICATION_ENDING &&
               clock_us() - start < TURN_US)
                r = take(application, &error);
        if (r < 0)
                application_fault(application, 0, &error);
        else
                incarnation_flush(application);
        return 0;
}

/* A worker has written to the scoreboard, and to the eventfd. That is never read here: its description is
 * shared with those below, who may empty it and make it block. Each write is an edge, which is all that
 * we need, and how often we look is limited by the source. A page of the scoreboard is read, not mapped, and says nothing but "ready", and
 * that only of the worker that we know on that slot. */
int kick_dispatch(sd_event_source *source, int fd, uint32_t revents, void *userdata)
{
        struct application *application = userdata;

        (void)source;
        (void)fd;
        (void)revents;
        for (uint32_t i = 0; i < application->config->processes.max; i++)
                reports_scoreboard(&application->workers[i]);
        scaling_consider(application);
        incarnation_flush(application);
        return 0;
}

void reports_scoreboard(struct worker *worker)
{
        struct application *application = worker->application;
        struct scoreboard_slot slot;

        if (worker->state != WORKER_STARTING)
                return;
        if (pread(application->scoreboard, &slot, sizeof(slot),
                  (off_t)worker->slot * SCOREBOARD_PAGE) != (ssize_t)sizeof(slot))
                return;
        if ((slot.state == SCOREBOARD_READY || slot.state == SCOREBOARD_LEAVING) &&
            slot.serial == worker->serial)
                worker_event(worker, WORKER_SERVES);
}
