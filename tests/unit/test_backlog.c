/* Connections that wait, and for how long before somebody hears of it. */
#include <criterion/criterion.h>
#include <poll.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/own.h"
#include "listener_fixture.h"
#include "runtime/supervisor/backlog.h"

/* Waits until `length` connections are in the queue. */
static bool fills(int fd, int length)
{
        for (int i = 0; i < 100 && backlog_length(fd) != length; i++)
                usleep(10000);
        return backlog_length(fd) == length;
}

Test(backlog, length)
{
        for (int kind = 0; kind < KINDS; kind++) {
                struct fixture fixture;
                int clients[5], fd;

                fixture_init(&fixture, kind);
                fd = listener_fd(fixture.listener);
                cr_expect_eq(backlog_length(fd), 0);
                for (size_t i = 0; i < ARRAY_SIZE(clients); i++)
                        clients[i] = fixture_client(&fixture);
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
        clients[0] = fixture_client(&fixture);
        fixture_run(&fixture, 2000);
        clients[1] = fixture_client(&fixture);
        fixture_run(&fixture, 2000);
        cr_expect_eq(fixture.stalled, 0);
        clients[2] = fixture_client(&fixture);
        fixture_run(&fixture, 4500);
        cr_expect_eq(fixture.stalled, 1);
        cr_expect_eq(fixture.waiting, 3);
        cr_expect_eq(fixture.flowing, 0);
        /* One tick a second, two events of arrival with each: no spinning on a ready socket. */
        cr_expect_leq(fixture.turns, 60, "%u turns", fixture.turns);
        close(accept4(fd, NULL, NULL, SOCK_CLOEXEC));
        fixture_run(&fixture, 1500);
        cr_expect_eq(fixture.flowing, 1);
        for (size_t i = 0; i < ARRAY_SIZE(clients); i++)
                close(clients[i]);
        fixture_finish(&fixture);
}

Test(backlog, nobody_accepts_tcp, .timeout = 60)
{
        stall(TCP4);
}

Test(backlog, nobody_accepts_unix, .timeout = 60)
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
                        int connection = fixture_client(&fixture);
                        struct pollfd look = {.fd = connection, .events = POLLIN};

                        poll(&look, 1, -1);
                        if (read(connection, &byte, 1) != 0)
                                usleep(1000);
                        close(connection);
                }
        }
        fixture_run(&fixture, 8500);
        cr_expect_eq(fixture.stalled, 0);
        cr_expect_gt(backlog_length(fd), 0, "there was no overload");
        cr_expect_leq(fixture.turns, 200, "%u turns", fixture.turns);
        end_process(server);
        for (size_t i = 0; i < ARRAY_SIZE(clients); i++)
                end_process(clients[i]);
        fixture_finish(&fixture);
}

Test(backlog, a_late_worker_is_no_stall_tcp, .timeout = 60)
{
        overload(TCP4);
}

Test(backlog, a_late_worker_is_no_stall_unix, .timeout = 60)
{
        overload(FILE_SOCKET);
}

/* A thousand of them, idle: not one turn of the loop. */
Test(backlog, idle_costs_nothing, .timeout = 60)
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
        fixture_run(&fixture, 10);
        fixture.turns = 0;
        fixture_run(&fixture, 1500);
        cr_expect_leq(fixture.turns, 2, "%u turns", fixture.turns);
        for (size_t i = 0; i < count; i++)
                listener_destroy(listeners[i]);
        fixture_finish(&fixture);
}
