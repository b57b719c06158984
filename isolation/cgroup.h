/* Control groups, version 2 (cgroups(7), the kernel's cgroup-v2.rst): where we may have some of our own, and
 * what can be done with one.
 *
 * Nobody owns the hierarchy but its administrator, so we take what was given to us: the control group that the
 * configuration names, or our own one where that is delegated. Version 1 is not used: it cannot be delegated
 * to anybody safely, and knows neither of a limit's events nor of killing all at once.
 *
 * A control group is held by a descriptor of its directory, O_RDONLY; all that happens goes through it.
 */
#pragma once

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "isolation/plan.h"

enum cgroup_controller {
        CGROUP_CPU = 1,
        CGROUP_IO = 2,
        CGROUP_MEMORY = 4,
        CGROUP_PIDS = 8,
};

/* Where control groups of ours may be made. */
struct cgroup_place {
        char path[PATH_MAX];  /* its directory */
        uint32_t controllers; /* enum cgroup_controller: those that can be switched on below it */
        bool ours;            /* it is the one that we are in: we have to leave it first */
        bool missing;         /* it has to be made; its parent is there */
        bool given; /* to us, in so many words: the configuration's, or marked by systemd */
};

/* Looks for the place and changes nothing. `configured` is a directory, or NULL: the control group of this
 * process, where it is delegated: systemd says so (Delegate=), or, where there is no systemd, it belongs
 * to us as an ordinary user, or it is the root of our cgroup namespace.
 * Negative errno with cause and remedy: -ENOTSUP no version 2 here, -EPERM not delegated, and whatever
 * opening it gives. */
int cgroup_find(const char *configured, struct cgroup_place *ret_place, struct error *error);

/* Which controllers these limits need. */
uint32_t cgroup_needs(const struct plan_cgroup *limits);

/* Refuses what the place does not have, with the likely reason: -ENOTSUP. */
int cgroup_check(const struct cgroup_place *place, uint32_t controllers, struct error *error);

/* Opens the place, making its directory when it is missing. The descriptor or a negative errno. */
int cgroup_open_place(const struct cgroup_place *place, struct error *error);

/* Switches controllers on for the children of a control group. -EBUSY: it has processes. */
int cgroup_enable(int cgroup, uint32_t controllers, struct error *error);

/* Switches off whatever is switched on: it may have processes again. 0 or -errno. */
int cgroup_disable(int cgroup);

/* A new one below `parent`: a descriptor or a negative errno, -EEXIST among them. */
int cgroup_make(int parent, const char *name, struct error *error);

/* Writes the limits. What is unlimited is not written: a new control group has no limits. */
int cgroup_limit(int cgroup, const struct plan_cgroup *limits, struct error *error);

/* Moves a process, with all its threads; 0 is the caller. */
int cgroup_move(int cgroup, pid_t pid, struct error *error);

/* SIGKILL to all that is in it and below it, clones on their way included (Linux 5.14). 0 or -errno. */
int cgroup_kill(int cgroup);

/* Removes it with everything below it. -EBUSY as long as the kernel has not let go of its last process. */
int cgroup_remove(int parent, const char *name);

/* The number behind `key` in one of its files ("memory.events", "oom_kill"), or the only one in the file where
 * `key` is NULL. 0 or -errno; -ENODATA: it is not there. */
int cgroup_read(int cgroup, const char *file, const char *key, uint64_t *ret_value);
