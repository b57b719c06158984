/* A web server of one page, as a `native` application of clade: clade_main runs in each worker.
 *
 * A worker inherits the listening socket and accepts from it together with its siblings; the kernel
 * shares the connections out. One loop, no threads: connections are read, answered and closed, each
 * with a deadline for everything it does. On SIGTERM the loop accepts nothing more, finishes what it
 * has and returns.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "clade/module.h"
#include "examples/demo/escapes.h"
#include "examples/demo/facts.h"
#include "examples/demo/http.h"
#include "page.inc.h" /* made of page.html: the parts before and behind the data */

#define CONNECTIONS_MAX 64
#define LISTENERS_MAX   8
#define READ_MS         5000  /* from the first byte awaited to the whole head */
#define WRITE_MS        10000 /* to take the answer */
#define DRAIN_MS        1000  /* to close first: an early close would reset the answer away */
#define STOP_MS         3000  /* to finish everything after SIGTERM */

enum state { FREE, READING, WRITING, DRAINING };

struct connection {
        enum state state;
        int fd;
        int64_t deadline; /* ms, CLOCK_MONOTONIC */
        char head[HTTP_HEAD_MAX];
        size_t head_size;
        char *answer;
        size_t answer_size, sent;
};

struct server {
        const struct clade_native *native;
        struct connection connections[CONNECTIONS_MAX];
        size_t used;
        bool stopping;
        int64_t stop_deadline;
};

static volatile sig_atomic_t stop_requested;

static void request_stop(int number)
{
        (void)number;
        stop_requested = 1;
}

static int64_t now_ms(void)
{
        struct timespec now;

        clock_gettime(CLOCK_MONOTONIC, &now);
        return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void connection_finish(struct server *server, struct connection *connection)
{
        close(connection->fd);
        free(connection->answer);
        connection->answer = NULL;
        connection->state = FREE;
        server->used--;
}

/* The facts and the attempts, fresh for each visit. */
static void write_data(FILE *out, const struct clade_native *native, int fd)
{
        struct json json = {.out = out};

        json_open(&json, NULL, '{');
        facts_report(&json, native, fd);
        escapes_report(&json, fd);
        json_close(&json, '}');
}

/* The body for a path, with its type; NULL when there is nothing there (or no memory). */
static char *make_body(const struct clade_native *native, int fd, const char *target,
                       size_t *ret_size, const char **ret_type)
{
        bool page = strcmp(target, "/") == 0;
        char *body = NULL;
        FILE *out;

        if (!page && strcmp(target, "/data.json") != 0)
                return NULL;
        out = open_memstream(&body, ret_size);
        if (!out)
                return NULL;
        if (page)
                fwrite(page_before, 1, sizeof(page_before), out);
        write_data(out, native, fd);
        if (page)
                fwrite(page_behind, 1, sizeof(page_behind), out);
        *ret_type = page ? "text/html; charset=utf-8" : "application/json";
        if (fclose(out) != 0) {
                free(body);
                return NULL;
        }
        return body;
}

/* From now on the connection is being written to; without memory for that it is given up. */
static void answer(struct server *server, struct connection *connection, int status,
                   const struct http_request *request)
{
        const char *type = "text/plain; charset=utf-8";
        char *body = NULL;
        size_t size = 0;
        FILE *out = open_memstream(&connection->answer, &connection->answer_size);

        if (!out)
                return connection_finish(server, connection);
        if (status == 200) {
                body = make_body(server->native, connection->fd, request->target, &size, &type);
                if (!body)
                        status = 404;
        }
        if (!body)
                size = strlen(http_reason(status)) + 1;
        fprintf(out,
                "HTTP/1.1 %d %s\r\n"
                "Content-Type: %s\r\n"
                "Content-Length: %zu\r\n"
                "Cache-Control: no-store\r\n"
                "X-Content-Type-Options: nosniff\r\n"
                "Content-Security-Policy: default-src 'none'; style-src 'unsafe-inline'; "
                "script-src 'unsafe-inline'; img-src data:\r\n"
                "%sConnection: close\r\n\r\n",
                status, http_reason(status), type, size,
                status == 405 ? "Allow: GET, HEAD\r\n" : "");
        if (request->head)
                ; /* its body is what a HEAD asks to be spared */
        else if (body)
                fwrite(body, 1, size, out);
        else
                fprintf(out, "%s\n", http_reason(status));
        free(body);
        if (fclose(out) != 0)
                return connection_finish(server, connection);
        connection->sent = 0;
        connection->state = WRITING;
        connection->deadline = now_ms() + WRITE_MS;
}

static void on_readable(struct server *server, struct connection *connection)
{
        struct http_request request = {.target = ""};
        size_t length;
        int status;
        ssize_t n = recv(connection->fd, connection->head + connection->head_size,
                         sizeof(connection->head) - connection->head_size, 0);

        if (n < 0 && (errno == EAGAIN || errno == EINTR))
                return;
        if (n <= 0)
                return connection_finish(server, connection);
        connection->head_size += (size_t)n;
        length = http_head_length(connection->head, connection->head_size);
        if (length) {
                status = http_parse(connection->head, length, &request);
                return answer(server, connection, status, &request);
        }
        /* Whoever speaks TLS here waits for an answer, not for our deadline. */
        if (!http_plausible(connection->head, connection->head_size))
                answer(server, connection, 400, &request);
        else if (connection->head_size == sizeof(connection->head))
                answer(server, connection, 431, &request);
}

static void on_writable(struct server *server, struct connection *connection)
{
        ssize_t n = send(connection->fd, connection->answer + connection->sent,
                         connection->answer_size - connection->sent, MSG_NOSIGNAL);

        if (n < 0 && (errno == EAGAIN || errno == EINTR))
                return;
        if (n < 0)
                return connection_finish(server, connection);
        connection->sent += (size_t)n;
        if (connection->sent < connection->answer_size)
                return;
        shutdown(connection->fd, SHUT_WR);
        connection->state = DRAINING;
        connection->deadline = now_ms() + DRAIN_MS;
}

/* What else the visitor sends is of no interest; that it closes is. */
static void on_drained(struct server *server, struct connection *connection)
{
        char waste[4096];
        ssize_t n = recv(connection->fd, waste, sizeof(waste), 0);

        if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
                connection_finish(server, connection);
}

static void (*const on_ready[])(struct server *server, struct connection *connection) = {
        [FREE] = NULL,
        [READING] = on_readable,
        [WRITING] = on_writable,
        [DRAINING] = on_drained,
};

static void on_deadline(struct server *server, struct connection *connection)
{
        if (connection->state == READING && connection->head_size)
                answer(server, connection, 408, &(struct http_request){.head = false});
        else
                connection_finish(server, connection);
}

static void accept_one(struct server *server, int listener)
{
        int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

        if (fd < 0)
                return; /* a sibling was faster, or the visitor has left again */
        for (size_t i = 0; i < CONNECTIONS_MAX; i++) {
                struct connection *connection = &server->connections[i];

                if (connection->state != FREE)
                        continue;
                connection->state = READING;
                connection->fd = fd;
                connection->deadline = now_ms() + READ_MS;
                connection->head_size = 0;
                server->used++;
                return;
        }
        close(fd);
}

static void turn(struct server *server, const sigset_t *waiting)
{
        struct pollfd polled[LISTENERS_MAX + CONNECTIONS_MAX];
        size_t listeners = server->native->listener_count;
        bool accepting = !server->stopping && server->used < CONNECTIONS_MAX;
        int64_t now = now_ms(), next = now + 60000;
        struct timespec timeout;

        for (size_t i = 0; i < listeners; i++)
                polled[i] = (struct pollfd){.fd = accepting ? server->native->listeners[i] : -1,
                                            .events = POLLIN};
        for (size_t i = 0; i < CONNECTIONS_MAX; i++) {
                const struct connection *connection = &server->connections[i];

                polled[listeners + i] = (struct pollfd){
                        .fd = connection->state == FREE ? -1 : connection->fd,
                        .events = connection->state == WRITING ? POLLOUT : POLLIN,
                };
                if (connection->state != FREE && connection->deadline < next)
                        next = connection->deadline;
        }
        if (server->stopping && server->stop_deadline < next)
                next = server->stop_deadline;
        if (next < now)
                next = now;
        timeout = (struct timespec){.tv_sec = (next - now) / 1000,
                                    .tv_nsec = (next - now) % 1000 * 1000000};
        if (ppoll(polled, listeners + CONNECTIONS_MAX, &timeout, waiting) < 0)
                return; /* a signal: the loop looks at what it was */

        now = now_ms();
        for (size_t i = 0; i < CONNECTIONS_MAX; i++) {
                struct connection *connection = &server->connections[i];
                enum state state = connection->state;

                if (on_ready[state] && polled[listeners + i].revents)
                        on_ready[state](server, connection);
                if (connection->state != FREE && connection->deadline <= now)
                        on_deadline(server, connection);
        }
        for (size_t i = 0; i < listeners; i++)
                if (polled[i].revents & POLLIN)
                        accept_one(server, polled[i].fd);
}

__attribute__((visibility("default"))) int clade_main(const struct clade_native *native);

int clade_main(const struct clade_native *native)
{
        struct sigaction action = {.sa_handler = request_stop};
        struct server *server;
        sigset_t blocked, waiting;

        if (native->listener_count == 0 || native->listener_count > LISTENERS_MAX) {
                fprintf(stderr, "the demo serves on 1 to %d listeners, not on %zu\n", LISTENERS_MAX,
                        native->listener_count);
                return 1;
        }
        server = calloc(1, sizeof(*server));
        if (!server)
                return 1;
        server->native = native;
        /* SIGTERM only gets through while the loop waits, so none is missed. */
        sigemptyset(&blocked);
        sigaddset(&blocked, SIGTERM);
        sigprocmask(SIG_BLOCK, &blocked, &waiting);
        sigdelset(&waiting, SIGTERM);
        sigaction(SIGTERM, &action, NULL);
        /* All siblings accept from the same socket: who is too late must not wait in accept. */
        for (size_t i = 0; i < native->listener_count; i++)
                fcntl(native->listeners[i], F_SETFL,
                      fcntl(native->listeners[i], F_GETFL) | O_NONBLOCK);
        native->ready(native);

        while (!server->stopping || (server->used && now_ms() < server->stop_deadline)) {
                turn(server, &waiting);
                if (stop_requested && !server->stopping) {
                        server->stopping = true;
                        server->stop_deadline = now_ms() + STOP_MS;
                }
        }
        for (size_t i = 0; i < CONNECTIONS_MAX; i++)
                if (server->connections[i].state != FREE)
                        connection_finish(server, &server->connections[i]);
        free(server);
        return 0;
}
