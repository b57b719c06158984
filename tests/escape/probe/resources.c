/* Rows 42, 53, 64 and 65: limits, up to them and beyond, and the pipes that lead to the log. */
#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

#include "probe.h"

static void try_raise(const struct probe *probe, const struct attempt *attempt,
                      struct outcome *outcome)
{
        struct rlimit limit;

        (void)probe;
        getrlimit((__rlimit_resource_t)attempt->number, &limit);
        if (limit.rlim_max == RLIM_INFINITY) {
                outcome_set(outcome, "unlimited");
                return;
        }
        limit.rlim_max++;
        outcome_call(outcome, setrlimit((__rlimit_resource_t)attempt->number, &limit));
}

static void try_scheduler(const struct probe *probe, const struct attempt *attempt,
                          struct outcome *outcome)
{
        struct sched_param parameters = {.sched_priority = 1};

        (void)probe;
        outcome_call(outcome, sched_setscheduler(0, (int)attempt->number, &parameters));
}

static void try_deadline(const struct probe *probe, const struct attempt *attempt,
                         struct outcome *outcome)
{
        struct {
                uint32_t size, policy;
                uint64_t flags;
                int32_t nice;
                uint32_t priority;
                uint64_t runtime, deadline, period;
        } attributes = {
                sizeof(attributes), 6 /* SCHED_DEADLINE */, 0, 0, 0, 10000000, 30000000, 30000000};

        (void)probe, (void)attempt;
        outcome_call(outcome, syscall(SYS_sched_setattr, 0, &attributes, 0));
}

static void try_nice(const struct probe *probe, const struct attempt *attempt,
                     struct outcome *outcome)
{
        (void)probe;
        outcome_call(outcome, setpriority(PRIO_PROCESS, 0, (int)attempt->number));
}

/* Class 1 is real time. */
static void try_ioprio(const struct probe *probe, const struct attempt *attempt,
                       struct outcome *outcome)
{
        (void)probe, (void)attempt;
        outcome_call(outcome, syscall(SYS_ioprio_set, 1, 0, 1 << 13));
}

/* --- up to the limits --------------------------------------------------------------------------------- */

/* Until it is full, or `number` MiB are there, twice what is allowed. */
static void fill_tmp(const struct probe *probe, const struct attempt *attempt,
                     struct outcome *outcome)
{
        static char block[1 << 20];
        int fd = open("/tmp/escape-full", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
        ssize_t n = 1;
        long blocks;

        (void)probe;
        for (blocks = 0; fd >= 0 && n > 0 && blocks < attempt->number; blocks++)
                n = write(fd, block, sizeof(block));
        if (fd >= 0 && n > 0)
                outcome_set(outcome, "unlimited:%ld", blocks);
        else
                outcome_call(outcome, -1);
        unlink("/tmp/escape-full");
}

static void fill_inodes(const struct probe *probe, const struct attempt *attempt,
                        struct outcome *outcome)
{
        char path[64];
        long count;
        int r = 0;

        (void)probe;
        if (mkdir("/tmp/escape-many", 0700) < 0) {
                outcome_call(outcome, -1);
                return;
        }
        for (count = 0; r >= 0 && count < attempt->number; count++) {
                snprintf(path, sizeof(path), "/tmp/escape-many/%ld", count);
                r = mknod(path, S_IFREG | 0600, 0);
        }
        if (r >= 0)
                outcome_set(outcome, "unlimited:%ld", count);
        else
                outcome_call(outcome, -1);
        while (count-- > 0) {
                snprintf(path, sizeof(path), "/tmp/escape-many/%ld", count);
                unlink(path);
        }
        rmdir("/tmp/escape-many");
}

static void fill_descriptors(const struct probe *probe, const struct attempt *attempt,
                             struct outcome *outcome)
{
        struct rlimit limit;
        long count = 0;

        (void)probe;
        getrlimit(RLIMIT_NOFILE, &limit);
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
        while (count < attempt->number && dup(0) >= 0)
                count++;
        if (count == attempt->number)
                outcome_set(outcome, "unlimited:%ld", count);
        else
                outcome_call(outcome, -1);
}

/* They wait for the end of a pipe, and so end with us. */
static void fill_tasks(const struct probe *probe, const struct attempt *attempt,
                       struct outcome *outcome)
{
        int line[2], code;
        long count = 0;
        pid_t child = 0;
        char byte;

        if (pipe2(line, O_CLOEXEC) < 0) {
                outcome_call(outcome, -1);
                return;
        }
        while (count < attempt->number && (child = fork()) >= 0) {
                if (child == 0) {
                        close(line[1]);
                        _exit(read(line[0], &byte, 1) == 0 ? 0 : 1);
                }
                count++;
        }
        code = errno;
        usleep((useconds_t)parameter_number(probe, "hold") * 1000);
        close(line[1]);
        while (waitpid(-1, NULL, 0) > 0)
                continue;
        errno = code;
        if (count == attempt->number)
                outcome_set(outcome, "unlimited:%ld", count);
        else
                outcome_call(outcome, -1);
}

static void fill_memory_lock(const struct probe *probe, const struct attempt *attempt,
                             struct outcome *outcome)
{
        size_t size = (size_t)attempt->number << 20;
        void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

        (void)probe;
        /* Not the library's, which AddressSanitizer replaces. */
        outcome_call(outcome, memory == MAP_FAILED ? -1 : syscall(SYS_mlock, memory, size));
}

/* Descriptors that are on their way count for an id. They stay there for as long as the driver looks: ours is
 * the connection that it keeps open. */
static void hold_descriptors(const struct probe *probe, const struct attempt *attempt,
                             struct outcome *outcome)
{
        char control[CMSG_SPACE(sizeof(int) * 100)] = "", byte[1] = "x";
        struct iovec word = {byte, 1};
        struct msghdr message = {
                .msg_iov = &word,
                .msg_iovlen = 1,
                .msg_control = control,
                .msg_controllen = sizeof(control),
        };
        struct cmsghdr *header = CMSG_FIRSTHDR(&message);
        int pair[2], *list = (int *)(void *)CMSG_DATA(header);
        long count = 0;

        (void)probe;
        header->cmsg_level = SOL_SOCKET;
        header->cmsg_type = SCM_RIGHTS;
        header->cmsg_len = CMSG_LEN(sizeof(int) * 100);
        for (int i = 0; i < 100; i++)
                list[i] = 0;
        while (count < attempt->number &&
               socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, pair) == 0) {
                ssize_t n = 0;

                while (count < attempt->number &&
                       (n = sendmsg(pair[0], &message, MSG_DONTWAIT | MSG_NOSIGNAL)) > 0)
                        count += 100;
                if (n < 0 && errno != EAGAIN && errno != ENOBUFS)
                        break;
        }
        if (count >= attempt->number)
                outcome_set(outcome, "unlimited:%ld", count);
        else
                outcome_call(outcome, -1);
        /* They are held by us until the driver has seen what it wants to see. */
        usleep((useconds_t)parameter_number(probe, "hold") * 1000);
}

static void fill_inotify(const struct probe *probe, const struct attempt *attempt,
                         struct outcome *outcome)
{
        long count = 0;

        (void)probe;
        while (count < attempt->number && inotify_init1(IN_CLOEXEC) >= 0)
                count++;
        if (count == attempt->number)
                outcome_set(outcome, "unlimited:%ld", count);
        else
                outcome_call(outcome, -1);
        usleep((useconds_t)parameter_number(probe, "hold") * 1000);
}

/* --- the log -------------------------------------------------------------------------------------------- */

static void try_log(const struct probe *probe, const struct attempt *attempt,
                    struct outcome *outcome)
{
        struct many many = {.done = false};

        (void)probe, (void)attempt;
        for (int fd = 1; fd <= 2; fd++) {
                many_call(&many, "truncate", ftruncate(fd, 0));
                many_call(&many, "seek", lseek(fd, 0, SEEK_SET));
                many_call(&many, "pwrite", pwrite(fd, "x", 1, 0));
        }
        many_tell(&many, outcome);
}

/* Lines that look like the supervisor's own; the driver looks for them among those. */
static void forge_log(const struct probe *probe, const struct attempt *attempt,
                      struct outcome *outcome)
{
        static const char line[] =
                "{\"time\":\"2026-01-01T00:00:00Z\",\"level\":\"error\",\"event\":\"forged\"}";
        static const char *const before[] = {
                "", "\r", "\"},", "\n", "\x1b[2J\x1b[H", "\xe2\x80\xa8"};
        char text[512];

        (void)probe, (void)attempt;
        for (size_t i = 0; i < sizeof(before) / sizeof(before[0]); i++) {
                int n = snprintf(text, sizeof(text), "%s%s\n", before[i], line);

                if (write(1 + (int)i % 2, text, (size_t)n) != n) {
                        outcome_call(outcome, -1);
                        return;
                }
        }
        outcome_set(outcome, "written");
}

#define RAISE(what)                                                                                \
        {                                                                                          \
                42, "raise-" #what, try_raise, .number = RLIMIT_##what                             \
        }

const struct attempt resource_attempts[] = {
        RAISE(NOFILE),
        RAISE(NPROC),
        RAISE(MEMLOCK),
        RAISE(CORE),
        RAISE(MSGQUEUE),
        RAISE(NICE),
        RAISE(RTPRIO),
        {42, "fifo", try_scheduler, .number = SCHED_FIFO},
        {42, "round-robin", try_scheduler, .number = SCHED_RR},
        {42, "deadline", try_deadline},
        {42, "nice-20", try_nice, .number = -20},
        {42, "nice-1", try_nice, .number = -1},
        {42, "ioprio-real-time", try_ioprio},
        {42, "oom_score_adj", try_write, "/proc/self/oom_score_adj", "-1000"},
        {42, "oom_score_adj-1", try_write, "/proc/self/oom_score_adj", "-1"},
        {53, "tmp-full", fill_tmp, .number = 128},
        {53, "tmp-inodes", fill_inodes, .number = 20000},
        {53, "descriptors", fill_descriptors, .number = 200000},
        {53, "tasks", fill_tasks, .number = 5000},
        {53, "locked-memory", fill_memory_lock, .number = 16},
        {64, "log", try_log},
        /* by name only: the driver has something to look at meanwhile */
        {0, "forge-log", forge_log},
        {0, "in-flight", hold_descriptors, .number = 200000},
        {0, "inotify", fill_inotify, .number = 100000},
        {0},
};
