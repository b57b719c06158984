#include "listener_fixture.h"

#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/own.h"

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

const void *socket_address(const struct fixture *fixture)
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

void fixture_prepare(struct fixture *fixture, enum kind kind)
{
        *fixture = (struct fixture){.directory = "/tmp/clade-listener-XXXXXX"};
        cr_assert(mkdtemp(fixture->directory));
        fixture->events = (struct listener_events){.lost = on_lost,
                                                   .reopened = on_reopened,
                                                   .stalled = on_stalled,
                                                   .flowing = on_flowing,
                                                   .context = fixture};
        cr_assert_geq(sd_event_new(&fixture->event), 0);
        set_address(fixture, kind);
        signal(SIGPIPE, SIG_IGN);
}

void fixture_create(struct fixture *fixture)
{
        struct error error = ERROR_INIT;

        cr_assert_eq(listener_create(fixture->event, &fixture->config, &fixture->events,
                                     &fixture->listener, &error),
                     0, "%s", error.text);
        keep_port(fixture);
}

void fixture_init(struct fixture *fixture, enum kind kind)
{
        fixture_prepare(fixture, kind);
        fixture_create(fixture);
}

void fixture_finish(struct fixture *fixture)
{
        fixture->listener = listener_destroy(fixture->listener);
        sd_event_unref(fixture->event);
        cr_expect_eq(rmdir(fixture->directory), 0, "something is left in %s", fixture->directory);
}

void fixture_run(struct fixture *fixture, unsigned ms)
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

int fixture_client(const struct fixture *fixture)
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

bool fixture_serves(const struct fixture *fixture, int fd)
{
        cleanup_fd int connection = fixture_client(fixture), accepted = -1;
        struct pollfd look = {.fd = fd, .events = POLLIN};

        if (connection < 0 || poll(&look, 1, 1000) != 1)
                return false;
        accepted = accept4(fd, NULL, NULL, SOCK_CLOEXEC);
        return accepted >= 0;
}

void end_process(pid_t pid)
{
        kill(pid, SIGKILL);
        waitpid(pid, NULL, 0);
}
