#include "runtime/supervisor/listener_open.h"

#include <errno.h>
#include <sys/wait.h>
#include <net/if.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/own.h"

#define BACKLOG 511 /* the kernel lowers it to net.core.somaxconn */

/* struct sockaddr_storage is made to be read as any of the others (POSIX, sys/socket.h). */
static const void *address_of(const struct config_listener *config)
{
        return &config->socket_address;
}

/* The path of a unix socket that has one, else NULL. The configuration's paths end with NUL. */
static const char *path_of(const struct config_listener *config)
{
        const struct sockaddr_un *address = address_of(config);

        return address->sun_family == AF_UNIX && address->sun_path[0] ? address->sun_path : NULL;
}

static unsigned port_of(const struct config_listener *config)
{
        const struct sockaddr_in *v4 = address_of(config);
        const struct sockaddr_in6 *v6 = address_of(config);

        switch (config->socket_address.ss_family) {
        case AF_INET:
                return ntohs(v4->sin_port);
        case AF_INET6:
                return ntohs(v6->sin6_port);
        default:
                return 0;
        }
}

static int in_use(const struct config_listener *config, struct error *error)
{
        error_set(error, EADDRINUSE, "%s is in use by a living listener", config->address);
        if (port_of(config))
                return error_remedy(error,
                                    "see who it is with: ss -ltnp 'sport = :%u'; stop that one, "
                                    "or choose another address",
                                    port_of(config));
        return error_remedy(error,
                            "see who it is with: ss -lxp src '%s'; stop that one, or choose "
                            "another address",
                            config->address + strlen("unix:"));
}

static int bind_failed(const struct config_listener *config, int code, struct error *error)
{
        if (code == EADDRINUSE)
                return in_use(config, error);
        error_set(error, code, "bind to %s", config->address);
        if (path_of(config))
                return error_remedy(error,
                                    "the directory must exist, and clade must be able to write "
                                    "to it");
        switch (code) {
        case EACCES:
                return error_remedy(error,
                                    "ports below net.ipv4.ip_unprivileged_port_start need "
                                    "CAP_NET_BIND_SERVICE: take a higher port, grant it, or lower "
                                    "that sysctl");
        case EADDRNOTAVAIL:
                return error_remedy(error,
                                    "no interface has this address (see: ip address); use one "
                                    "that exists, or *:%u for all",
                                    port_of(config));
        case EAFNOSUPPORT:
                return error_remedy(error,
                                    "this kernel or container has no IPv6: use an IPv4 address");
        default:
                return -code;
        }
}

/* Whether somebody listens on a unix socket's path: 0 for nobody, -EADDRINUSE when a connect gets through
 * or waits for its turn. */
static int find_owner(const struct config_listener *config)
{
        cleanup_fd int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

        if (fd < 0)
                return -errno;
        if (connect(fd, address_of(config), config->socket_length) == 0)
                return -EADDRINUSE;
        switch (errno) {
        case ECONNREFUSED: /* a file without a socket, or a socket that was shut down */
        case ENOENT:
                return 0;
        case EAGAIN:     /* its queue is full */
        case EPROTOTYPE: /* it is a datagram socket, and alive */
                return -EADDRINUSE;
        default:
                return -errno;
        }
}

static int remove_stale(const struct config_listener *config, struct error *error)
{
        const char *path = path_of(config);
        struct stat before, after;
        int r;

        if (lstat(path, &before) < 0)
                return errno == ENOENT ? 0 : bind_failed(config, errno, error);
        if (!S_ISSOCK(before.st_mode)) {
                error_say(error, EEXIST, "%s is not a socket", path);
                return error_remedy(error,
                                    "nothing but a stale socket is replaced: remove it, or choose "
                                    "another path");
        }
        r = find_owner(config);
        if (r == -EADDRINUSE)
                return in_use(config, error);
        if (r < 0) {
                error_set(error, -r, "asking whether anybody listens on %s", path);
                return error_remedy(error, "remove the socket if nobody does");
        }
        /* Another one that starts at the same time may have put its own there meanwhile. */
        if (lstat(path, &after) < 0)
                return errno == ENOENT ? 0 : bind_failed(config, errno, error);
        if (after.st_ino != before.st_ino || after.st_dev != before.st_dev)
                return in_use(config, error);
        if (unlink(path) < 0 && errno != ENOENT)
                return error_set(error, errno, "unlink of the stale socket %s", path);
        return 0;
}

static int bind_unix(int fd, const struct config_listener *config, struct listener_file *ret_file,
                     struct error *error)
{
        const char *path = path_of(config);
        struct stat st;
        mode_t mask;
        int r = path ? remove_stale(config, error) : 0;

        if (r < 0)
                return r;
        /* The mask belongs to the whole process; the supervisor has one thread. */
        mask = umask(0111);
        if (bind(fd, address_of(config), config->socket_length) < 0)
                r = -errno;
        umask(mask);
        if (r < 0)
                return bind_failed(config, -r, error);
        if (path && lstat(path, &st) == 0)
                *ret_file = (struct listener_file){st.st_dev, st.st_ino};
        return 0;
}

static int bind_internet(int fd, const struct config_listener *config, struct error *error)
{
        const int on = 1;

        /* Connections of an earlier life in TIME_WAIT do not stand in the way. */
        if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) < 0)
                return error_set(error, errno, "SO_REUSEADDR on %s", config->address);
        if (config->socket_address.ss_family == AF_INET6 &&
            setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on)) < 0)
                return error_set(error, errno, "IPV6_V6ONLY on %s", config->address);
        if (bind(fd, address_of(config), config->socket_length) < 0)
                return bind_failed(config, errno, error);
        return 0;
}

int listener_open(const struct config_listener *config, struct listener_file *ret_file,
                  struct error *error)
{
        int family = config->socket_address.ss_family, r;
        cleanup_fd int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);
        struct listener_file file = {0};

        if (fd < 0)
                return bind_failed(config, errno, error);
        r = family == AF_UNIX ? bind_unix(fd, config, &file, error)
                              : bind_internet(fd, config, error);
        if (r == 0 && listen(fd, BACKLOG) < 0)
                r = bind_failed(config, errno, error);
        if (r < 0) {
                listener_unlink(config, &file);
                return r;
        }
        *ret_file = file;
        return TAKE_FD(fd);
}

void listener_unlink(const struct config_listener *config, struct listener_file *file)
{
        const char *path = path_of(config);
        struct stat st;

        if (path && file->inode && lstat(path, &st) == 0 && S_ISSOCK(st.st_mode) &&
            st.st_ino == file->inode && st.st_dev == file->device)
                unlink(path);
        *file = (struct listener_file){0};
}

bool listener_alive(int fd)
{
        struct pollfd look = {.fd = fd, .events = POLLRDHUP};
        char device[IFNAMSIZ] = "";
        socklen_t size = sizeof(int), length = sizeof(device);
        int accepting = 0;

        if (getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &accepting, &size) < 0 || !accepting)
                return false;
        if (getsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, device, &length) == 0 && device[0])
                return false;
        return poll(&look, 1, 0) == 0;
}

void listener_let_go(int fd)
{
        const struct linger none = {.l_onoff = 1, .l_linger = 0};
        int fds[2];
        pid_t child;
        char byte;

        if (fd < 0)
                return;
        if (pipe2(fds, O_CLOEXEC) < 0) {
                fds[0] = fds[1] = -1;
                child = -1;
        } else {
                child = fork();
        }
        if (child == 0) {
                /* Until our parent has closed its own. */
                close(fds[1]);
                _exit(read(fds[0], &byte, 1) < 0);
        }
        if (child < 0) /* the next best, which only a race undoes */
                setsockopt(fd, SOL_SOCKET, SO_LINGER, &none, sizeof(none));
        close(fd);
        fd_close(fds[0]);
        fd_close(fds[1]);
        while (child > 0 && waitpid(child, NULL, 0) < 0 && errno == EINTR)
                ;
}
