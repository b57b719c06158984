/* One application as the supervisor sees it: its listeners, its prototype, its workers.
 *
 * application.c has the machine of the whole, worker.c that of each slot; incarnation.c starts a prototype and
 * speaks with it. All belong to one struct, since they live and die together. */
#pragma once

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <systemd/sd-event.h>

#include "base/error.h"
#include "base/message.h"
#include "runtime/compile/compile.h"
#include "runtime/config/config.h"
#include "runtime/protocol/messages.h"
#include "runtime/supervisor/backoff.h"
#include "runtime/supervisor/cgroup.h"
#include "runtime/supervisor/listener.h"
#include "runtime/supervisor/load.h"
#include "runtime/supervisor/output.h"
#include "runtime/supervisor/relay.h"
#include "runtime/supervisor/supervisor.h"

enum application_state {
        APPLICATION_IDLE,     /* nothing runs */
        APPLICATION_STARTING, /* a prototype is on its way */
        APPLICATION_RUNNING,  /* it is ready: workers come and go */
        APPLICATION_STOPPING, /* workers have been asked to finish */
        APPLICATION_ENDING,   /* SIGKILL is sent; the prototype's end is awaited */
        APPLICATION_WAITING,  /* until the back-off is over */
        APPLICATION_STOPPED,  /* for good */
        APPLICATION_STATES
};

enum application_event {
        APPLICATION_START,    /* begin, or try again: the back-off is over */
        APPLICATION_READY,    /* the prototype said so */
        APPLICATION_FAULT,    /* it failed, or broke a rule; application->fault says how */
        APPLICATION_EXITED,   /* the prototype is dead */
        APPLICATION_OVERDUE,  /* a deadline has passed */
        APPLICATION_LISTENER, /* a listener is a new socket: the prototype has the dead one */
        APPLICATION_STOP,     /* finish, then stop for good */
        APPLICATION_STOP_NOW, /* stop for good */
        APPLICATION_EVENTS
};

enum worker_state {
        WORKER_EMPTY,     /* nothing runs on this slot */
        WORKER_WAITING,   /* until the back-off is over */
        WORKER_REQUESTED, /* the prototype has been asked for a clone */
        WORKER_STARTING,  /* it is known by both pids and held by a pidfd */
        WORKER_READY,
        WORKER_STOPPING, /* it has been asked to end, as it is not needed or takes too long */
        WORKER_DEAD,     /* it died; the prototype has not said how yet */
        WORKER_REAPING,  /* ... has; the kernel's own word is awaited (6.15) */
        WORKER_STATES
};

enum worker_event {
        WORKER_WANTED,   /* a worker shall be on this slot */
        WORKER_CLONED,   /* found on the host */
        WORKER_REFUSED,  /* the clone failed */
        WORKER_SERVES,   /* it said that it is ready */
        WORKER_UNWANTED, /* it has been idle for long enough */
        WORKER_HUNG,     /* it works on one request for longer than limits.timeout */
        WORKER_FAILED,   /* it told why it could not start; its end follows */
        WORKER_DIED,     /* the pidfd says so */
        WORKER_EXITED,   /* the prototype says how */
        WORKER_REAPED,   /* the kernel says how */
        WORKER_OVERDUE,  /* a deadline has passed */
        WORKER_GONE,     /* its prototype is dead, and so is it */
        WORKER_EVENTS
};

struct worker {
        struct application *application;
        uint32_t slot;
        enum worker_state state;
        struct backoff backoff;
        sd_event_source *timer; /* one deadline at a time: each state has at most one */

        uint64_t serial;
        bool clone_due, acknowledge_due; /* orders that have to be sent */
        pid_t pid;
        uint32_t isolated_pid;
        int pidfd;
        sd_event_source *death;
        uint64_t ordered_us; /* of clock_us(): when the prototype was told to clone it */
        uint64_t cloned_us;  /* monotonic */
        bool blamed;         /* its end counts as an early death */
        bool planned;        /* ... as none: we asked for it */
        bool served;         /* a worker of this incarnation on this slot was ready once */
        bool resting;        /* WAITING: and the back-off is not over */
        struct load load;
        /* What the prototype has said of it: each once. */
        bool told_start, told_ready, told_failure;
        bool told_end; /* ... and how: */
        uint32_t code, signal;
        bool core;
};

struct application {
        struct supervisor *supervisor;
        const struct config_application *config;
        const char *name;
        size_t index;
        enum application_state state;
        bool final;     /* after the next end it is not started again */
        bool restart;   /* after the next end it is, at once */
        bool launched;  /* its first start has come out, one way or the other */
        bool failed;    /* ... as a failure */
        bool announced; /* this incarnation's application-ready has been told */
        struct backoff backoff;
        sd_event_source *timer;

        struct error fault;
        unsigned fault_step; /* 0: it was no step */

        struct compiled *compiled;
        struct listener **listeners; /* one for each of the configuration's that lead here */
        size_t listener_count;
        struct listener_events listener_events;
        struct budget output_budget;
        struct output_sink sinks[2]; /* stdout, stderr */
        bool sinks_open;

        /* the incarnation: one prototype's life */
        pid_t pid;
        int pidfd;
        int pidns;              /* its pid namespace; -1 where it cannot be had */
        sd_event_source *death; /* while it lives */
        struct cgroup_home home;
        struct relay relay; /* between its pipes and ours */
        int orders, reports;
        sd_event_source *orders_source, *reports_source;
        int scoreboard, kick;
        sd_event_source *kick_source;
        enum prototype_phase phase;
        uint32_t seen;
        struct budget messages;
        struct output **outputs; /* 2 of the prototype, then 2 for each slot */
        size_t output_count;
        uint64_t started_us;    /* of clock_us(): when its start began, */
        uint64_t cloned_us;     /* and when its clone was on its own */
        bool stop_due;          /* ORDER_STOP has to be sent */
        uint64_t busy_since_us; /* ..., and when all workers were last not at work at once */
        sd_event_source *tick;  /* scaling.h */
        struct budget renewals; /* of workers that ended early though they had served */

        struct worker *workers; /* config->processes of them */
};

/* application.c */
int application_create(struct supervisor *supervisor, size_t index,
                       struct application **ret_application);
struct application *application_destroy(struct application *application); /* takes NULL */
/* Shares with the watcher all that must not outlive the supervisor. */
int application_watch(struct application *application, struct error *error);
void application_look(struct application *application); /* at its listeners: once a second */
void application_event(struct application *application, enum application_event event);

/* Something that the application must not go on after: the prototype is killed and the application backs
 * off. `step` is 0 or a step's number. */
void application_fault(struct application *application, unsigned step, const struct error *error);

/* A worker came up or could not: the first such outcome is the outcome of the application's start. */
void application_worker_ready(struct application *application);
void application_worker_failed(struct application *application, unsigned step,
                               const struct error *error);

/* start.c: everything up to a prototype on its way. *ret_step is 0 or the step that failed. */
int application_start(struct application *application, unsigned *ret_step, struct error *error);

/* incarnation.c */
int incarnation_start(struct application *application, unsigned *ret_step, struct error *error);
/* Reaps the prototype, which is dead or killed, and lets go of all that was its. *ret_end says how it ended;
 * si_pid is 0 when there was none. */
void incarnation_finish(struct application *application, siginfo_t *ret_end);
void incarnation_kill(struct application *application);
/* Sends what is due, as far as the pipe takes it; the rest follows by itself. */
void incarnation_flush(struct application *application);
uint64_t now_us(
        struct supervisor *supervisor); /* of this turn of the loop: the same for all of it */
uint64_t clock_us(void);                /* of this moment */

/* start_steps.c: `start-step` events. `since_us` is of clock_us(). */
void start_step(struct application *application, const char *name, uint64_t since_us);
void start_steps(struct application *application, const struct report_ready *report);

/* reports.c: what the prototype says. */
int reports_dispatch(sd_event_source *source, int fd, uint32_t revents, void *userdata);
void reports_scoreboard(struct worker *worker); /* looks at one worker's page */
int kick_dispatch(sd_event_source *source, int fd, uint32_t revents, void *userdata);

/* worker.c */
void worker_init(struct worker *worker, struct application *application, uint32_t slot);
void worker_event(struct worker *worker, enum worker_event event);
bool worker_alive(const struct worker *worker);
int worker_found(struct worker *worker, uint32_t isolated_pid, struct error *error);
void worker_signal(struct worker *worker, int signal);

/* timer.c: one-shot timers that are made when first used. */
int timer_arm(struct supervisor *supervisor, sd_event_source **timer, uint64_t delay_us,
              sd_event_time_handler_t handler, void *userdata);
void timer_disarm(sd_event_source *timer);
