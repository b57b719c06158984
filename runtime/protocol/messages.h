/* What supervisor and prototype say to each other, over two packet pipes.
 *
 * Downwards ("orders") the supervisor speaks to a process that it need not be afraid of hurting; upwards
 * ("reports") every word may be a tenant's. The tables at the end say what may come when; base/message.h
 * checks it. A pid in a report is a claim about a number inside: the supervisor looks the worker up
 * itself (runtime/supervisor/pids.h) and acts on what it found.
 *
 *     supervisor                      prototype
 *                    <- READY | FAILED               once, at the end of the start
 *     CLONE ->                                        one for each worker wanted
 *                    <- CLONED | CLONE_FAILED
 *     ACKNOWLEDGE ->                                  found on the host: may be reaped from now on
 *                    <- STARTED                      the application's code has the worker
 *                    <- WORKER_READY                 exec worked, or it said READY=1
 *                    <- WORKER_FAILED                it never got that far; EXITED follows
 *                    <- EXITED
 *     STOP ->                                         no more clones; leave when the last worker is gone
 */
#pragma once

#include <stdint.h>

#include "base/message.h"

enum order_type {
        ORDER_CLONE = 1,
        ORDER_ACKNOWLEDGE,
        ORDER_STOP,
};

struct order_clone {
        struct message_header header;
        uint64_t serial; /* counts the clones of this supervisor's life; never 0 */
        uint32_t slot;   /* below the launch's slot_count, and free */
        uint32_t spare;
};

struct order_acknowledge {
        struct message_header header;
        uint32_t isolated_pid;
        uint32_t spare;
};

struct order_stop {
        struct message_header header;
};

enum report_type {
        REPORT_READY = 1,
        REPORT_FAILED,
        REPORT_CLONED,
        REPORT_CLONE_FAILED,
        REPORT_STARTED,
        REPORT_WORKER_READY,
        REPORT_WORKER_FAILED,
        REPORT_EXITED,
};

/* One of the prototype's steps and how long it took. */
struct report_step {
        uint32_t step; /* runtime/protocol/steps.h */
        uint32_t us;
};

#define REPORT_STEPS_MAX 32

struct report_ready {
        struct message_header header;
        uint32_t step_count; /* REPORT_STEPS_MAX at most */
        uint32_t spare;
        struct report_step steps[REPORT_STEPS_MAX]; /* in the order they were made */
};

struct report_failed {
        struct message_header header;
        uint32_t step; /* runtime/protocol/steps.h */
        uint32_t spare;
        struct error error; /* its texts end with NUL only if the sender is honest */
};

struct report_cloned {
        struct message_header header;
        uint64_t serial;
        uint32_t slot;
        uint32_t isolated_pid;
};

struct report_clone_failed {
        struct message_header header;
        uint64_t serial;
        uint32_t slot;
        uint32_t code; /* errno */
};

/* STARTED, WORKER_READY */
struct report_worker {
        struct message_header header;
        uint32_t isolated_pid;
        uint32_t spare;
};

struct report_worker_failed {
        struct message_header header;
        uint32_t isolated_pid;
        uint32_t step;
        struct error error;
};

struct report_exited {
        struct message_header header;
        uint32_t isolated_pid;
        uint32_t code;   /* exit status, 0..255; meaningless with a signal */
        uint32_t signal; /* 0: it exited */
        uint32_t core;   /* 0 or 1 */
};

/* CLONED or CLONE_FAILED, STARTED, WORKER_READY or WORKER_FAILED, EXITED. */
#define REPORTS_PER_CLONE 4

/* The prototype's phases, as the supervisor sees them. */
enum prototype_phase {
        PROTOTYPE_STARTING, /* until READY or FAILED */
        PROTOTYPE_RUNNING,
        PROTOTYPE_FAILED, /* said FAILED: nothing may follow */
        PROTOTYPE_PHASES
};

extern const struct message_table order_table; /* phase is always 0 */
extern const struct message_table report_table;

#define MESSAGE_INIT(message_type, message)                                                        \
        {                                                                                          \
                .header = {.type = (message_type), .size = sizeof(message) }                       \
        }
