/* The machine of one application. As in worker.c the table is the program; each entry has the state to go to
 * when its action succeeded, and the one for when it did not. */
#include <errno.h>
#include <sched.h>
#include <stdlib.h>

#include "base/own.h"
#include "runtime/protocol/steps.h"
#include "runtime/supervisor/application.h"
#include "runtime/supervisor/pids.h"
#include "runtime/supervisor/scaling.h"

#define MICROSECONDS     UINT64_C(1000000)
#define KILL_DEADLINE_US (10 * MICROSECONDS)

static struct log *log_of(struct application *application)
{
        return &application->supervisor->log;
}

/* A prototype is the first process of its pid namespace, where it has one. */
static pid_t isolated_pid(const struct application *application, pid_t pid)
{
        return compiled_launch(application->compiled)->plan.namespaces & CLONE_NEWPID ? 1 : pid;
}

static int on_timer(sd_event_source *source, uint64_t usec, void *userdata)
{
        struct application *application = userdata;

        (void)source;
        (void)usec;
        application_event(application, application->state == APPLICATION_WAITING
                                               ? APPLICATION_START
                                               : APPLICATION_OVERDUE);
        return 0;
}

static void deadline(struct application *application, uint64_t delay_us)
{
        timer_arm(application->supervisor, &application->timer, delay_us, on_timer, application);
}

/* --- how a start comes out ------------------------------------------------------------------- */

static void outcome(struct application *application, bool failed)
{
        if (application->launched)
                return;
        application->launched = true;
        application->failed = failed;
        supervisor_application_changed(application->supervisor);
}

static void log_failure(struct application *application, unsigned step, const struct error *error)
{
        log_error(log_of(application), LOG_ERROR, "application-failed", application->name, error,
                  LOG_TEXT_FIELD("step", step ? step_name(step) : NULL));
}

void application_worker_ready(struct application *application)
{
        const struct plan *plan = &compiled_launch(application->compiled)->plan;
        uint32_t served = 0;

        /* Those that have come and gone as they should count as well: there may never be all at once. */
        for (uint32_t i = 0; i < application->config->processes.max; i++)
                served += application->workers[i].served;
        if (served < application->config->processes.spare)
                return;
        if (!application->announced)
                log_event(log_of(application), LOG_INFO, "application-ready", application->name,
                          LOG_NUMBER("processes", application->config->processes.spare),
                          LOG_NUMBER("pid", application->pid),
                          LOG_NUMBER("start_us", clock_us() - application->started_us),
                          LOG_TEXT_FIELD("isolation",
                                         ladder_level_name((enum ladder_level)plan->level)),
                          LOG_NUMBER("landlock", plan->landlock_abi),
                          LOG_TEXT_FIELD("limits", plan->cgroup.present ? "cgroup" : "rlimit"));
        application->announced = true;
        application->failed = false;
        outcome(application, false);
}

void application_worker_failed(struct application *application, unsigned step,
                               const struct error *error)
{
        if (application->launched)
                return;
        log_failure(application, step, error);
        outcome(application, true);
}

void application_fault(struct application *application, unsigned step, const struct error *error)
{
        /* The first one is the cause; what follows from it is not told. */
        if (application->state == APPLICATION_ENDING || application->fault.code)
                return;
        application->fault = *error;
        application->fault_step = step;
        log_failure(application, step, error);
        application_event(application, APPLICATION_FAULT);
}

/* --- actions: true for the table's `next`, false for its `otherwise` --------------------------- */

static void try_again(struct application *application, uint64_t lived_us, bool blame)
{
        uint64_t delay = backoff_after(&application->backoff, lived_us, blame);

        if (application->final)
                return;
        if (delay > 0)
                log_event(log_of(application), LOG_WARNING, "application-backoff",
                          application->name, LOG_NUMBER("failures", application->backoff.failures),
                          LOG_NUMBER("delay_ms", delay / 1000));
        deadline(application, delay);
}

static bool begin(struct application *application)
{
        struct error error = ERROR_INIT;
        char path[PATH_MAX];
        siginfo_t end;
        unsigned step;

        application->fault = (struct error)ERROR_INIT;
        application->fault_step = 0;
        application->restart = false;
        if (application_start(application, &step, &error) < 0) {
                incarnation_kill(application);
                incarnation_finish(application, &end);
                /* What it was made from may have changed: look again next time. */
                application->compiled = compiled_destroy(application->compiled);
                log_failure(application, step, &error);
                try_again(application, 0, true);
                outcome(application, true);
                return false;
        }
        log_event(log_of(application), LOG_INFO, "prototype-started", application->name,
                  LOG_NUMBER("pid", application->pid),
                  LOG_NUMBER("isolated_pid", isolated_pid(application, application->pid)),
                  LOG_TEXT_FIELD("cgroup", application->home.fd >= 0
                                                   ? cgroup_home_path(application, path)
                                                   : NULL));
        deadline(application,
                 application->supervisor->config->settings.start_timeout * MICROSECONDS);
        return true;
}

static bool populate(struct application *application)
{
        timer_disarm(application->timer);
        /* Not earlier: while a clone has changed its ids and not yet exec'd, the kernel shows it to nobody. */
        application->pidns = pids_namespace(application->pid);
        log_event(log_of(application), LOG_DEBUG, "prototype-ready", application->name,
                  LOG_NUMBER("pid", application->pid),
                  LOG_NUMBER("isolated_pid", isolated_pid(application, application->pid)));
        scaling_start(application);
        return true;
}

static bool kill_it(struct application *application)
{
        incarnation_kill(application);
        deadline(application, KILL_DEADLINE_US);
        return true;
}

static bool kill_for_good(struct application *application)
{
        application->final = true;
        return kill_it(application);
}

static bool kill_and_restart(struct application *application)
{
        application->restart = true;
        return kill_it(application);
}

static bool too_slow(struct application *application)
{
        struct error error = ERROR_INIT;

        error_say(&error, ETIMEDOUT, "the prototype is not ready after %u s",
                  application->supervisor->config->settings.start_timeout);
        error_remedy(&error,
                     "something that is loaded does not come to an end; settings.start_timeout "
                     "allows more time");
        application->fault = error;
        log_failure(application, 0, &error);
        return kill_it(application);
}

static void close_listeners(struct application *application)
{
        for (size_t i = 0; i < application->listener_count; i++)
                application->listeners[i] = listener_destroy(application->listeners[i]);
}

static bool finish_workers(struct application *application)
{
        application->final = true;
        close_listeners(application);
        for (uint32_t i = 0; i < application->config->processes.max; i++) {
                application->workers[i].clone_due = false;
                worker_signal(&application->workers[i], SIGTERM);
        }
        application->stop_due = true;
        incarnation_flush(application);
        deadline(application,
                 application->supervisor->config->settings.stop_timeout * MICROSECONDS);
        return true;
}

/* A prototype that died without a word says by its exit status how far it got. */
static void explain_death(struct application *application, const siginfo_t *end)
{
        struct error error = ERROR_INIT;
        unsigned step = 0;

        if (end->si_code == CLD_EXITED) {
                step = (unsigned)end->si_status;
                error_say(&error, ECHILD, "the prototype exited with status %d", end->si_status);
        } else {
                error_say(&error, ECHILD, "the prototype was killed by signal %d", end->si_status);
        }
        log_failure(application, step, &error);
}

static bool bury(struct application *application)
{
        enum application_state state = application->state;
        uint64_t lived = clock_us() - application->started_us;
        pid_t pid = application->pid;
        bool memory = false;
        siginfo_t end;

        timer_disarm(application->timer);
        scaling_stop(application);
        for (uint32_t i = 0; i < application->config->processes.max; i++)
                worker_event(&application->workers[i], WORKER_GONE);
        if (!application->fault.code && state != APPLICATION_ENDING)
                memory = cgroup_home_out_of_memory(application);
        incarnation_finish(application, &end);
        log_event(log_of(application), LOG_INFO, "prototype-exited", application->name,
                  LOG_NUMBER("pid", pid),
                  LOG_NUMBER("isolated_pid", isolated_pid(application, pid)),
                  end.si_code == CLD_EXITED ? LOG_NUMBER("code", end.si_status)
                                            : LOG_NUMBER("signal", end.si_status),
                  memory ? LOG_NUMBER("out_of_memory", 1) : LOG_TEXT_FIELD("out_of_memory", NULL));
        if (state == APPLICATION_STARTING)
                explain_death(application, &end);
        /* A step that failed may have found the host changed: look at it again. A rule that was broken has
         * nothing to do with the host, and looking costs time that belongs to all. */
        if (application->fault_step)
                application->compiled = compiled_destroy(application->compiled);
        if (!application->final)
                try_again(application, lived,
                          application->fault.code || state == APPLICATION_STARTING);
        if (!application->restart && (application->fault.code || state == APPLICATION_STARTING))
                outcome(application, true);
        return !application->final;
}

/* SIGKILL cannot be refused, but a process in the kernel's hands (a hung filesystem, say) takes it late. A relay
 * is there when it waits for the lock of a pipe, and whoever the application has given that pipe to can hold it
 * for ever: a stop does not wait for this. */
static bool still_there(struct application *application)
{
        bool dead = !application->death;

        log_event(log_of(application), LOG_ERROR, "prototype-stuck", application->name,
                  LOG_NUMBER("pid", application->pid),
                  LOG_NUMBER("isolated_pid", isolated_pid(application, application->pid)),
                  LOG_TEXT_FIELD("message",
                                 dead ? "it is dead, but its relay, killed as well, does not die: "
                                        "somebody outside holds a pipe of the application's"
                                      : "killed, but it does not die: see /proc/PID/stack"));
        if (dead && application->final) {
                relay_abandon(&application->relay);
                return bury(application);
        }
        deadline(application, KILL_DEADLINE_US);
        return true;
}

static bool close_down(struct application *application)
{
        application->final = true;
        timer_disarm(application->timer);
        close_listeners(application);
        return true;
}

static bool remember_stop(struct application *application)
{
        application->final = true;
        return true;
}

/* --- the table ---------------------------------------------------------------------------------- */

static const struct transition {
        bool (*action)(struct application *application);
        enum application_state next, otherwise;
} table[APPLICATION_STATES][APPLICATION_EVENTS] = {
        [APPLICATION_IDLE] =
                {
                        [APPLICATION_START] = {begin, APPLICATION_STARTING, APPLICATION_WAITING},
                        [APPLICATION_STOP] = {close_down, APPLICATION_STOPPED, APPLICATION_STOPPED},
                        [APPLICATION_STOP_NOW] = {close_down, APPLICATION_STOPPED,
                                                  APPLICATION_STOPPED},
                },
        [APPLICATION_STARTING] =
                {
                        [APPLICATION_READY] = {populate, APPLICATION_RUNNING, APPLICATION_RUNNING},
                        [APPLICATION_FAULT] = {kill_it, APPLICATION_ENDING, APPLICATION_ENDING},
                        [APPLICATION_EXITED] = {bury, APPLICATION_WAITING, APPLICATION_STOPPED},
                        [APPLICATION_OVERDUE] = {too_slow, APPLICATION_ENDING, APPLICATION_ENDING},
                        [APPLICATION_LISTENER] = {kill_and_restart, APPLICATION_ENDING,
                                                  APPLICATION_ENDING},
                        [APPLICATION_STOP] = {kill_for_good, APPLICATION_ENDING,
                                              APPLICATION_ENDING},
                        [APPLICATION_STOP_NOW] = {kill_for_good, APPLICATION_ENDING,
                                                  APPLICATION_ENDING},
                },
        [APPLICATION_RUNNING] =
                {
                        [APPLICATION_FAULT] = {kill_it, APPLICATION_ENDING, APPLICATION_ENDING},
                        [APPLICATION_EXITED] = {bury, APPLICATION_WAITING, APPLICATION_STOPPED},
                        [APPLICATION_LISTENER] = {kill_and_restart, APPLICATION_ENDING,
                                                  APPLICATION_ENDING},
                        [APPLICATION_STOP] = {finish_workers, APPLICATION_STOPPING,
                                              APPLICATION_STOPPING},
                        [APPLICATION_STOP_NOW] = {kill_for_good, APPLICATION_ENDING,
                                                  APPLICATION_ENDING},
                },
        [APPLICATION_STOPPING] =
                {
                        [APPLICATION_FAULT] = {kill_it, APPLICATION_ENDING, APPLICATION_ENDING},
                        [APPLICATION_EXITED] = {bury, APPLICATION_WAITING, APPLICATION_STOPPED},
                        [APPLICATION_OVERDUE] = {kill_it, APPLICATION_ENDING, APPLICATION_ENDING},
                        [APPLICATION_STOP_NOW] = {kill_it, APPLICATION_ENDING, APPLICATION_ENDING},
                },
        [APPLICATION_ENDING] =
                {
                        [APPLICATION_EXITED] = {bury, APPLICATION_WAITING, APPLICATION_STOPPED},
                        [APPLICATION_OVERDUE] = {still_there, APPLICATION_ENDING,
                                                 APPLICATION_STOPPED},
                        [APPLICATION_STOP] = {remember_stop, APPLICATION_ENDING,
                                              APPLICATION_ENDING},
                        [APPLICATION_STOP_NOW] = {remember_stop, APPLICATION_ENDING,
                                                  APPLICATION_ENDING},
                },
        [APPLICATION_WAITING] =
                {
                        [APPLICATION_START] = {begin, APPLICATION_STARTING, APPLICATION_WAITING},
                        [APPLICATION_STOP] = {close_down, APPLICATION_STOPPED, APPLICATION_STOPPED},
                        [APPLICATION_STOP_NOW] = {close_down, APPLICATION_STOPPED,
                                                  APPLICATION_STOPPED},
                },
};

void application_event(struct application *application, enum application_event event)
{
        const struct transition *transition = &table[application->state][event];

        if (!transition->action)
                return;
        application->state =
                transition->action(application) ? transition->next : transition->otherwise;
        if (application->state == APPLICATION_STOPPED) {
                close_listeners(application);
                supervisor_application_changed(application->supervisor);
        }
}
