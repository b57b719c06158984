/* The control groups of one supervisor.
 *
 *     PLACE                      what was given to us (isolation/cgroup.h)
 *       clade-PID                of this supervisor; locked as long as it lives
 *         supervisor             where we go when PLACE was our own: only what has no processes can divide
 *         applications
 *           NAME-N               of the Nth prototype of an application, and of all that comes from it
 *
 * A supervisor that was killed leaves empty ones behind. The next one in the same place finds them unlocked and
 * removes them; no pid is compared.
 *
 * Applications are siblings without weights of their own, so where time is short each gets as much as any other,
 * and the supervisor as much as all of them.
 */
#pragma once

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <systemd/sd-event.h>

#include "base/error.h"
#include "runtime/compile/compile.h"

struct application;
struct supervisor;

#define CGROUP_NAME_SIZE 96

struct cgroup_tree {
        struct compile_cgroups found; /* what compilers are told */
        int place, own, applications; /* -1: there is none */
        bool inside;                  /* we have moved into it */
        char name[CGROUP_NAME_SIZE];  /* "clade-PID" */
        uint64_t serial;              /* N of the last one */
        struct cgroup_leaving *leaving;
        sd_event_source *timer; /* for those that could not be removed yet */
        uint64_t delay_us;
};

#define CGROUP_TREE_INIT                                                                           \
        {                                                                                          \
                .place = -1, .own = -1, .applications = -1                                         \
        }

/* Looks for a place and, where it was given to us or an application needs it, takes it. Before any child is
 * started: ours would stay behind in PLACE. What fails is kept in `found`, for those who need it. */
void cgroup_tree_open(struct supervisor *supervisor);

/* Removes all that is ours; waits a little where the kernel is not done with it. */
void cgroup_tree_close(struct supervisor *supervisor);

/* The watcher ends all that is in there, should we die. */
int cgroup_tree_watch(struct supervisor *supervisor, struct error *error);

/* One prototype's control group. */
struct cgroup_home {
        int fd; /* -1: there is none */
        char name[CGROUP_NAME_SIZE];
        sd_event_source *memory, *tasks; /* their events */
        uint64_t kills_told, kills_taken, refusals_told;
};

#define CGROUP_HOME_INIT                                                                           \
        {                                                                                          \
                .fd = -1                                                                           \
        }

/* Makes it, with its limits. */
int cgroup_home_make(struct application *application, struct error *error);

/* Whether the kernel has killed a process in there for want of memory, once for each. */
bool cgroup_home_out_of_memory(struct application *application);

/* SIGKILL to everything in there. */
void cgroup_home_kill(struct application *application);

/* Nobody lives there any more: it is removed, now or soon. */
void cgroup_home_leave(struct application *application);

/* cgroup_events.c: events of its limits; what it has used, at debug level. */
int cgroup_home_watch(struct application *application, struct error *error);
void cgroup_home_account(struct application *application);

/* Where it is, for people: "" where there is none. PATH_MAX bytes. */
const char *cgroup_home_path(const struct application *application, char *buffer);
