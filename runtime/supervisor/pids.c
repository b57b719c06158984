#include "runtime/supervisor/pids.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/missing.h"
#include "base/own.h"

#define CHILDREN_MAX 65536 /* bytes of a list of children that we look at */
#define STATUS_MAX   8192

struct status {
        pid_t parent;
        uint32_t outer, inner; /* first and last number of NSpid */
        unsigned depth;        /* how many there are */
};

/* /proc/PID/status is a list of "Key:\tvalue" lines. */
static int read_status(pid_t pid, struct status *ret_status)
{
        struct status status = {.parent = 0};
        cleanup_fd int fd = -1;
        char path[64], text[STATUS_MAX + 1];
        const char *line;
        ssize_t n;

        snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
        fd = open(path, O_RDONLY | O_CLOEXEC);
        if (fd < 0)
                return -errno;
        n = fd_read_full(fd, text, STATUS_MAX);
        if (n < 0)
                return (int)n;
        text[n] = '\0';
        line = strstr(text, "\nPPid:");
        if (!line)
                return -EBADMSG;
        status.parent = (pid_t)strtol(line + strlen("\nPPid:"), NULL, 10);
        line = strstr(text, "\nNSpid:");
        if (!line)
                return -EBADMSG;
        line += strlen("\nNSpid:");
        while (*line == '\t' || *line == ' ') {
                char *end;

                status.inner = (uint32_t)strtoul(line, &end, 10);
                if (status.depth++ == 0)
                        status.outer = status.inner;
                line = end;
        }
        *ret_status = status;
        return 0;
}

int pids_namespace(pid_t pid)
{
        cleanup_fd int fd = -1;
        struct stat its, ours;
        char path[64];

        snprintf(path, sizeof(path), "/proc/%d/ns/pid", (int)pid);
        fd = open(path, O_RDONLY | O_CLOEXEC);
        if (fd < 0 || fstat(fd, &its) < 0 || stat("/proc/self/ns/pid", &ours) < 0)
                return -errno;
        /* In our own nothing is translated, and every number would seem to fit. */
        return its.st_ino == ours.st_ino ? -EINVAL : TAKE_FD(fd);
}

/* The number on the host of `isolated_pid`, by the kernel's own translation (6.11). */
static int translate(const struct pids_parent *parent, uint32_t isolated_pid, pid_t *ret_pid)
{
        int pid;

        if (parent->nested && parent->namespace < 0)
                return -EOPNOTSUPP;
        pid = parent->nested ? ioctl(parent->namespace, NS_GET_TGID_FROM_PIDNS_11, isolated_pid)
                             : (int)isolated_pid;
        if (pid < 0)
                return errno == ESRCH ? -ESRCH : -EOPNOTSUPP;
        *ret_pid = (pid_t)pid;
        return pid > 0 ? 0 : -ESRCH;
}

/* Where the kernel tells of what a pidfd holds (6.13), two calls say what the whole of /proc/PID/status says, for a
 * tenth of the time. 1: it is the one; 0: it is not; negative: nobody can tell this way. What is translated after
 * the pidfd was opened is what it holds, as long as that has not been reaped. */
static int asked_is(int pidfd, pid_t pid, const struct pids_parent *parent, uint32_t isolated_pid)
{
        struct pidfd_info_15 info = {.mask = 0};
        pid_t again;
        int r;

        r = translate(parent, isolated_pid, &again);
        if (r < 0)
                return r == -ESRCH ? 0 : r;
        if (ioctl(pidfd, PIDFD_GET_INFO_15, &info) < 0)
                return -EOPNOTSUPP;
        return again == pid && info.pid == (uint32_t)pid && info.tgid == (uint32_t)pid &&
               info.ppid == (uint32_t)parent->pid;
}

/* Whether `pid` is it; then *ret_pidfd holds it. */
static bool candidate_is(pid_t pid, const struct pids_parent *parent, uint32_t isolated_pid,
                         int *ret_pidfd)
{
        cleanup_fd int pidfd = pidfd_open(pid, 0);
        struct status status;
        int r;

        if (pidfd < 0)
                return false;
        r = asked_is(pidfd, pid, parent, isolated_pid);
        if (r >= 0) {
                if (r > 0)
                        *ret_pidfd = TAKE_FD(pidfd);
                return r > 0;
        }
        if (read_status(pid, &status) < 0)
                return false;
        if (status.parent != parent->pid || status.inner != isolated_pid ||
            status.outer != (uint32_t)pid || status.depth < (parent->nested ? 2u : 1u))
                return false;
        /* Not reaped, so what we just read was about the process that the pidfd holds. */
        if (pidfd_send_signal(pidfd, 0, NULL, 0) < 0)
                return false;
        *ret_pidfd = TAKE_FD(pidfd);
        return true;
}

/* Of the children of the prototype the youngest stands last, and is nearly always the one. A prototype that has
 * many others in front of it is not helped: looking at each costs us time that belongs to everybody. */
static int search(const struct pids_parent *parent, uint32_t isolated_pid, pid_t *ret_pid,
                  int *ret_pidfd)
{
        cleanup_free char *children = malloc(CHILDREN_MAX + 1);
        cleanup_fd int fd = -1;
        char path[64];
        ssize_t n;

        if (!children)
                return -ENOMEM;
        snprintf(path, sizeof(path), "/proc/%d/task/%d/children", (int)parent->pid,
                 (int)parent->pid);
        fd = open(path, O_RDONLY | O_CLOEXEC);
        if (fd < 0)
                return -errno;
        n = fd_read_full(fd, children, CHILDREN_MAX);
        if (n < 0)
                return (int)n;
        for (unsigned looked = 0; n > 0 && looked < PIDS_CANDIDATES; looked++) {
                while (n > 0 && children[n - 1] == ' ')
                        n--;
                children[n] = '\0';
                while (n > 0 && children[n - 1] != ' ')
                        n--;
                *ret_pid = (pid_t)strtol(&children[n], NULL, 10);
                if (*ret_pid > 0 && candidate_is(*ret_pid, parent, isolated_pid, ret_pidfd))
                        return 0;
        }
        return -ESRCH;
}

int pids_find(const struct pids_parent *parent, uint32_t isolated_pid, pid_t *ret_pid,
              int *ret_pidfd, struct error *error)
{
        pid_t pid = 0;
        int r = translate(parent, isolated_pid, &pid);

        if (r == 0 && !candidate_is(pid, parent, isolated_pid, ret_pidfd))
                r = -ESRCH;
        if (r == -EOPNOTSUPP)
                r = search(parent, isolated_pid, &pid, ret_pidfd);
        /* The kernel says that the list may miss some while others exit under its eyes. */
        if (r == -ESRCH && (parent->nested && parent->namespace < 0))
                r = search(parent, isolated_pid, &pid, ret_pidfd);
        if (r == -ESRCH)
                return error_say(error, ESRCH, "no child of prototype %d has the pid %u inside",
                                 (int)parent->pid, isolated_pid);
        if (r < 0)
                return error_set(error, -r, "looking for the children of prototype %d",
                                 (int)parent->pid);
        *ret_pid = pid;
        return 0;
}

int pids_dead(int pidfd)
{
        struct pollfd process = {.fd = pidfd, .events = POLLIN};

        return poll(&process, 1, 0) > 0;
}

int pids_status(int pidfd, int *ret_status)
{
        struct pidfd_info_15 info = {.mask = PIDFD_INFO_EXIT_15};

        if (ioctl(pidfd, PIDFD_GET_INFO_15, &info) < 0)
                return errno == ESRCH ? -EAGAIN : -EOPNOTSUPP;
        if (!(info.mask & PIDFD_INFO_EXIT_15))
                return -EAGAIN;
        *ret_status = info.exit_code;
        return 0;
}

bool pids_status_supported(void)
{
        cleanup_fd int pidfd = -1;
        int status;
        pid_t pid = fork();

        if (pid == 0)
                _exit(7);
        if (pid < 0)
                return false;
        pidfd = pidfd_open(pid, 0);
        if (waitpid(pid, &status, 0) < 0 || pidfd < 0)
                return false;
        return pids_status(pidfd, &status) == 0 && WIFEXITED(status) && WEXITSTATUS(status) == 7;
}
