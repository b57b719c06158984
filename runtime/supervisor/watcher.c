#include "runtime/supervisor/watcher.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/own.h"

/* --- in the watcher ------------------------------------------------------------------------- */

struct watched {
        struct pollfd *fds; /* [0] is the socket, the rest are pidfds */
        size_t count, room;
        int cgroup; /* a cgroup.kill, or -1 */
};

/* The byte that comes with a descriptor says what it is. */
enum kind { KIND_PROCESS, KIND_CGROUP };

/* A descriptor, -EAGAIN when there is none now, -EPIPE when the supervisor is gone. */
static int receive(int socket, char *ret_kind)
{
        union {
                struct cmsghdr header;
                char space[CMSG_SPACE(sizeof(int))];
        } control;
        struct iovec data = {.iov_base = ret_kind, .iov_len = 1};
        struct msghdr message = {
                .msg_iov = &data,
                .msg_iovlen = 1,
                .msg_control = &control,
                .msg_controllen = sizeof(control),
        };
        const struct cmsghdr *header;
        ssize_t n = recvmsg(socket, &message, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
        int fd;

        if (n == 0)
                return -EPIPE;
        if (n < 0)
                return errno == EINTR ? -EAGAIN : -errno;
        header = CMSG_FIRSTHDR(&message);
        if (!header || header->cmsg_type != SCM_RIGHTS)
                return -EAGAIN;
        memcpy(&fd, CMSG_DATA(header), sizeof(fd));
        return fd;
}

static void kill_all(const struct watched *watched)
{
        for (size_t i = 1; i < watched->count; i++)
                pidfd_send_signal(watched->fds[i].fd, SIGKILL, NULL, 0);
        /* Those whom no pidfd holds: what has left its worker's group, where there is no pid namespace. */
        if (watched->cgroup >= 0)
                fd_write_full(watched->cgroup, "1", 1);
}

static bool keep(struct watched *watched, int fd)
{
        if (watched->count == watched->room) {
                size_t room = watched->room * 2;
                struct pollfd *grown = realloc(watched->fds, room * sizeof(*grown));

                if (!grown)
                        return false;
                watched->fds = grown;
                watched->room = room;
        }
        watched->fds[watched->count++] = (struct pollfd){.fd = fd, .events = POLLIN};
        return true;
}

static void forget_the_dead(struct watched *watched)
{
        size_t left = 1;

        for (size_t i = 1; i < watched->count; i++) {
                if (watched->fds[i].revents)
                        close(watched->fds[i].fd);
                else
                        watched->fds[left++] = watched->fds[i];
        }
        watched->count = left;
}

static _Noreturn void watch(int socket)
{
        struct watched watched = {.room = 64, .cgroup = -1};
        char kind = KIND_PROCESS;

        watched.fds = calloc(watched.room, sizeof(*watched.fds));
        if (!watched.fds)
                _exit(EXIT_FAILURE);
        watched.fds[watched.count++] = (struct pollfd){.fd = socket, .events = POLLIN};
        for (;;) {
                int fd;

                if (poll(watched.fds, watched.count, -1) < 0 && errno != EINTR)
                        break;
                fd = receive(socket, &kind);
                if (fd == -EPIPE || (fd < 0 && fd != -EAGAIN))
                        break;
                forget_the_dead(&watched);
                if (fd >= 0 && kind == KIND_CGROUP)
                        watched.cgroup = fd;
                else if (fd >= 0 && !keep(&watched, fd))
                        break;
        }
        kill_all(&watched);
        _exit(EXIT_SUCCESS);
}

/* Nobody's signals but SIGKILL, nothing of the supervisor's but the socket. */
static _Noreturn void become_watcher(int socket)
{
        sigset_t all;

        sigfillset(&all);
        sigprocmask(SIG_BLOCK, &all, NULL);
        setsid();
        prctl(PR_SET_NAME, "clade-watcher", 0, 0, 0);
        if (fd_arrange(&socket, 1, 0) < 0)
                _exit(EXIT_FAILURE);
        watch(0);
}

/* --- in the supervisor ---------------------------------------------------------------------- */

int watcher_start(struct watcher *watcher, struct error *error)
{
        cleanup_fd int ours = -1, theirs = -1;
        int fds[2];
        pid_t pid;

        if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds) < 0)
                return error_set(error, errno, "socketpair of the watcher");
        ours = fds[0];
        theirs = fds[1];
        pid = fork();
        if (pid == 0)
                become_watcher(theirs);
        if (pid < 0)
                return error_set(error, errno, "fork of the watcher");
        watcher->pidfd = pidfd_open(pid, 0);
        if (watcher->pidfd < 0)
                return error_set(error, errno, "pidfd_open of the watcher");
        watcher->socket = TAKE_FD(ours);
        return 0;
}

static int share(struct watcher *watcher, enum kind kind, int fd, struct error *error)
{
        union {
                struct cmsghdr header;
                char space[CMSG_SPACE(sizeof(int))];
        } control = {.space = {0}};
        struct iovec data = {.iov_base = (char[]){(char)kind}, .iov_len = 1};
        struct msghdr message = {
                .msg_iov = &data,
                .msg_iovlen = 1,
                .msg_control = &control,
                .msg_controllen = sizeof(control),
        };
        struct cmsghdr *header = CMSG_FIRSTHDR(&message);

        header->cmsg_level = SOL_SOCKET;
        header->cmsg_type = SCM_RIGHTS;
        header->cmsg_len = CMSG_LEN(sizeof(int));
        memcpy(CMSG_DATA(header), &fd, sizeof(fd));
        /* It blocks for as long as the watcher has not read what came before: no code of a tenant is there. */
        while (sendmsg(watcher->socket, &message, MSG_NOSIGNAL) < 0)
                if (errno != EINTR)
                        return error_set(error, errno, "telling the watcher");
        return 0;
}

int watcher_add(struct watcher *watcher, int pidfd, struct error *error)
{
        return share(watcher, KIND_PROCESS, pidfd, error);
}

int watcher_add_cgroup(struct watcher *watcher, int fd, struct error *error)
{
        return share(watcher, KIND_CGROUP, fd, error);
}

void watcher_finish(struct watcher *watcher)
{
        siginfo_t info;

        fd_close(TAKE_FD(watcher->socket));
        if (watcher->pidfd >= 0)
                while (waitid(P_PIDFD, (id_t)watcher->pidfd, &info, WEXITED) < 0 && errno == EINTR)
                        ;
        fd_close(TAKE_FD(watcher->pidfd));
}
