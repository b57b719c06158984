#include "runtime/supervisor/pids.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
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

/* Whether `pid` is it; then *ret_pidfd holds it. */
static bool candidate_is(pid_t pid, pid_t prototype, uint32_t isolated_pid, bool nested,
                         int *ret_pidfd)
{
        cleanup_fd int pidfd = pidfd_open(pid, 0);
        struct status status;

        if (pidfd < 0 || read_status(pid, &status) < 0)
                return false;
        if (status.parent != prototype || status.inner != isolated_pid ||
            status.outer != (uint32_t)pid || status.depth < (nested ? 2u : 1u))
                return false;
        /* Not reaped, so what we just read was about the process that the pidfd holds. */
        if (pidfd_send_signal(pidfd, 0, NULL, 0) < 0)
                return false;
        *ret_pidfd = TAKE_FD(pidfd);
        return true;
}

static int find_once(pid_t prototype, uint32_t isolated_pid, bool nested, pid_t *ret_pid,
                     int *ret_pidfd, struct error *error)
{
        cleanup_free char *children = malloc(CHILDREN_MAX + 1);
        cleanup_fd int fd = -1;
        char path[64];
        ssize_t n;

        if (!children)
                return error_set(error, ENOMEM, "list of children");
        snprintf(path, sizeof(path), "/proc/%d/task/%d/children", (int)prototype, (int)prototype);
        fd = open(path, O_RDONLY | O_CLOEXEC);
        if (fd < 0)
                return error_set(error, errno, "open of %s", path);
        n = fd_read_full(fd, children, CHILDREN_MAX);
        if (n < 0)
                return error_set(error, (int)-n, "read of %s", path);
        /* The youngest stands last and is nearly always the one. */
        while (n > 0) {
                char *word;

                while (n > 0 && children[n - 1] == ' ')
                        n--;
                children[n] = '\0';
                while (n > 0 && children[n - 1] != ' ')
                        n--;
                word = &children[n];
                if (*word &&
                    candidate_is((pid_t)atoi(word), prototype, isolated_pid, nested, ret_pidfd)) {
                        *ret_pid = (pid_t)atoi(word);
                        return 0;
                }
        }
        return error_say(error, ESRCH, "no child of prototype %d has the pid %u inside",
                         (int)prototype, isolated_pid);
}

int pids_find(pid_t prototype, uint32_t isolated_pid, bool nested, pid_t *ret_pid, int *ret_pidfd,
              struct error *error)
{
        int r = find_once(prototype, isolated_pid, nested, ret_pid, ret_pidfd, error);

        /* The kernel says that the list may miss some while others exit under its eyes. */
        if (r == -ESRCH)
                r = find_once(prototype, isolated_pid, nested, ret_pid, ret_pidfd, error);
        return r;
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
