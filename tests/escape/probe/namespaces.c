/* Rows 1 to 6: namespaces of one's own, those of others, and the ids in them. */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "probe.h"

#ifndef CLONE_NEWTIME
#define CLONE_NEWTIME 0x00000080
#endif

static void try_unshare(const struct probe *probe, const struct attempt *attempt,
                        struct outcome *outcome)
{
        (void)probe;
        outcome_call(outcome, unshare((int)attempt->number));
}

static void try_clone(const struct probe *probe, const struct attempt *attempt,
                      struct outcome *outcome)
{
        long child = syscall(SYS_clone, attempt->number | SIGCHLD, 0, 0, 0, 0);

        (void)probe;
        if (child == 0)
                _exit(0);
        outcome_call(outcome, child);
}

static void try_clone3(const struct probe *probe, const struct attempt *attempt,
                       struct outcome *outcome)
{
        struct clone_args arguments = {
                .flags = (uint64_t)attempt->number,
                .exit_signal = SIGCHLD,
        };
        long child = syscall(SYS_clone3, &arguments, sizeof(arguments));

        (void)probe;
        if (child == 0)
                _exit(0);
        outcome_call(outcome, child);
}

/* Pid 1's namespace, or where that cannot be opened, the answer to the opening. */
static void try_setns(const struct probe *probe, const struct attempt *attempt,
                      struct outcome *outcome)
{
        int fd = open(attempt->path, O_RDONLY | O_CLOEXEC);

        (void)probe;
        outcome_call(outcome, fd < 0 ? fd : setns(fd, 0));
}

static void try_setns_pidfd(const struct probe *probe, const struct attempt *attempt,
                            struct outcome *outcome)
{
        long fd = syscall(SYS_pidfd_open, 1, 0);

        (void)probe;
        outcome_call(outcome, fd < 0 ? fd : setns((int)fd, (int)attempt->number));
}

static void try_setgroups(const struct probe *probe, const struct attempt *attempt,
                          struct outcome *outcome)
{
        const gid_t groups[] = {0, 4};

        (void)probe;
        outcome_call(outcome, setgroups((size_t)attempt->number, groups));
}

const struct attempt namespace_attempts[] = {
        {1, "unshare-user", try_unshare, .number = CLONE_NEWUSER},
        {1, "unshare-user-mount", try_unshare, .number = CLONE_NEWUSER | CLONE_NEWNS},
        {1, "clone-user", try_clone, .number = CLONE_NEWUSER},
        {1, "clone-user-pid-net", try_clone, .number = CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNET},
        {2, "clone3-plain", try_clone3, .number = 0},
        {2, "clone3-user", try_clone3, .number = CLONE_NEWUSER},
        {2, "clone3-null", try_syscall, .number = SYS_clone3},
        {3, "unshare-mount", try_unshare, .number = CLONE_NEWNS},
        {3, "unshare-net", try_unshare, .number = CLONE_NEWNET},
        {3, "unshare-cgroup", try_unshare, .number = CLONE_NEWCGROUP},
        {3, "unshare-time", try_unshare, .number = CLONE_NEWTIME},
        {3, "unshare-pid", try_unshare, .number = CLONE_NEWPID},
        {3, "unshare-ipc", try_unshare, .number = CLONE_NEWIPC},
        {3, "unshare-uts", try_unshare, .number = CLONE_NEWUTS},
        {3, "clone-mount", try_clone, .number = CLONE_NEWNS},
        {3, "clone-net", try_clone, .number = CLONE_NEWNET},
        {3, "clone-cgroup", try_clone, .number = CLONE_NEWCGROUP},
        {3, "clone-pid", try_clone, .number = CLONE_NEWPID},
        {3, "clone-ipc", try_clone, .number = CLONE_NEWIPC},
        {3, "clone-uts", try_clone, .number = CLONE_NEWUTS},
        {4, "setns-1-user", try_setns, "/proc/1/ns/user"},
        {4, "setns-1-mnt", try_setns, "/proc/1/ns/mnt"},
        {4, "setns-1-net", try_setns, "/proc/1/ns/net"},
        {4, "setns-1-pid", try_setns, "/proc/1/ns/pid"},
        {4, "setns-1-ipc", try_setns, "/proc/1/ns/ipc"},
        {4, "setns-1-uts", try_setns, "/proc/1/ns/uts"},
        {4, "setns-1-cgroup", try_setns, "/proc/1/ns/cgroup"},
        {4, "setns-self-mnt", try_setns, "/proc/self/ns/mnt"},
        {4, "setns-self-net", try_setns, "/proc/self/ns/net"},
        {4, "setns-pidfd-mnt", try_setns_pidfd, .number = CLONE_NEWNS},
        {4, "setns-pidfd-user", try_setns_pidfd, .number = CLONE_NEWUSER},
        {4, "setns-pidfd-all", try_setns_pidfd,
         .number = CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWPID},
        {5, "uid_map", try_write, "/proc/self/uid_map", "0 0 1"},
        {5, "gid_map", try_write, "/proc/self/gid_map", "0 0 1"},
        {5, "uid_map-1", try_write, "/proc/1/uid_map", "0 0 1"},
        {6, "setgroups-allow", try_write, "/proc/self/setgroups", "allow"},
        {6, "setgroups-none", try_setgroups, .number = 0},
        {6, "setgroups-root", try_setgroups, .number = 2},
        {0},
};
