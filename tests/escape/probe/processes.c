/* Rows 30, 31 and 54: other processes, above all the prototype (pid 1) and a sibling worker. */
#include <errno.h>
#include <fcntl.h>
#include <linux/kcmp.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "probe.h"

/* Whom: number 1 is pid 1, number 0 the sibling, whose pid has been told. */
static pid_t whom(const struct probe *probe, const struct attempt *attempt)
{
        if (attempt->number == 1)
                return 1;
        return (pid_t)parameter_number(probe, "sibling");
}

/* What /proc calls them: where that is the outer one, the sibling has another number there. */
static pid_t whose(const struct probe *probe, pid_t pid)
{
        long outer = pid == 1 ? 0 : parameter_number(probe, "outer");

        return outer ? (pid_t)outer : pid;
}

#define WHOM(pid)                                                                                  \
        pid_t pid = whom(probe, attempt);                                                          \
        if (pid == 0) {                                                                            \
                outcome_set(outcome, "untold");                                                    \
                return;                                                                            \
        }

/* Whoever could be attached to is let go again: it may be who waits for us. */
static void try_ptrace(const struct probe *probe, const struct attempt *attempt,
                       struct outcome *outcome)
{
        long r;

        WHOM(pid);
        r = ptrace((enum __ptrace_request)attempt->arguments[0], pid, NULL, NULL);
        outcome_call(outcome, r);
        if (r < 0)
                return;
        if (attempt->arguments[0] == PTRACE_ATTACH)
                waitpid(pid, NULL, __WALL);
        ptrace(PTRACE_DETACH, pid, NULL, NULL);
        kill(pid, SIGCONT);
}

static void try_vm(const struct probe *probe, const struct attempt *attempt,
                   struct outcome *outcome)
{
        char byte[1] = "";
        struct iovec here = {byte, 1};
        struct iovec there = {(void *)&try_vm, 1}; /* a clone has it at the same place */

        WHOM(pid);
        if (attempt->arguments[0])
                outcome_call(outcome, process_vm_writev(pid, &here, 1, &there, 1, 0));
        else
                outcome_call(outcome, process_vm_readv(pid, &here, 1, &there, 1, 0));
}

static void try_proc(const struct probe *probe, const struct attempt *attempt,
                     struct outcome *outcome)
{
        char path[64];

        WHOM(pid);
        snprintf(path, sizeof(path), "/proc/%d/%s", (int)whose(probe, pid), attempt->path);
        outcome_call(outcome, open(path, (int)attempt->arguments[0] | O_CLOEXEC));
}

static void try_fd_links(const struct probe *probe, const struct attempt *attempt,
                         struct outcome *outcome)
{
        struct many many = {.done = false};
        char path[64], target[256];

        WHOM(pid);
        for (int fd = 0; fd < 16; fd++) {
                snprintf(path, sizeof(path), "/proc/%d/fd/%d", (int)whose(probe, pid), fd);
                many_call(&many, path, readlink(path, target, sizeof(target)));
        }
        many_tell(&many, outcome);
}

static void try_getfd(const struct probe *probe, const struct attempt *attempt,
                      struct outcome *outcome)
{
        struct many many = {.done = false};
        long pidfd;

        WHOM(pid);
        pidfd = syscall(SYS_pidfd_open, pid, 0);
        for (int fd = 0; fd < 16; fd++)
                many_call(&many, "pidfd_getfd",
                          pidfd < 0 ? pidfd : syscall(SYS_pidfd_getfd, pidfd, fd, 0));
        many_tell(&many, outcome);
}

static void try_kcmp(const struct probe *probe, const struct attempt *attempt,
                     struct outcome *outcome)
{
        WHOM(pid);
        outcome_call(outcome, syscall(SYS_kcmp, getpid(), pid, KCMP_FILE, 0, 0));
}

static void try_madvise(const struct probe *probe, const struct attempt *attempt,
                        struct outcome *outcome)
{
        struct iovec there = {(char *)&try_madvise - ((uintptr_t)&try_madvise & 4095), 4096};
        long pidfd;

        WHOM(pid);
        pidfd = syscall(SYS_pidfd_open, pid, 0);
        outcome_call(outcome, pidfd < 0 ? pidfd
                                        : syscall(SYS_process_madvise, pidfd, &there, 1,
                                                  21 /* MADV_PAGEOUT */, 0));
}

static void try_prlimit(const struct probe *probe, const struct attempt *attempt,
                        struct outcome *outcome)
{
        struct rlimit limit = {65536, 65536};

        WHOM(pid);
        outcome_call(outcome, prlimit(pid, RLIMIT_NOFILE, &limit, NULL));
}

/* SIGCONT harms nobody who gets it. */
static void try_signal(const struct probe *probe, const struct attempt *attempt,
                       struct outcome *outcome)
{
        siginfo_t info = {.si_signo = SIGCONT, .si_code = SI_QUEUE};

        WHOM(pid);
        outcome_call(outcome, syscall(attempt->arguments[0], pid, SIGCONT, &info));
}

static void try_thread_signal(const struct probe *probe, const struct attempt *attempt,
                              struct outcome *outcome)
{
        siginfo_t info = {.si_signo = SIGCONT, .si_code = SI_QUEUE};

        WHOM(pid);
        outcome_call(outcome, syscall(attempt->arguments[0], pid, pid, SIGCONT, &info));
}

static void try_pidfd_signal(const struct probe *probe, const struct attempt *attempt,
                             struct outcome *outcome)
{
        long pidfd;

        WHOM(pid);
        pidfd = syscall(SYS_pidfd_open, pid, 0);
        outcome_call(outcome,
                     pidfd < 0 ? pidfd : syscall(SYS_pidfd_send_signal, pidfd, SIGCONT, NULL, 0));
}

/* Everybody but ourselves and pid 1. Without children: those may well be signalled. */
static void try_kill_all(const struct probe *probe, const struct attempt *attempt,
                         struct outcome *outcome)
{
        (void)probe, (void)attempt;
        while (waitpid(-1, NULL, WNOHANG) > 0)
                continue;
        outcome_call(outcome, kill(-1, SIGCONT));
}

/* The process group of somebody else. */
static void try_kill_group(const struct probe *probe, const struct attempt *attempt,
                           struct outcome *outcome)
{
        WHOM(pid);
        outcome_call(outcome, kill(-pid, SIGCONT));
}

/* A descriptor whose input sends a signal to whom we say. The kernel takes the wish; so what counts is what
 * comes of it: a sibling that got the SIGIO would be dead, which the driver sees. */
static void try_own_signal(const struct probe *probe, const struct attempt *attempt,
                           struct outcome *outcome)
{
        int line[2];

        WHOM(pid);
        if (pipe2(line, O_CLOEXEC) < 0 || fcntl(line[0], F_SETOWN, pid) < 0 ||
            fcntl(line[0], 10 /* F_SETSIG */, SIGKILL) < 0 ||
            fcntl(line[0], F_SETFL, O_ASYNC) < 0 || write(line[1], "x", 1) != 1) {
                outcome_call(outcome, -1);
                return;
        }
        usleep(10000);
        outcome_call(outcome,
                     pid == 1 || syscall(SYS_pidfd_open, pid, 0) >= 0 ? (errno = EPERM, -1) : 0);
}

/* Children of children that nobody waits for, in sessions of their own, deaf to what can be refused to hear. The
 * driver looks whether they outlive their prototype. */
static void make_orphans(const struct probe *probe, const struct attempt *attempt,
                         struct outcome *outcome)
{
        pid_t child = fork();
        int status;

        (void)probe, (void)attempt;
        if (child == 0) {
                setsid();
                for (int i = 0; i < 3; i++) {
                        if (fork() != 0)
                                continue;
                        setsid();
                        for (int number = 1; number < NSIG; number++)
                                signal(number, SIG_IGN);
                        for (;;)
                                pause();
                }
                _exit(0);
        }
        outcome_call(outcome, child < 0 || waitpid(child, &status, 0) != child ? -1 : 0);
}

static void try_pdeathsig(const struct probe *probe, const struct attempt *attempt,
                          struct outcome *outcome)
{
        (void)probe;
        outcome_call(outcome, prctl(PR_SET_PDEATHSIG, attempt->number));
}

#define BOTH(row, name, ...)                                                                       \
        {row, name "-1", .number = 1, __VA_ARGS__},                                                \
        {                                                                                          \
                row, name "-sibling", __VA_ARGS__                                                  \
        }

const struct attempt process_attempts[] = {
        BOTH(30, "attach", .run = try_ptrace, .arguments = {PTRACE_ATTACH}),
        BOTH(30, "seize", .run = try_ptrace, .arguments = {PTRACE_SEIZE}),
        BOTH(30, "process_vm_readv", .run = try_vm),
        BOTH(30, "process_vm_writev", .run = try_vm, .arguments = {1}),
        BOTH(30, "mem", .run = try_proc, .path = "mem", .arguments = {O_RDWR}),
        BOTH(30, "mem-read", .run = try_proc, .path = "mem", .arguments = {O_RDONLY}),
        BOTH(30, "environ", .run = try_proc, .path = "environ", .arguments = {O_RDONLY}),
        BOTH(30, "maps", .run = try_proc, .path = "maps", .arguments = {O_RDONLY}),
        BOTH(30, "fd", .run = try_fd_links),
        BOTH(30, "pidfd_getfd", .run = try_getfd),
        BOTH(30, "kcmp", .run = try_kcmp),
        BOTH(30, "process_madvise", .run = try_madvise),
        BOTH(30, "prlimit", .run = try_prlimit),
        BOTH(31, "kill", .run = try_signal, .arguments = {SYS_kill}),
        BOTH(31, "tkill", .run = try_signal, .arguments = {SYS_tkill}),
        BOTH(31, "rt_sigqueueinfo", .run = try_signal, .arguments = {SYS_rt_sigqueueinfo}),
        BOTH(31, "tgkill", .run = try_thread_signal, .arguments = {SYS_tgkill}),
        BOTH(31, "rt_tgsigqueueinfo", .run = try_thread_signal,
             .arguments = {SYS_rt_tgsigqueueinfo}),
        BOTH(31, "pidfd_send_signal", .run = try_pidfd_signal),
        {31, "kill-group-sibling", try_kill_group},
        BOTH(31, "F_SETOWN", .run = try_own_signal),
        {31, "kill-everybody", try_kill_all, .direct = true},
        {54, "pdeathsig-off", try_pdeathsig, .number = 0},
        {54, "pdeathsig-hup", try_pdeathsig, .number = SIGHUP},
        /* by name only */
        {0, "orphans", make_orphans},
        {0},
};
