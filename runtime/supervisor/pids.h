/* Finding workers on the host. A prototype says "pid 3 in my namespace"; that is a claim. What the supervisor
 * acts on is a pidfd that it opened itself, of a process whose parent is that prototype and whose number
 * inside is the one claimed, both asked of the kernel after the pidfd was opened, while the pidfd still
 * holds an unreaped process. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/error.h"

/* A prototype, as far as finding its children goes. */
struct pids_parent {
        pid_t pid;     /* on the host; we hold it by a pidfd and have not reaped it */
        bool nested;   /* it has a pid namespace of its own */
        int namespace; /* that namespace, or -1: pids_namespace; the caller closes it */
};

/* The pid namespace of a process, or a negative errno; -EINVAL: it is ours. */
int pids_namespace(pid_t pid);

/* -ESRCH when no child of it has that number inside. Costs the same however many children there are, where
 * the kernel translates (6.11); before that only the youngest PIDS_CANDIDATES are looked at. */
#define PIDS_CANDIDATES 128
int pids_find(const struct pids_parent *parent, uint32_t isolated_pid, pid_t *ret_pid,
              int *ret_pidfd, struct error *error);

/* 1 when the process has died (it may not have been reaped), 0 when it lives. */
int pids_dead(int pidfd);

/* The wait status of a reaped process by the kernel's word. -EAGAIN when it has not been reaped yet, -EOPNOTSUPP
 * on kernels before 6.15. */
int pids_status(int pidfd, int *ret_status);

/* Whether this kernel can tell (asked of a child that is made for it). */
bool pids_status_supported(void);
