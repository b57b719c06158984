#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/capability.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/own.h"
#include "runtime/supervisor/backlog.h"
#include "runtime/supervisor/listener.h"

enum kind { TCP4, TCP6, FILE_SOCKET, ABSTRACT, KINDS };

struct fixture {
        char directory[64], address[128];
        struct config_listener config;
        struct listener_events events;
        sd_event *event;
        struct listener *listener;
        unsigned turns, lost, failed, reopened, stalled, flowing, waiting;
        struct error error;
};

static void on_lost(void *context, struct listener *listener, const struct error *error)
{
        struct fixture *fixture = context;

        cr_assert_eq(listener, fixture->listener);
        cr_assert_eq(error != NULL, listener_fd(listener) < 0);
        fixture->lost++;
        if (error) {
                fixture->failed++;
                fixture->error = *error;
        }
}

static void on_reopened(void *context, struct listener *listener)
{
        struct fixture *fixture = context;

        cr_assert_geq(listener_fd(listener), 0);
        fixture->reopened++;
}

static void on_stalled(void *context, struct listener *listener, unsigned seconds, unsigned waiting)
{
        struct fixture *fixture = context;

        (void)listener;
        cr_assert(seconds >= LISTENER_PATIENCE && seconds <= LISTENER_PATIENCE + 2);
        fixture->stalled++;
        fixture->waiting = waiting;
}

static void on_flowing(void *context, struct listener *listener)
{
        struct fixture *fixture = context;

        (void)listener;
        fixture->flowing++;
}

static void set_address(struct fixture *fixture, enum kind kind)
{
        struct sockaddr_in v4 = {.sin_family = AF_INET};
        struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
        struct sockaddr_un local = {.sun_family = AF_UNIX};
        struct config_listener *config = &fixture->config;

        v4.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        config->address = fixture->address;
        config->application = 7;
        switch (kind) {
        case TCP4:
                strcpy(fixture->address, "127.0.0.1:port");
                memcpy(&config->socket_address, &v4, sizeof(v4));
                config->socket_length = sizeof(v4);
                break;
        case TCP6:
                strcpy(fixture->address, "[::1]:port");
                memcpy(&config->socket_address, &v6, sizeof(v6));
                config->socket_length = sizeof(v6);
                break;
        default:
                snprintf(local.sun_path, sizeof(local.sun_path), "%s/socket", fixture->directory);
                snprintf(fixture->address, sizeof(fixture->address), "unix:%s%s",
                         kind == ABSTRACT ? "@" : "", local.sun_path);
                config->socket_length = (socklen_t)(offsetof(struct sockaddr_un, sun_path) +
                                                    strlen(local.sun_path) + 1);
                if (kind == ABSTRACT)
                        local.sun_path[0] = '\0';
                memcpy(&config->socket_address, &local, sizeof(local));
        }
}

static const void *socket_address(const struct fixture *fixture)
{
        return &fixture->config.socket_address;
}

/* A free port becomes the configured one, so that opening it anew means the same port. */
static void keep_port(struct fixture *fixture)
{
        void *address = &fixture->config.socket_address;

        fixture->config.socket_length = sizeof(fixture->config.socket_address);
        cr_assert_eq(getsockname(listener_fd(fixture->listener), address,
                                 &fixture->config.socket_length),
                     0);
}

static void fixture_prepare(struct fixture *fixture, enum kind kind)
{
        *fixture = (struct fixture){.directory = "/tmp/clade-listener-XXXXXX"};
        cr_assert(mkdtemp(fixture->directory));
        fixture->events =
                (struct listener_events){on_lost, on_reopened, on_stalled, on_flowing, fixture};
        cr_assert_geq(sd_event_new(&fixture->event), 0);
        set_address(fixture, kind);
        signal(SIGPIPE, SIG_IGN);
}

static void create(struct fixture *fixture)
{
        struct error error = ERROR_INIT;

        cr_assert_eq(listener_create(fixture->event, &fixture->config, &fixture->events,
                                     &fixture->listener, &error),
                     0, "%s", error.text);
        keep_port(fixture);
}

static void fixture_init(struct fixture *fixture, enum kind kind)
{
        fixture_prepare(fixture, kind);
        create(fixture);
}

static void fixture_finish(struct fixture *fixture)
{
        fixture->listener = listener_destroy(fixture->listener);
        sd_event_unref(fixture->event);
        cr_expect_eq(rmdir(fixture->directory), 0, "something is left in %s", fixture->directory);
}

static void run(struct fixture *fixture, unsigned ms)
{
        struct timespec now;
        uint64_t end, at;

        clock_gettime(CLOCK_MONOTONIC, &now);
        end = (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000 + ms * 1000;
        for (at = 0; at < end; fixture->turns++) {
                clock_gettime(CLOCK_MONOTONIC, &now);
                at = (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
                sd_event_run(fixture->event, at < end ? end - at : 0);
        }
}

static int client(const struct fixture *fixture)
{
        int fd = socket(fixture->config.socket_address.ss_family,
                        SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

        cr_assert_geq(fd, 0);
        if (connect(fd, socket_address(fixture), fixture->config.socket_length) < 0 &&
            errno != EINPROGRESS) {
                close(fd);
                return -errno;
        }
        return fd;
}

/* Whether a client gets through to whoever accepts on `fd`. */
static bool serves(const struct fixture *fixture, int fd)
{
        cleanup_fd int connection = client(fixture), accepted = -1;
        struct pollfd look = {.fd = fd, .events = POLLIN};

        if (connection < 0 || poll(&look, 1, 1000) != 1)
                return false;
        accepted = accept4(fd, NULL, NULL, SOCK_CLOEXEC);
        return accepted >= 0;
}

Test(listener, sockets)
{
        for (int kind = 0; kind < KINDS; kind++) {
                struct fixture fixture;
                struct stat st;
                bool reopened = true;
                int fd;

                umask(077);
                fixture_init(&fixture, kind);
                fd = listener_fd(fixture.listener);
                cr_expect(fcntl(fd, F_GETFD) & FD_CLOEXEC);
                cr_expect(!(fcntl(fd, F_GETFL) & O_NONBLOCK));
                cr_expect(serves(&fixture, fd), "kind %d", kind);
                cr_expect_eq(listener_application(fixture.listener), 7);
                cr_expect_str_eq(listener_address(fixture.listener), fixture.address);
                cr_expect_eq(listener_check(fixture.listener, &reopened, &fixture.error), 0);
                cr_expect(!reopened && listener_fd(fixture.listener) == fd);
                if (kind == FILE_SOCKET) {
                        cr_assert_eq(stat(fixture.address + 5, &st), 0);
                        cr_expect_eq(st.st_mode, S_IFSOCK | 0666);
                }
                cr_expect_eq(umask(022), 077);
                fixture_finish(&fixture);
        }
}

static void expect_refused(struct fixture *fixture, int code, const char *text, const char *remedy)
{
        struct error error = ERROR_INIT;
        struct listener *listener = NULL;

        cr_expect_eq(listener_create(fixture->event, &fixture->config, &fixture->events, &listener,
                                     &error),
                     -code, "%s", error.text);
        cr_expect(strstr(error.text, text) && strstr(error.text, fixture->address), "%s",
                  error.text);
        cr_expect(strstr(error.remedy, remedy), "%s", error.remedy);
        cr_expect_eq(listener, NULL);
}

Test(listener, in_use)
{
        static const char *const remedies[] = {"ss -ltnp 'sport = :", "ss -ltnp 'sport = :",
                                               "ss -lxp src '/tmp/", "ss -lxp src '@/tmp/"};

        for (int kind = 0; kind < KINDS; kind++) {
                struct fixture fixture;

                fixture_init(&fixture, kind);
                expect_refused(&fixture, EADDRINUSE, "in use by a living listener", remedies[kind]);
                cr_expect(serves(&fixture, listener_fd(fixture.listener)));
                fixture_finish(&fixture);
        }
}

Test(listener, addresses_that_cannot_be)
{
        struct sockaddr_in v4 = {.sin_family = AF_INET};
        struct fixture fixture;

        fixture_prepare(&fixture, TCP4);
        v4.sin_addr.s_addr = inet_addr("192.0.2.1"); /* RFC 5737: nobody's */
        v4.sin_port = htons(8080);
        memcpy(&fixture.config.socket_address, &v4, sizeof(v4));
        expect_refused(&fixture, EADDRNOTAVAIL, "bind to", "ip address");
        fixture_finish(&fixture);
}

/* A port that needs a capability, without it. */
Test(listener, a_port_of_root)
{
        struct sockaddr_in v4 = {.sin_family = AF_INET};
        struct fixture fixture;
        unsigned long first;
        char text[32];
        cleanup_file FILE *file = fopen("/proc/sys/net/ipv4/ip_unprivileged_port_start", "re");
        cap_t none = cap_init();

        cr_assert(file && fgets(text, sizeof(text), file));
        first = strtoul(text, NULL, 10);
        if (first <= 1)
                cr_skip_test("ip_unprivileged_port_start is %lu here", first);
        fixture_prepare(&fixture, TCP4);
        v4.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        v4.sin_port = htons(1);
        memcpy(&fixture.config.socket_address, &v4, sizeof(v4));
        cr_assert_eq(cap_set_proc(none), 0);
        cap_free(none);
        expect_refused(&fixture, EACCES, "bind to", "CAP_NET_BIND_SERVICE");
        fixture_finish(&fixture);
}

/* A listener whose process was killed leaves its file. */
Test(listener, a_stale_socket_is_replaced)
{
        struct fixture fixture;
        pid_t pid;

        fixture_prepare(&fixture, FILE_SOCKET);
        pid = fork();
        if (pid == 0) {
                int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

                if (bind(fd, socket_address(&fixture), fixture.config.socket_length) == 0 &&
                    listen(fd, 1) == 0)
                        kill(getpid(), SIGKILL);
                _exit(1);
        }
        waitpid(pid, NULL, 0);
        cr_assert_eq(access(fixture.address + 5, F_OK), 0);
        create(&fixture);
        cr_expect(serves(&fixture, listener_fd(fixture.listener)));
        fixture_finish(&fixture);
}

Test(listener, nothing_else_is_replaced)
{
        struct fixture fixture;
        const char *path;
        int fd;

        fixture_prepare(&fixture, FILE_SOCKET);
        path = fixture.address + 5;
        fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
        cr_assert_geq(fd, 0);
        close(fd);
        expect_refused(&fixture, EEXIST, "is not a socket", "choose another path");
        cr_assert_eq(unlink(path), 0);
        cr_assert_eq(symlink("/etc/passwd", path), 0);
        expect_refused(&fixture, EEXIST, "is not a socket", "choose another path");
        cr_assert_eq(unlink(path), 0);
        fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        cr_assert_eq(bind(fd, socket_address(&fixture), fixture.config.socket_length), 0);
        expect_refused(&fixture, EADDRINUSE, "in use", "ss -lxp");
        close(fd);
        cr_assert_eq(unlink(path), 0);

        /* And what is not ours any more is not removed. */
        create(&fixture);
        cr_assert_eq(unlink(path), 0);
        fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
        close(fd);
        fixture.listener = listener_destroy(fixture.listener);
        cr_expect_eq(unlink(path), 0);
        fixture_finish(&fixture);
}

/* What a worker can do to a socket that it has inherited. It stays alive and keeps it. */
enum harm { SHUT_READ, SHUT_WRITE, SHUT_BOTH, DISCONNECT, HARMS };

static pid_t harm(const struct fixture *fixture, enum harm harm)
{
        const struct sockaddr nowhere = {.sa_family = AF_UNSPEC};
        int fd = listener_fd(fixture->listener), ready[2];
        char byte;
        pid_t pid;

        cr_assert_eq(pipe2(ready, O_CLOEXEC), 0);
        pid = fork();
        if (pid == 0) {
                switch (harm) {
                case SHUT_READ:
                        shutdown(fd, SHUT_RD);
                        break;
                case SHUT_WRITE:
                        shutdown(fd, SHUT_WR);
                        break;
                case SHUT_BOTH:
                        shutdown(fd, SHUT_RDWR);
                        break;
                default:
                        /* EINVAL on a unix socket, which it does not harm */
                        (void)connect(fd, &nowhere, sizeof(nowhere));
                }
                close(ready[1]);
                pause();
                _exit(0);
        }
        close(ready[1]);
        cr_assert_eq(read(ready[0], &byte, 1), 0);
        close(ready[0]);
        return pid;
}

static void end(pid_t pid)
{
        kill(pid, SIGKILL);
        waitpid(pid, NULL, 0);
}

Test(listener, shut_down_from_below, .timeout = 60)
{
        for (int kind = 0; kind < ABSTRACT; kind++) {
                for (int how = 0; how < HARMS; how++) {
                        struct fixture fixture;
                        bool ends = kind == FILE_SOCKET ? how == SHUT_READ || how == SHUT_BOTH
                                                        : how != SHUT_WRITE;
                        pid_t pid;

                        fixture_init(&fixture, kind);
                        pid = harm(&fixture, how);
                        run(&fixture, 300);
                        cr_expect_eq(fixture.lost, ends, "kind %d harm %d", kind, how);
                        cr_expect_eq(fixture.failed, 0, "%s", fixture.error.text);
                        cr_expect(serves(&fixture, listener_fd(fixture.listener)),
                                  "kind %d harm %d", kind, how);
                        /* A hung-up socket is ready for ever; here it wakes nobody twice. */
                        run(&fixture, 300);
                        cr_expect_leq(fixture.turns, 8, "kind %d harm %d: %u turns", kind, how,
                                      fixture.turns);
                        end(pid);
                        fixture_finish(&fixture);
                }
        }
}

/* An abstract name stays taken for as long as anybody holds the old socket. */
Test(listener, taken_until_the_culprit_is_gone)
{
        struct fixture fixture;
        bool reopened = true;
        pid_t pid;

        fixture_init(&fixture, ABSTRACT);
        pid = harm(&fixture, SHUT_BOTH);
        run(&fixture, 200);
        cr_expect(fixture.lost == 1 && fixture.failed == 1);
        cr_expect(strstr(fixture.error.text, "in use"));
        cr_expect_eq(listener_fd(fixture.listener), -1);
        cr_expect_eq(listener_check(fixture.listener, &reopened, &fixture.error), -EADDRINUSE);
        cr_expect(!reopened);
        run(&fixture, 1500);
        cr_expect_eq(fixture.reopened, 0);
        cr_expect_leq(fixture.turns, 10);
        end(pid);
        run(&fixture, 1300);
        cr_expect_eq(fixture.reopened, 1);
        cr_expect_eq(fixture.lost, 1);
        cr_expect(serves(&fixture, listener_fd(fixture.listener)));
        fixture_finish(&fixture);
}

Test(listener, check_opens_anew)
{
        for (int kind = 0; kind < ABSTRACT; kind++) {
                struct fixture fixture;
                bool reopened = false;
                pid_t pid;

                fixture_init(&fixture, kind);
                pid = harm(&fixture, SHUT_BOTH);
                cr_expect_eq(listener_check(fixture.listener, &reopened, &fixture.error), 0);
                cr_expect(reopened);
                run(&fixture, 50);
                cr_expect_eq(fixture.lost, 0);
                cr_expect(serves(&fixture, listener_fd(fixture.listener)));
                end(pid);
                fixture_finish(&fixture);
        }
}

/* Waits until `length` connections are in the queue. */
static bool fills(int fd, int length)
{
        for (int i = 0; i < 100 && backlog_length(fd) != length; i++)
                usleep(10000);
        return backlog_length(fd) == length;
}

Test(listener, backlog)
{
        for (int kind = 0; kind < KINDS; kind++) {
                struct fixture fixture;
                int clients[5], fd;

                fixture_init(&fixture, kind);
                fd = listener_fd(fixture.listener);
                cr_expect_eq(backlog_length(fd), 0);
                for (size_t i = 0; i < ARRAY_SIZE(clients); i++)
                        clients[i] = client(&fixture);
                cr_expect(fills(fd, 5), "kind %d: %d", kind, backlog_length(fd));
                close(accept4(fd, NULL, NULL, SOCK_CLOEXEC));
                cr_expect_eq(backlog_length(fd), 4);
                for (size_t i = 0; i < ARRAY_SIZE(clients); i++)
                        close(clients[i]);
                fixture_finish(&fixture);
        }
}

static void stall(enum kind kind)
{
        struct fixture fixture;
        int clients[3], fd;

        fixture_init(&fixture, kind);
        fd = listener_fd(fixture.listener);
        clients[0] = client(&fixture);
        run(&fixture, 2000);
        clients[1] = client(&fixture);
        run(&fixture, 2000);
        cr_expect_eq(fixture.stalled, 0);
        clients[2] = client(&fixture);
        run(&fixture, 4500);
        cr_expect_eq(fixture.stalled, 1);
        cr_expect_eq(fixture.waiting, 3);
        cr_expect_eq(fixture.flowing, 0);
        /* One tick a second, two events of arrival with each: no spinning on a ready socket. */
        cr_expect_leq(fixture.turns, 60, "%u turns", fixture.turns);
        close(accept4(fd, NULL, NULL, SOCK_CLOEXEC));
        run(&fixture, 1500);
        cr_expect_eq(fixture.flowing, 1);
        for (size_t i = 0; i < ARRAY_SIZE(clients); i++)
                close(clients[i]);
        fixture_finish(&fixture);
}

Test(listener, nobody_accepts_tcp, .timeout = 60)
{
        stall(TCP4);
}

Test(listener, nobody_accepts_unix, .timeout = 60)
{
        stall(FILE_SOCKET);
}

/* A worker that always has a queue in front of it but takes from it is no stall: eight clients, one
 * slow server. */
static void overload(enum kind kind)
{
        struct fixture fixture;
        pid_t server, clients[8];
        int fd;

        fixture_init(&fixture, kind);
        fd = listener_fd(fixture.listener);
        server = fork();
        if (server == 0) {
                for (;;) {
                        usleep(20000);
                        close(accept4(fd, NULL, NULL, SOCK_CLOEXEC));
                }
        }
        for (size_t i = 0; i < ARRAY_SIZE(clients); i++) {
                clients[i] = fork();
                if (clients[i] != 0)
                        continue;
                for (;;) {
                        char byte;
                        int connection = client(&fixture);
                        struct pollfd look = {.fd = connection, .events = POLLIN};

                        poll(&look, 1, -1);
                        if (read(connection, &byte, 1) != 0)
                                usleep(1000);
                        close(connection);
                }
        }
        run(&fixture, 8500);
        cr_expect_eq(fixture.stalled, 0);
        cr_expect_gt(backlog_length(fd), 0, "there was no overload");
        cr_expect_leq(fixture.turns, 200, "%u turns", fixture.turns);
        end(server);
        for (size_t i = 0; i < ARRAY_SIZE(clients); i++)
                end(clients[i]);
        fixture_finish(&fixture);
}

Test(listener, a_late_worker_is_no_stall_tcp, .timeout = 60)
{
        overload(TCP4);
}

Test(listener, a_late_worker_is_no_stall_unix, .timeout = 60)
{
        overload(FILE_SOCKET);
}

/* A thousand of them, idle: not one turn of the loop. */
Test(listener, idle_costs_nothing, .timeout = 60)
{
        static struct listener *listeners[1000];
        static struct config_listener configs[1000];
        struct rlimit files;
        struct fixture fixture;
        size_t count = ARRAY_SIZE(listeners);

        getrlimit(RLIMIT_NOFILE, &files);
        files.rlim_cur = files.rlim_max < 1100 ? files.rlim_max : 1100;
        setrlimit(RLIMIT_NOFILE, &files);
        if (files.rlim_cur < 1100)
                count = files.rlim_cur - 100;
        fixture_prepare(&fixture, TCP4);
        for (size_t i = 0; i < count; i++) {
                struct error error = ERROR_INIT;

                configs[i] = fixture.config; /* any free port */
                cr_assert_eq(listener_create(fixture.event, &configs[i], &fixture.events,
                                             &listeners[i], &error),
                             0, "%s", error.text);
        }
        run(&fixture, 10);
        fixture.turns = 0;
        run(&fixture, 1500);
        cr_expect_leq(fixture.turns, 2, "%u turns", fixture.turns);
        for (size_t i = 0; i < count; i++)
                listener_destroy(listeners[i]);
        fixture_finish(&fixture);
}
