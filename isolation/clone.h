/* Cloning a process into new namespaces and exec'ing a binary there with full capabilities in them.
 *
 * Theory of operation, in the order of the calls; P is the cloning process, C the clone.
 *
 *   P  opens the plan's sources as detached mounts, where it may (root).
 *   P  clone3 with the plan's namespace flags and CLONE_PIDFD. C waits on a pipe. Where the plan has a
 *      control group C is born in it (CLONE_INTO_CGROUP); its cgroup namespace then has to wait until it
 *      is there, since one that clone3 makes has P's own control group as its root.
 *   P  writes C's id maps (or lets newuidmap do it), then writes the go byte.
 *   C  still has P's ids on the host: where P could not open the sources, C does now, in its own mount
 *      namespace, and compares device and inode with the plan.
 *   C  becomes the plan's uid and gid, keeping its capabilities over the change and, by the ambient
 *      set, over the exec: an id map without 0 would lose them otherwise.
 *   C  moves its descriptors to their fixed numbers, closes all others, execs by descriptor (its new
 *      id might not be able to search the directories on the way).
 *
 * C runs on a copy of P's memory until the exec; nothing of a tenant's runs there. It does not allocate
 * what it does not need, and leaves by _exit.
 */
#pragma once

#include <stddef.h>
#include <sys/types.h>

#include "base/error.h"
#include "isolation/apply.h"
#include "isolation/plan.h"

struct isolation_clone {
        const struct plan *plan;
        /* In place of an exec: called in C, which then exits with 0. `trees` are the plan's sources. For what
         * only wants to know how far a clone gets (ladder.h). */
        void (*run)(void *context, const int *trees);
        int executable;   /* opened for reading, executable by the plan's id */
        char **arguments; /* argv, NULL at the end */
        char **environment;

        /* Descriptors that the program gets as 0, 1, 2, ...; -1 leaves a number closed. The plan's
         * sources are put at the numbers first_source, first_source + 1, ...: they must lie right
         * behind the last of these or in a gap of -1. All other descriptors are closed. */
        const int *descriptors;
        size_t descriptor_count;
        size_t first_source;

        /* Where plan->cgroup.present: the directory of the control group that C is born in. */
        int cgroup;

        /* Called in C when it cannot go on; it then exits with `step` as its status. `arranged` says
         * whether the descriptors have their fixed numbers already or still those of P. */
        void (*failed)(void *context, bool arranged, enum isolation_step_id step,
                       const struct error *error);
        void *context;
};

/* 0, with the pid and a pidfd of C; the caller owns the pidfd and reaps C. On failure (negative errno,
 * `error` filled, *ret_step says where) nothing is left behind. Blocks for the time that P's part
 * takes, less than a millisecond without the helpers. */
int isolation_clone(const struct isolation_clone *clone, pid_t *ret_pid, int *ret_pidfd,
                    enum isolation_step_id *ret_step, struct error *error);
