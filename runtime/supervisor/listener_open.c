#include "runtime/supervisor/listener_open.h"

#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <netinet/in.h>
#include <poll.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/missing.h"
#include "base/own.h"
#include "base/path.h"

#define BACKLOG 511 /* the kernel lowers it to net.core.somaxconn */

/* struct sockaddr_storage is made to be read as any of the others (POSIX, sys/socket.h). */
static const void *address_of(const struct config_listener *config)
{
        return &config->socket_address;
}

/* The path of a unix socket that has one, else NULL. The configuration's paths end with NUL. */
static const char *file_of(const struct config_listener *config)
{
        const struct sockaddr_un *address = address_of(config);

        return address->sun_family == AF_UNIX && address->sun_path[0] ? address->sun_path : NULL;
}

/* Its last part. The configuration's paths are absolute. */
static const char *name_of(const struct config_listener *config)
{
        return strrchr(file_of(config), '/') + 1;
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
        if (file_of(config))
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

/* The file of a unix socket.
 *
 * Its directory is the administrator's word on who may connect, and often a tenant's own. The tenant can put a
 * link there at any time; the supervisor, who may write everywhere, must not make or remove a file where that
 * leads. So the directory is opened once, by path_open(), and everything goes by its descriptor:
 * looking, asking, removing. Only bind(2) knows no descriptors, and keeps the path that it was given as the
 * socket's address: servers compare it with their configuration (nginx), and people look for it with
 * ss. "/proc/self/fd/5/x" would be safe and wrong. So bind gets the configured path, in a child
 * under Landlock that can make sockets in the opened directory and nowhere else: the kernel compares the
 * directory it has come to, whatever has become of the path meanwhile. */

/* The directory, as it is now. With its last slash, so that a link in the last place is looked at like others.
 * A tenant may have our own id, so links of ours do not count. */
static int open_directory(const struct config_listener *config, struct error *error)
{
        const char *path = file_of(config);
        char directory[sizeof(((struct sockaddr_un *)0)->sun_path)];
        int fd;

        snprintf(directory, sizeof(directory), "%.*s", (int)(name_of(config) - path), path);
        fd = path_open(directory, O_PATH | O_DIRECTORY, 0, PATH_LINKS_OF_ROOT, error);
        if (fd >= 0)
                return fd;
        error_prefix(error, "bind to %s", config->address);
        return error_remedy(error, "the directory must exist, and clade must be able to write "
                                   "to it");
}

/* Whether somebody listens on a unix socket, opened by O_PATH: 0 for nobody, -EADDRINUSE when a connect gets
 * through or waits for its turn. */
static int find_owner(int file)
{
        cleanup_fd int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        struct sockaddr_un address = {.sun_family = AF_UNIX};

        if (fd < 0)
                return -errno;
        snprintf(address.sun_path, sizeof(address.sun_path), "/proc/self/fd/%d", file);
        if (connect(fd, (const void *)&address, sizeof(address)) == 0)
                return -EADDRINUSE;
        switch (errno) {
        case ECONNREFUSED: /* a file without a socket, or a socket that was shut down */
                return 0;
        case EAGAIN:     /* its queue is full */
        case EPROTOTYPE: /* it is a datagram socket, and alive */
                return -EADDRINUSE;
        default:
                return -errno;
        }
}

static int remove_stale(const struct config_listener *config, int directory, struct error *error)
{
        const char *path = file_of(config), *name = name_of(config);
        cleanup_fd int file = openat(directory, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
        struct stat before, after;
        int r;

        if (file < 0)
                return errno == ENOENT ? 0 : bind_failed(config, errno, error);
        if (fstat(file, &before) < 0)
                return bind_failed(config, errno, error);
        if (!S_ISSOCK(before.st_mode)) {
                error_say(error, EEXIST, "%s is not a socket", path);
                return error_remedy(error,
                                    "nothing but a stale socket is replaced: remove it, or choose "
                                    "another path");
        }
        r = find_owner(file);
        if (r == -EADDRINUSE)
                return in_use(config, error);
        if (r < 0) {
                error_set(error, -r, "asking whether anybody listens on %s", path);
                return error_remedy(error, "remove the socket if nobody does");
        }
        /* Another one that starts at the same time may have put its own there meanwhile. */
        if (fstatat(directory, name, &after, AT_SYMLINK_NOFOLLOW) < 0)
                return errno == ENOENT ? 0 : bind_failed(config, errno, error);
        if (after.st_ino != before.st_ino || after.st_dev != before.st_dev)
                return in_use(config, error);
        if (unlinkat(directory, name, 0) < 0 && errno != ENOENT)
                return error_set(error, errno, "unlink of the stale socket %s", path);
        return 0;
}

/* From here on this process can make sockets below `directory` only. Whether that worked. */
static bool confine_to(int directory)
{
        const struct landlock_ruleset_attr_6 attributes = {
                .handled_access_fs = LANDLOCK_ACCESS_FS_MAKE_SOCK,
        };
        const struct landlock_path_beneath_attr beneath = {
                .allowed_access = LANDLOCK_ACCESS_FS_MAKE_SOCK,
                .parent_fd = directory,
        };
        cleanup_fd int ruleset =
                (int)syscall(SYS_landlock_create_ruleset, &attributes,
                             offsetof(struct landlock_ruleset_attr_6, handled_access_net), 0);

        return ruleset >= 0 &&
               syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &beneath, 0) ==
                       0 &&
               prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
               syscall(SYS_landlock_restrict_self, ruleset, 0) == 0;
}

/* The child's part: 0 or a positive errno. Where there is no Landlock the socket is bound from within its
 * directory, by its bare name, and that is what getsockname(2) tells then: safety first. */
static int bind_confined(int fd, const struct config_listener *config, int directory)
{
        struct sockaddr_un bare = {.sun_family = AF_UNIX};
        int r;

        umask(0111);
        if (confine_to(directory)) {
                r = bind(fd, address_of(config), config->socket_length);
        } else {
                strcpy(bare.sun_path, name_of(config));
                r = fchdir(directory);
                if (r == 0)
                        r = bind(fd, (const void *)&bare, sizeof(bare));
        }
        return r < 0 ? errno : 0;
}

static int bind_in_child(int fd, const struct config_listener *config, int directory)
{
        pid_t child = fork();
        int status;

        if (child < 0)
                return -errno;
        if (child == 0)
                _exit(bind_confined(fd, config, directory));
        while (waitpid(child, &status, 0) < 0)
                if (errno != EINTR)
                        return -errno;
        return WIFEXITED(status) ? -WEXITSTATUS(status) : -ECANCELED;
}

static int bind_file(int fd, const struct config_listener *config, struct listener_file *ret_file,
                     struct error *error)
{
        cleanup_fd int directory = open_directory(config, error);
        struct stat st;
        int r;

        if (directory < 0)
                return directory;
        r = remove_stale(config, directory, error);
        if (r < 0)
                return r;
        r = bind_in_child(fd, config, directory);
        if (r < 0)
                return bind_failed(config, -r, error);
        /* It may have gone to a directory below, or has been moved already. */
        if (fstatat(directory, name_of(config), &st, AT_SYMLINK_NOFOLLOW) < 0 ||
            !S_ISSOCK(st.st_mode)) {
                error_say(error, ESTALE, "bind to %s: its directory was changed at the same time",
                          config->address);
                return error_remedy(error, "see who can write to the directory");
        }
        *ret_file = (struct listener_file){st.st_dev, st.st_ino, TAKE_FD(directory)};
        return 0;
}

static int bind_unix(int fd, const struct config_listener *config, struct listener_file *ret_file,
                     struct error *error)
{
        if (file_of(config))
                return bind_file(fd, config, ret_file, error);
        if (bind(fd, address_of(config), config->socket_length) < 0)
                return bind_failed(config, errno, error);
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
        struct stat st;

        if (!file->inode)
                return;
        if (fstatat(file->directory, name_of(config), &st, AT_SYMLINK_NOFOLLOW) == 0 &&
            S_ISSOCK(st.st_mode) && st.st_ino == file->inode && st.st_dev == file->device)
                unlinkat(file->directory, name_of(config), 0);
        fd_close(file->directory);
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
