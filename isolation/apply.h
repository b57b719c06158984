/* Applying a plan: a const table of steps, one file per step in isolation/steps/.
 *
 * Two processes take part. The *cloning* process (the supervisor) calls isolation_clone: namespaces,
 * id maps, sources, identity, exec (clone.h). The *prototype*, exec'd with all capabilities in its own
 * user namespace and none elsewhere, calls isolation_apply, which walks the table below in order. When
 * it returns 0 nothing can be taken back: the root is changed, the capabilities are gone, the filters
 * are on. Each step can fail with an exit status of its own, so that a start that nobody listens to
 * still says where it stopped.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "isolation/plan.h"

/* Names for people and exit statuses for parents. They are part of the interface: they stand in
 * events, in documents and in tests, and keep their numbers. */
enum isolation_step_id {
        STEP_NAMESPACES = 64, /* clone3 */
        STEP_ID_MAPS,
        STEP_SOURCES,
        STEP_IDENTITY,
        STEP_EXEC,
        STEP_TETHER,
        STEP_SESSION,
        STEP_HOSTNAME,
        STEP_PROPAGATION,
        STEP_ROOT,
        STEP_ENTRIES,
        STEP_SEAL,
        STEP_PIVOT,
        STEP_LIMITS,
        STEP_CAPABILITIES,
        STEP_NO_NEW_PRIVS,
        STEP_LANDLOCK,
        STEP_SECCOMP,
        STEP_COUNT_, /* what follows is the runtime's (runtime/protocol/steps.h) */
};

/* What a step works with. The first part is the caller's; the rest belongs to the steps. */
struct isolation {
        const struct plan *plan;
        const int *sources; /* plan->source_count descriptors: detached trees (open_tree(2)) */
        int tether;         /* a pipe whose writer is the process that we must not outlive, or -1 */
        /* Called behind each step that worked, for who wants to know how long they take; or NULL. */
        void (*passed)(void *context, enum isolation_step_id step);
        void *context;

        int root;              /* the new root, while it is assembled */
        int worker_ruleset;    /* the Landlock ruleset that each worker enters; -1: none */
        uint32_t worker_flags; /* and with which flags */
};

/* How a step tells, without doing anything, which system calls it would make and with what. */
struct isolation_report {
        void (*step)(void *context, const char *name);
        void (*call)(void *context, const char *system_call, const char *arguments);
        void *context;
};

struct isolation_step {
        enum isolation_step_id id;
        const char *name;
        /* 0 or a negative errno with `error` filled. */
        int (*apply)(struct isolation *isolation, struct error *error);
        /* The calls that apply makes for this plan, in order. */
        void (*describe)(const struct plan *plan, const struct isolation_report *report);
};

/* Runs the prototype's steps. On failure *ret_step is the one that failed; the caller exits. */
int isolation_apply(struct isolation *isolation, enum isolation_step_id *ret_step,
                    struct error *error);

/* Reports all steps of a plan in order, those of isolation_clone first. */
void isolation_describe(const struct plan *plan, const struct isolation_report *report);

/* The locks that a worker adds to what it inherits: its own Landlock domain, its difference filter.
 * Called in the worker, before any code of a tenant. `difference` is a copy of plan->worker_filter that
 * outlived the plan; ruleset and flags are what isolation_apply left in struct isolation. */
int isolation_confine_worker(const struct plan_filter *difference, int worker_ruleset,
                             uint32_t worker_flags, enum isolation_step_id *ret_step,
                             struct error *error);
void isolation_describe_worker(const struct plan *plan, const struct isolation_report *report);

/* "pivot", or NULL for a number that is no step. */
const char *isolation_step_name(unsigned id);
