#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/capability.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/own.h"
#include "listener_fixture.h"

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
                cr_expect(fixture_serves(&fixture, fd), "kind %d", kind);
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
                cr_expect(fixture_serves(&fixture, listener_fd(fixture.listener)));
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
        fixture_create(&fixture);
        cr_expect(fixture_serves(&fixture, listener_fd(fixture.listener)));
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
        fixture_create(&fixture);
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
                        fixture_run(&fixture, 300);
                        cr_expect_eq(fixture.lost, ends, "kind %d harm %d", kind, how);
                        cr_expect_eq(fixture.failed, 0, "%s", fixture.error.text);
                        cr_expect(fixture_serves(&fixture, listener_fd(fixture.listener)),
                                  "kind %d harm %d", kind, how);
                        /* A hung-up socket is ready for ever; here it wakes nobody twice. */
                        fixture_run(&fixture, 300);
                        cr_expect_leq(fixture.turns, 8, "kind %d harm %d: %u turns", kind, how,
                                      fixture.turns);
                        end_process(pid);
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
        fixture_run(&fixture, 200);
        cr_expect(fixture.lost == 1 && fixture.failed == 1);
        cr_expect(strstr(fixture.error.text, "in use"));
        cr_expect_eq(listener_fd(fixture.listener), -1);
        cr_expect_eq(listener_check(fixture.listener, &reopened, &fixture.error), -EADDRINUSE);
        cr_expect(!reopened);
        fixture_run(&fixture, 1500);
        cr_expect_eq(fixture.reopened, 0);
        cr_expect_leq(fixture.turns, 10);
        end_process(pid);
        fixture_run(&fixture, 1300);
        cr_expect_eq(fixture.reopened, 1);
        cr_expect_eq(fixture.lost, 1);
        cr_expect(fixture_serves(&fixture, listener_fd(fixture.listener)));
        fixture_finish(&fixture);
}

/* The listener becomes a connection that lingers: full of data that its peer does not take. */
static pid_t harm_lingering(const struct fixture *fixture, int seconds)
{
        const struct sockaddr nowhere = {.sa_family = AF_UNSPEC};
        const struct linger linger = {.l_onoff = 1, .l_linger = seconds};
        int fd = listener_fd(fixture->listener), ready[2];
        struct sockaddr_in address = {.sin_family = AF_INET};
        socklen_t size = sizeof(address);
        static char block[65536];
        pid_t pid;
        char byte;

        cr_assert_eq(pipe2(ready, O_CLOEXEC), 0);
        pid = fork();
        if (pid == 0) {
                int peer = socket(AF_INET, SOCK_STREAM, 0);

                address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
                if (bind(peer, (const void *)&address, sizeof(address)) < 0 ||
                    listen(peer, 1) < 0 || getsockname(peer, (void *)&address, &size) < 0 ||
                    setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger)) < 0 ||
                    connect(fd, &nowhere, sizeof(nowhere)) < 0 ||
                    connect(fd, (const void *)&address, sizeof(address)) < 0)
                        _exit(1);
                while (send(fd, block, sizeof(block), MSG_DONTWAIT) > 0)
                        ;
                close(fd);
                close(ready[1]);
                for (;;)
                        pause(); /* the peer stays, and takes nothing */
        }
        close(ready[1]);
        cr_assert_eq(read(ready[0], &byte, 1), 0);
        close(ready[0]);
        return pid;
}

Test(listener, a_lingering_connection_is_noticed_and_keeps_nobody)
{
        struct fixture fixture;
        struct timespec before, after;
        pid_t pid;

        fixture_init(&fixture, TCP4);
        fixture_run(&fixture, 10);
        clock_gettime(CLOCK_MONOTONIC, &before);
        pid = harm_lingering(&fixture, 20);
        fixture_run(&fixture, 50);
        listener_look(fixture.listener);
        fixture_run(&fixture, 50);
        clock_gettime(CLOCK_MONOTONIC, &after);
        cr_expect_eq(fixture.lost, 1);
        cr_expect_eq(fixture.failed, 0, "%s", fixture.error.text);
        cr_expect_lt(after.tv_sec - before.tv_sec, 5);
        cr_expect(fixture_serves(&fixture, listener_fd(fixture.listener)));
        end_process(pid);
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
                fixture_run(&fixture, 50);
                cr_expect_eq(fixture.lost, 0);
                cr_expect(fixture_serves(&fixture, listener_fd(fixture.listener)));
                end_process(pid);
                fixture_finish(&fixture);
        }
}
