/* The machine of one slot.
 *
 * The table is the program: for each state and event, what is done and where that leads. An event that has no
 * entry in a state means nothing there and is ignored. Actions are named for what they do; they may not
 * send events to the same worker. */
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <sys/pidfd.h>
#include <sys/wait.h>

#include "base/own.h"
#include "runtime/supervisor/application.h"
#include "runtime/supervisor/pids.h"
#include "runtime/supervisor/scaling.h"

/* How long a prototype may take for what it does at once when all is well. */
#define CLONE_DEADLINE_US  UINT64_C(10000000)
#define REPORT_DEADLINE_US UINT64_C(5000000)
/* What a worker that hangs has for ending what else it works on. */
#define HUNG_DEADLINE_US   UINT64_C(1000000)

static int on_timer(sd_event_source *source, uint64_t usec, void *userdata)
{
        struct worker *worker = userdata;

        (void)source;
        (void)usec;
        if (worker->state != WORKER_WAITING) {
                worker_event(worker, WORKER_OVERDUE);
        } else if (!worker->application->config->processes.dynamic) {
                worker_event(worker, WORKER_WANTED);
        } else {
                worker->resting = false;
                scaling_consider(worker->application);
        }
        incarnation_flush(worker->application); /* no report may follow that would do it */
        return 0;
}

static void deadline(struct worker *worker, uint64_t delay_us)
{
        timer_arm(worker->application->supervisor, &worker->timer, delay_us, on_timer, worker);
}

/* Where each request has a worker of its own they come and go by the thousand. */
static enum log_level level_of(const struct worker *worker)
{
        return worker->application->config->limits.requests == 1 ? LOG_DEBUG : LOG_INFO;
}

static void worker_log(struct worker *worker, enum log_level level, const char *event)
{
        log_event(&worker->application->supervisor->log, level, event, worker->application->name,
                  LOG_NUMBER("pid", worker->pid), LOG_NUMBER("isolated_pid", worker->isolated_pid),
                  LOG_NUMBER("slot", worker->slot));
}

static void log_end(struct worker *worker, enum log_level level)
{
        struct log *log = &worker->application->supervisor->log;
        const char *name = worker->application->name;
        bool memory = worker->signal == SIGKILL && cgroup_home_out_of_memory(worker->application);

        log_event(log, level, "worker-exited", name, LOG_NUMBER("pid", worker->pid),
                  LOG_NUMBER("isolated_pid", worker->isolated_pid),
                  LOG_NUMBER("slot", worker->slot),
                  worker->signal ? LOG_NUMBER("signal", worker->signal)
                                 : LOG_NUMBER("code", worker->code),
                  worker->signal && worker->core ? LOG_NUMBER("core", 1)
                                                 : LOG_TEXT_FIELD("core", NULL),
                  memory ? LOG_NUMBER("out_of_memory", 1) : LOG_TEXT_FIELD("out_of_memory", NULL));
}

/* --- actions ------------------------------------------------------------------------------------ */

static void request(struct worker *worker)
{
        worker->serial = ++worker->application->supervisor->serial;
        worker->clone_due = true;
        worker->blamed = worker->core = worker->planned = worker->resting = false;
        load_expect(worker);
        worker->told_end = worker->told_failure = worker->told_start = worker->told_ready = false;
        worker->code = worker->signal = 0;
        output_hold(worker->application->outputs[2 + 2 * worker->slot]);
        output_hold(worker->application->outputs[3 + 2 * worker->slot]);
        deadline(worker, CLONE_DEADLINE_US);
}

static void announce(struct worker *worker)
{
        worker->cloned_us = now_us(worker->application->supervisor);
        worker->acknowledge_due = true;
        worker_log(worker, level_of(worker), "worker-started");
        deadline(worker, worker->application->supervisor->config->settings.start_timeout *
                                 UINT64_C(1000000));
        /* It was on its way when the application was told to stop. */
        if (worker->application->state == APPLICATION_STOPPING)
                worker_signal(worker, SIGTERM);
}

static void serves(struct worker *worker)
{
        timer_disarm(worker->timer);
        worker->served = true;
        log_event(&worker->application->supervisor->log, level_of(worker), "worker-ready",
                  worker->application->name, LOG_NUMBER("pid", worker->pid),
                  LOG_NUMBER("isolated_pid", worker->isolated_pid),
                  LOG_NUMBER("slot", worker->slot),
                  LOG_NUMBER("start_us", clock_us() - worker->ordered_us));
        application_worker_ready(worker->application);
        scaling_soon(worker->application);
}

static void blame(struct worker *worker)
{
        worker->blamed = true;
}

static void await_report(struct worker *worker)
{
        deadline(worker, REPORT_DEADLINE_US);
}

static void release(struct worker *worker)
{
        worker->death = sd_event_source_disable_unref(worker->death);
        fd_close(TAKE_FD(worker->pidfd));
        worker->acknowledge_due = worker->clone_due = false;
}

/* What its pipes still hold is the last that it said. */
static void hear_out(struct worker *worker)
{
        output_assign(worker->application->outputs[2 + 2 * worker->slot], 0, 0);
        output_assign(worker->application->outputs[3 + 2 * worker->slot], 0, 0);
}

/* A worker that ends before it is ready may be one of many. When that has gone on for as long as a start may take, the
 * start has failed; it is tried on all the same. */
static void judge_start(struct worker *worker)
{
        struct application *application = worker->application;
        uint32_t seconds = application->supervisor->config->settings.start_timeout;
        uint64_t spent = now_us(application->supervisor) - application->started_us;
        struct error error = ERROR_INIT;

        if (application->launched || spent < seconds * UINT64_C(1000000))
                return;
        error_say(&error, ETIMEDOUT,
                  "not all workers were ready within %u s; the last to end did so by %s %u",
                  seconds, worker->signal ? "signal" : "status",
                  worker->signal ? worker->signal : worker->code);
        error_remedy(&error, "what it wrote before its end stands in the events `output`");
        application_worker_failed(application, 0, &error);
}

/* It says that it has served what limits.requests lets it serve, and ended as it should. Or it says so: then that
 * is worth as much as the end of any other worker that has served. */
static bool recycled(struct worker *worker)
{
        return worker->application->config->limits.requests > 0 && worker->load.leaving &&
               worker->load.requests > 0 && worker->signal == 0 && worker->code == 0;
}

/* How long the slot has to stay empty, in µs. What ends early is not made anew at once; but a worker that has served,
 * or says so, may be, as long as that does not become a habit. */
static uint64_t rest_after(struct worker *worker, bool known)
{
        struct application *application = worker->application;
        uint64_t now = now_us(application->supervisor);

        if (worker->planned ||
            (known && recycled(worker) && application->config->limits.requests == 1))
                return 0;
        if (known && !worker->blamed && worker->load.requests > 0 &&
            budget_spend(&application->renewals, 1, now))
                return 0;
        return backoff_after(&worker->backoff, now - worker->cloned_us, worker->blamed);
}

/* From WAITING on: at once, or when the time is over. */
static void rest(struct worker *worker, uint64_t delay)
{
        worker->resting = delay > 0;
        if (delay > 0)
                deadline(worker, delay);
        else
                timer_disarm(worker->timer);
}

/* The slot is free again. */
static void retire(struct worker *worker)
{
        struct application *application = worker->application;
        bool known = load_look(worker);
        bool done = known && recycled(worker);
        uint64_t delay;

        log_end(worker, done ? level_of(worker) : LOG_INFO);
        release(worker);
        hear_out(worker);
        timer_disarm(worker->timer);
        if (application->state != APPLICATION_RUNNING)
                return;
        worker->served = done || (worker->planned && worker->served);
        if (done)
                application_worker_ready(application);
        else
                judge_start(worker);
        delay = rest_after(worker, known);
        if (delay > 0)
                log_event(&application->supervisor->log, LOG_WARNING, "worker-backoff",
                          application->name, LOG_NUMBER("slot", worker->slot),
                          LOG_NUMBER("failures", worker->backoff.failures),
                          LOG_NUMBER("delay_ms", delay / 1000));
        rest(worker, delay);
}

static void refuse(struct worker *worker)
{
        uint64_t delay = backoff_after(&worker->backoff, 0, true);

        hear_out(worker);
        if (worker->application->state == APPLICATION_RUNNING)
                rest(worker, delay);
        else
                timer_disarm(worker->timer);
}

/* Nobody needs it. It ends when it is done, and that may be something that began just now. */
static void dismiss(struct worker *worker)
{
        const struct supervisor *supervisor = worker->application->supervisor;

        worker->planned = true;
        worker_log(worker, LOG_INFO, "worker-idle");
        worker_signal(worker, SIGTERM);
        deadline(worker, supervisor->config->settings.stop_timeout * UINT64_C(1000000));
}

/* Its other requests, if it has any, have a moment left. */
static void interrupt(struct worker *worker)
{
        log_event(&worker->application->supervisor->log, LOG_WARNING, "worker-hung",
                  worker->application->name, LOG_NUMBER("pid", worker->pid),
                  LOG_NUMBER("isolated_pid", worker->isolated_pid),
                  LOG_NUMBER("slot", worker->slot),
                  LOG_NUMBER("timeout", worker->application->config->limits.timeout),
                  LOG_NUMBER("active", worker->load.active),
                  LOG_TEXT_FIELD("message", "one request takes longer than limits.timeout; where "
                                            "it hangs stands on the worker's stderr, if its "
                                            "module can tell"));
        worker_signal(worker, SIGTERM);
        deadline(worker, HUNG_DEADLINE_US);
}

static void put_down(struct worker *worker)
{
        worker_signal(worker, SIGKILL);
}

/* The prototype has said how it ended. It must be dead then; and where the kernel tells exit codes, it has
 * the last word once the prototype has reaped it. */
static void await_kernel(struct worker *worker)
{
        deadline(worker, REPORT_DEADLINE_US);
        if (worker->death) {
                sd_event_source_set_io_events(worker->death, 0);
                sd_event_source_set_enabled(worker->death, SD_EVENT_ONESHOT);
        }
}

/* Its prototype is gone, and so is it: by SIGKILL, if nothing else was said. Its pipes are heard out with all
 * the others of that incarnation. */
static void vanish(struct worker *worker)
{
        if (worker->pidfd >= 0) {
                int status;

                if (!worker->told_end)
                        worker->signal = SIGKILL;
                if (pids_status(worker->pidfd, &status) == 0) {
                        worker->signal = WIFSIGNALED(status) ? (uint32_t)WTERMSIG(status) : 0;
                        worker->code = WIFEXITED(status) ? (uint32_t)WEXITSTATUS(status) : 0;
                        worker->core = WIFSIGNALED(status) && WCOREDUMP(status);
                }
                log_end(worker, LOG_INFO);
                release(worker);
        }
        worker->clone_due = worker->acknowledge_due = false;
        timer_disarm(worker->timer);
}

static void never_cloned(struct worker *worker)
{
        struct error error = ERROR_INIT;

        error_say(&error, ETIMEDOUT, "the prototype does not clone when asked to");
        application_fault(worker->application, 0, &error);
}

static void never_ready(struct worker *worker)
{
        struct application *application = worker->application;
        struct error error = ERROR_INIT;

        error_say(&error, ETIMEDOUT, "worker %d (inside: %u) is not ready after %u s",
                  (int)worker->pid, worker->isolated_pid,
                  application->supervisor->config->settings.start_timeout);
        error_remedy(&error,
                     "an application that says when it is ready has to say so; with \"ready\": "
                     "\"notify\" a program that connects to NOTIFY_SOCKET also needs "
                     "isolation.unix_clients");
        log_error(&application->supervisor->log, LOG_ERROR, "worker-failed", application->name,
                  &error, LOG_NUMBER("pid", worker->pid),
                  LOG_NUMBER("isolated_pid", worker->isolated_pid));
        application_worker_failed(application, 0, &error);
        worker->blamed = true;
        worker_signal(worker, SIGKILL);
}

static void never_reported(struct worker *worker)
{
        struct error error = ERROR_INIT;

        error_say(&error, ETIMEDOUT, "the prototype does not account for worker %d (inside: %u)",
                  (int)worker->pid, worker->isolated_pid);
        application_fault(worker->application, 0, &error);
}

/* --- the table ---------------------------------------------------------------------------------- */

static const struct transition {
        void (*action)(struct worker *worker);
        enum worker_state next;
        bool set; /* there is an entry */
} table[WORKER_STATES][WORKER_EVENTS] = {
        [WORKER_EMPTY] =
                {
                        [WORKER_WANTED] = {request, WORKER_REQUESTED, true},
                },
        [WORKER_WAITING] =
                {
                        [WORKER_WANTED] = {request, WORKER_REQUESTED, true},
                        [WORKER_GONE] = {vanish, WORKER_EMPTY, true},
                },
        [WORKER_REQUESTED] =
                {
                        [WORKER_CLONED] = {announce, WORKER_STARTING, true},
                        [WORKER_REFUSED] = {refuse, WORKER_WAITING, true},
                        [WORKER_OVERDUE] = {never_cloned, WORKER_REQUESTED, true},
                        [WORKER_GONE] = {vanish, WORKER_EMPTY, true},
                },
        [WORKER_STARTING] =
                {
                        [WORKER_SERVES] = {serves, WORKER_READY, true},
                        [WORKER_FAILED] = {blame, WORKER_STARTING, true},
                        [WORKER_DIED] = {await_report, WORKER_DEAD, true},
                        [WORKER_EXITED] = {await_kernel, WORKER_REAPING, true},
                        [WORKER_OVERDUE] = {never_ready, WORKER_STARTING, true},
                        [WORKER_GONE] = {vanish, WORKER_EMPTY, true},
                },
        [WORKER_READY] =
                {
                        [WORKER_UNWANTED] = {dismiss, WORKER_STOPPING, true},
                        [WORKER_HUNG] = {interrupt, WORKER_STOPPING, true},
                        [WORKER_DIED] = {await_report, WORKER_DEAD, true},
                        [WORKER_EXITED] = {await_kernel, WORKER_REAPING, true},
                        [WORKER_GONE] = {vanish, WORKER_EMPTY, true},
                },
        [WORKER_STOPPING] =
                {
                        [WORKER_DIED] = {await_report, WORKER_DEAD, true},
                        [WORKER_EXITED] = {await_kernel, WORKER_REAPING, true},
                        [WORKER_OVERDUE] = {put_down, WORKER_STOPPING, true},
                        [WORKER_GONE] = {vanish, WORKER_EMPTY, true},
                },
        [WORKER_DEAD] =
                {
                        [WORKER_FAILED] = {blame, WORKER_DEAD, true},
                        [WORKER_EXITED] = {await_kernel, WORKER_REAPING, true},
                        [WORKER_OVERDUE] = {never_reported, WORKER_DEAD, true},
                        [WORKER_GONE] = {vanish, WORKER_EMPTY, true},
                },
        [WORKER_REAPING] =
                {
                        [WORKER_REAPED] = {retire, WORKER_WAITING, true},
                        [WORKER_OVERDUE] = {never_reported, WORKER_REAPING, true},
                        [WORKER_GONE] = {vanish, WORKER_EMPTY, true},
                },
};

void worker_event(struct worker *worker, enum worker_event event)
{
        const struct transition *transition = &table[worker->state][event];

        if (!transition->set)
                return;
        worker->state = transition->next;
        transition->action(worker);
        /* Older kernels have no word of their own: the prototype's is all there will be. */
        if (worker->state == WORKER_REAPING && event == WORKER_EXITED &&
            !worker->application->supervisor->exit_codes)
                worker_event(worker, WORKER_REAPED);
        /* The slot has become free. */
        if (worker->state == WORKER_WAITING && !worker->resting &&
            (event == WORKER_REAPED || event == WORKER_REFUSED)) {
                if (worker->application->config->processes.dynamic)
                        scaling_consider(worker->application);
                else if (worker->application->state == APPLICATION_RUNNING)
                        worker_event(worker, WORKER_WANTED);
        }
}

/* --- around it ---------------------------------------------------------------------------------- */

void worker_init(struct worker *worker, struct application *application, uint32_t slot)
{
        *worker = (struct worker){.application = application, .slot = slot, .pidfd = -1};
}

bool worker_alive(const struct worker *worker)
{
        return worker->state == WORKER_STARTING || worker->state == WORKER_READY ||
               worker->state == WORKER_STOPPING;
}

void worker_signal(struct worker *worker, int signal)
{
        if (worker->pidfd >= 0)
                pidfd_send_signal(worker->pidfd, signal, NULL, 0);
}

/* The pidfd is readable when the process dies, and hung up when it has been reaped. */
static int on_death(sd_event_source *source, int fd, uint32_t revents, void *userdata)
{
        struct worker *worker = userdata;
        struct error error = ERROR_INIT;
        int status;

        (void)source;
        if (!(revents & EPOLLHUP)) {
                worker_event(worker, WORKER_DIED);
                return 0;
        }
        if (worker->state != WORKER_REAPING) {
                worker_event(worker, WORKER_DIED);
                return 0;
        }
        if (pids_status(fd, &status) == 0 &&
            ((WIFEXITED(status) &&
              (worker->signal || worker->code != (uint32_t)WEXITSTATUS(status))) ||
             (WIFSIGNALED(status) && worker->signal != (uint32_t)WTERMSIG(status)))) {
                error_say(&error, EBADMSG, "the prototype lies about the end of worker %d",
                          (int)worker->pid);
                application_fault(worker->application, 0, &error);
                return 0;
        }
        worker_event(worker, WORKER_REAPED);
        incarnation_flush(worker->application);
        return 0;
}

int worker_found(struct worker *worker, uint32_t isolated_pid, struct error *error)
{
        struct application *application = worker->application;
        const struct pids_parent parent = {
                .pid = application->pid,
                .nested = compiled_launch(application->compiled)->plan.namespaces & CLONE_NEWPID,
                .namespace = application->pidns,
        };
        cleanup_fd int pidfd = -1;
        pid_t pid;
        int r;

        r = pids_find(&parent, isolated_pid, &pid, &pidfd, error);
        if (r < 0)
                return r;
        r = sd_event_add_io(application->supervisor->event, &worker->death, pidfd, EPOLLIN,
                            on_death, worker);
        if (r >= 0)
                r = sd_event_source_set_priority(worker->death, SD_EVENT_PRIORITY_NORMAL + 5);
        if (r >= 0)
                r = sd_event_source_set_enabled(worker->death, SD_EVENT_ONESHOT);
        if (r < 0)
                return error_set(error, -r, "watching worker %d", (int)pid);
        /* A worker in a pid namespace goes with its prototype. */
        if (!parent.nested) {
                r = watcher_add(&application->supervisor->watcher, pidfd, error);
                if (r < 0)
                        return r;
        }
        worker->pid = pid;
        worker->isolated_pid = isolated_pid;
        worker->pidfd = TAKE_FD(pidfd);
        output_assign(application->outputs[2 + 2 * worker->slot], pid, isolated_pid);
        output_assign(application->outputs[3 + 2 * worker->slot], pid, isolated_pid);
        return 0;
}
