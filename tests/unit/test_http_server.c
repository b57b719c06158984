/* Whole servers in this process: several loops, a stop, a number of requests, a handler that hangs. The supervisor's side
 * of a worker is played by a few functions that count. */
#include <criterion/criterion.h>

#include <errno.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/own.h"
#include "modules/http/http.h"

#define LOOPS 3

static atomic_int begun, ended, left, ready, hung, running, most;

static int host_fail(struct clade_failure *failure, int code, const char *remedy,
                     const char *format, ...)
{
        (void)failure;
        (void)remedy;
        (void)format;
        return -code;
}

static void worker_ready(struct clade_worker *worker)
{
        (void)worker;
        ready++;
}

static uint64_t worker_begin(struct clade_worker *worker)
{
        (void)worker;
        return (uint64_t)++begun;
}

static void worker_end(struct clade_worker *worker, uint64_t ticket)
{
        (void)worker;
        (void)ticket;
        ended++;
}

static void worker_leave(struct clade_worker *worker)
{
        (void)worker;
        left++;
}

struct fixture {
        const char *listeners[2];
        int fds[1];
        struct clade_host host;
        struct clade_application application;
        struct clade_worker worker;
        struct http_server *server;
        unsigned loops;
        pthread_t threads[LOOPS];
        in_port_t port;
};

static void rest(long ms)
{
        const struct timespec time = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};

        nanosleep(&time, NULL);
}

/* "/200" rests for so many ms. */
static int handle(void *context, struct clade_request *request)
{
        static const struct clade_field type = {"Content-Type", "text/plain", 12, 10};
        int now = ++running, seen = most;

        (void)context;
        while (now > seen && !atomic_compare_exchange_weak(&most, &seen, now))
                ;
        rest(atoi(request->path + 1));
        running--;
        if (request->respond(request, 200, NULL, &type, 1) < 0)
                return -1;
        return request->write(request, request->path, strlen(request->path));
}

static void is_hung(void *context)
{
        (void)context;
        hung++;
}

static void *run(void *context)
{
        struct fixture *fixture = context;
        static atomic_uint number;

        cr_assert_eq(http_server_run(fixture->server, number++ % fixture->loops), 0);
        return NULL;
}

static void start(struct fixture *fixture, unsigned loops, uint64_t requests, uint32_t timeout)
{
        struct sockaddr_in address = {.sin_family = AF_INET,
                                      .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
        struct sockaddr_storage bound;
        socklen_t size = sizeof(address);
        const struct http_hooks hooks = {.handle = handle, .hung = is_hung};

        *fixture = (struct fixture){.host = {.fail = host_fail}, .loops = loops};
        fixture->fds[0] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        cr_assert_eq(bind(fixture->fds[0], (void *)&address, size), 0);
        cr_assert_eq(listen(fixture->fds[0], 64), 0);
        size = sizeof(bound);
        cr_assert_eq(getsockname(fixture->fds[0], (void *)&bound, &size), 0);
        memcpy(&address, &bound, sizeof(address));
        fixture->port = address.sin_port;
        fixture->listeners[0] = "127.0.0.1:0";
        fixture->application = (struct clade_application){
                .host = &fixture->host,
                .name = "test",
                .listeners = fixture->listeners,
                .listener_count = 1,
                .slots = 1,
                .limits = {.requests = requests, .timeout = timeout},
                .http = {5, 5, 5, 5, 1 << 20},
                .capacity = loops,
        };
        cr_assert_eq(http_setup(&fixture->application), 0);
        fixture->worker = (struct clade_worker){
                .application = &fixture->application,
                .listeners = fixture->fds,
                .kept = fixture->application.kept,
                .ready = worker_ready,
                .begin = worker_begin,
                .end = worker_end,
                .leave = worker_leave,
        };
        cr_assert_eq(http_server_create(&fixture->worker, loops, &hooks, &fixture->server), 0);
        for (unsigned i = 0; i < loops; i++)
                cr_assert_eq(pthread_create(&fixture->threads[i], NULL, run, fixture), 0);
}

static void join(struct fixture *fixture)
{
        for (unsigned i = 0; i < fixture->loops; i++)
                pthread_join(fixture->threads[i], NULL);
        http_server_destroy(fixture->server);
        for (size_t i = 0; i < fixture->application.kept_count; i++)
                close(fixture->application.kept[i]);
        close(fixture->fds[0]);
        cr_assert_eq(begun, ended);
}

static int client(const struct fixture *fixture)
{
        struct sockaddr_in address = {.sin_family = AF_INET,
                                      .sin_port = fixture->port,
                                      .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

        cr_assert_eq(connect(fd, (void *)&address, sizeof(address)), 0);
        return fd;
}

static void ask(int fd, const char *path)
{
        char text[256];
        int length =
                snprintf(text, sizeof(text), "GET %s HTTP/1.1\r\nHost: localhost\r\n\r\n", path);

        cr_assert_eq(send(fd, text, (size_t)length, MSG_NOSIGNAL), length);
}

/* One answer's worth; its status, 0 at the end of the connection. *ret_close: it is the last one. */
static unsigned answer(int fd, bool *ret_close)
{
        char text[2048] = "";
        ssize_t n = recv(fd, text, sizeof(text) - 1, 0);

        if (n <= 0)
                return 0;
        *ret_close = strstr(text, "Connection: close") != NULL;
        return (unsigned)atoi(text + strlen("HTTP/1.1 "));
}

Test(server, loops_serve_side_by_side)
{
        struct fixture fixture;
        int clients[2 * LOOPS];
        bool closes;

        start(&fixture, LOOPS, 0, 0);
        /* All over one loop's connections: what would wait goes to the others. */
        for (size_t i = 0; i < ARRAY_SIZE(clients); i++)
                clients[i] = client(&fixture);
        for (int round = 0; round < 3; round++) {
                for (size_t i = 0; i < ARRAY_SIZE(clients); i++)
                        ask(clients[i], "/50");
                for (size_t i = 0; i < ARRAY_SIZE(clients); i++) {
                        cr_assert_eq(answer(clients[i], &closes), 200);
                        cr_assert_not(closes);
                }
        }
        cr_assert_eq(most, LOOPS);
        cr_assert_eq(begun, 3 * 2 * LOOPS);
        cr_assert_eq(ready, 1);
        http_server_stop(fixture.server);
        for (size_t i = 0; i < ARRAY_SIZE(clients); i++) {
                cr_assert_eq(answer(clients[i], &closes), 0);
                close(clients[i]);
        }
        join(&fixture);
}

Test(server, what_was_begun_is_answered)
{
        struct fixture fixture;
        int busy, waiting;
        bool closes = false;

        start(&fixture, 1, 0, 0);
        busy = client(&fixture);
        waiting = client(&fixture);
        ask(busy, "/200");
        rest(100);
        ask(waiting, "/0");
        http_server_stop(fixture.server);
        cr_assert_eq(answer(busy, &closes), 200);
        cr_assert_eq(answer(busy, &closes), 0);
        closes = false;
        cr_assert_eq(answer(waiting, &closes), 200);
        cr_assert(closes);
        close(busy);
        close(waiting);
        join(&fixture);
}

Test(server, so_many_requests)
{
        struct fixture fixture;
        bool closes = false;
        int fd;

        start(&fixture, 1, 3, 0);
        fd = client(&fixture);
        for (int i = 0; i < 3; i++) {
                cr_assert_not(closes);
                ask(fd, "/0");
                cr_assert_eq(answer(fd, &closes), 200);
        }
        cr_assert(closes);
        cr_assert_eq(left, 1);
        close(fd);
        join(&fixture);
        cr_assert_eq(begun, 3);
}

/* Clients that ask nothing, or nonsense, use nothing up. */
Test(server, one_request)
{
        struct fixture fixture;
        bool closes = false;
        int fd, second;

        start(&fixture, 1, 1, 0);
        close(client(&fixture));
        fd = client(&fixture);
        cr_assert_eq(send(fd, "x\n", 2, MSG_NOSIGNAL), 2);
        cr_assert_eq(answer(fd, &closes), 400);
        close(fd);
        fd = client(&fixture);
        ask(fd, "/100");
        second = client(&fixture);
        ask(second, "/0");
        cr_assert_eq(answer(fd, &closes), 200);
        cr_assert(closes);
        close(fd);
        cr_assert_eq(fixture.application.kept_count, 0);
        join(&fixture);
        cr_assert_eq(begun, 1);
        /* It waits in the listener's queue for the next worker; here there is none. */
        close(second);
}

Test(server, a_handler_that_hangs)
{
        struct fixture fixture;
        struct timespec before, after;
        bool closes = false;
        int fd;

        start(&fixture, 1, 0, 1);
        fd = client(&fixture);
        clock_gettime(CLOCK_MONOTONIC, &before);
        ask(fd, "/2500");
        cr_assert_eq(answer(fd, &closes), 503);
        clock_gettime(CLOCK_MONOTONIC, &after);
        cr_assert_lt(after.tv_sec - before.tv_sec, 2);
        cr_assert(closes);
        cr_assert_eq(answer(fd, &closes), 0);
        cr_assert_eq(hung, 1);
        close(fd);
        /* It stops by itself when the handler comes back after all. */
        join(&fixture);
}
