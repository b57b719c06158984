/* A client that looks at each answer.
 *
 *     ask PORT COUNT CONNECTIONS
 *
 * Asks 127.0.0.1:PORT for "/" COUNT times, each time over a new connection, CONNECTIONS of them at once. The body
 * of each answer that is a complete 200 goes to stdout, with what is missing of a line's end. At the end a line of
 * JSON on stderr: how long it all took, latencies from connect to the last byte, and how many answers did not come.
 * Nothing is ever asked again. The exit status is 1 when there were such.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define ANSWER_MAX       4096
#define CONNECTIONS_MAX  1024
#define PATIENCE_NS      INT64_C(20000000000)
#define ARRAY_SIZE(list) (sizeof(list) / sizeof((list)[0]))

struct connection {
        int fd;
        bool sent;
        int64_t begin;
        size_t length;
        char answer[ANSWER_MAX + 1];
};

struct client {
        union {
                struct sockaddr any;
                struct sockaddr_in ipv4;
        } address;
        int epoll;
        size_t count, begun, ended, answered;
        size_t refused, broken, incomplete, statuses, timeouts;
        int64_t *latencies; /* one for each answer, ns */
        struct connection *connections;
        size_t connection_count;
};

static const char REQUEST[] = "GET / HTTP/1.1\r\nHost: bench\r\nConnection: close\r\n\r\n";

static _Noreturn void die(const char *what)
{
        fprintf(stderr, "ask: %s: %s\n", what, strerror(errno));
        exit(2);
}

static int64_t now_ns(void)
{
        struct timespec now;

        clock_gettime(CLOCK_MONOTONIC, &now);
        return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static void begin(struct client *client, struct connection *connection)
{
        struct epoll_event event = {.events = EPOLLOUT, .data.ptr = connection};

        connection->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        if (connection->fd < 0)
                die("socket");
        client->begun++;
        connection->sent = false;
        connection->length = 0;
        connection->begin = now_ns();
        if (connect(connection->fd, &client->address.any, sizeof(client->address.ipv4)) < 0 &&
            errno != EINPROGRESS)
                die("connect");
        if (epoll_ctl(client->epoll, EPOLL_CTL_ADD, connection->fd, &event) < 0)
                die("epoll_ctl");
}

/* This one is over; the next takes its place. */
static void end(struct client *client, struct connection *connection)
{
        close(connection->fd);
        connection->fd = -1;
        client->ended++;
        if (client->begun < client->count)
                begin(client, connection);
}

static void send_request(struct client *client, struct connection *connection)
{
        struct epoll_event event = {.events = EPOLLIN, .data.ptr = connection};
        ssize_t n = send(connection->fd, REQUEST, sizeof(REQUEST) - 1, MSG_NOSIGNAL);

        if (n != (ssize_t)sizeof(REQUEST) - 1) {
                client->refused += 1;
                end(client, connection);
                return;
        }
        connection->sent = true;
        if (epoll_ctl(client->epoll, EPOLL_CTL_MOD, connection->fd, &event) < 0)
                die("epoll_ctl");
}

/* One of them is shown. */
static void complain(const struct client *client, const struct connection *connection)
{
        if (client->incomplete + client->statuses == 1)
                fprintf(stderr, "ask: this is not as it should be:\n%s\n", connection->answer);
}

/* The body of a complete answer, or NULL. */
static const char *body_of(struct client *client, struct connection *connection)
{
        static const char LENGTH[] = "\r\ncontent-length:";
        char *head_end, *field;
        size_t length;

        connection->answer[connection->length] = '\0';
        head_end = strstr(connection->answer, "\r\n\r\n");
        if (!head_end) {
                client->incomplete++;
                complain(client, connection);
                return NULL;
        }
        if (strncmp(connection->answer, "HTTP/1.", 7) != 0 ||
            strncmp(connection->answer + 8, " 200", 4) != 0) {
                client->statuses++;
                complain(client, connection);
                return NULL;
        }
        field = strcasestr(connection->answer, LENGTH);
        length = strlen(head_end + 4);
        if (!field || field > head_end || strtoul(field + sizeof(LENGTH) - 1, NULL, 10) != length) {
                client->incomplete++;
                complain(client, connection);
                return NULL;
        }
        return head_end + 4;
}

static void take_answer(struct client *client, struct connection *connection)
{
        ssize_t n = recv(connection->fd, connection->answer + connection->length,
                         ANSWER_MAX - connection->length, 0);
        const char *body;

        if (n < 0 && errno == EAGAIN)
                return;
        if (n < 0) {
                client->broken++;
        } else if (n > 0) {
                connection->length += (size_t)n;
                if (connection->length < ANSWER_MAX)
                        return;
                client->incomplete++;
        } else {
                body = body_of(client, connection);
                if (body) {
                        size_t length = strlen(body);

                        client->latencies[client->answered++] = now_ns() - connection->begin;
                        fputs(body, stdout);
                        if (length == 0 || body[length - 1] != '\n')
                                putchar('\n');
                }
        }
        end(client, connection);
}

static void give_up(struct client *client, int64_t now)
{
        for (size_t i = 0; i < client->connection_count; i++) {
                struct connection *connection = &client->connections[i];

                if (connection->fd >= 0 && now - connection->begin > PATIENCE_NS) {
                        client->timeouts++;
                        end(client, connection);
                }
        }
}

static void run(struct client *client)
{
        struct epoll_event events[64];

        for (size_t i = 0; i < client->connection_count; i++) {
                client->connections[i].fd = -1;
                if (client->begun < client->count)
                        begin(client, &client->connections[i]);
        }
        while (client->ended < client->count) {
                int n = epoll_wait(client->epoll, events, ARRAY_SIZE(events), 1000);

                if (n < 0 && errno != EINTR)
                        die("epoll_wait");
                for (int i = 0; i < n; i++) {
                        struct connection *connection = events[i].data.ptr;

                        if (connection->sent)
                                take_answer(client, connection);
                        else
                                send_request(client, connection);
                }
                if (n == 0)
                        give_up(client, now_ns());
        }
}

static int by_size(const void *a, const void *b)
{
        int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

        return (x > y) - (x < y);
}

static int64_t part(const struct client *client, size_t percent)
{
        return client->answered ? client->latencies[(client->answered - 1) * percent / 100] / 1000
                                : 0;
}

static size_t number(const char *text, size_t most)
{
        char *rest;
        unsigned long value = strtoul(text, &rest, 10);

        if (*rest || value == 0 || value > most) {
                fprintf(stderr, "ask: \"%s\" is no number from 1 to %zu\n", text, most);
                exit(2);
        }
        return value;
}

int main(int argc, char **argv)
{
        struct client client = {.address.ipv4 = {.sin_family = AF_INET}};
        int64_t begun;

        if (argc != 4) {
                fprintf(stderr, "usage: ask PORT COUNT CONNECTIONS\n");
                return 2;
        }
        client.address.ipv4.sin_port = htons((uint16_t)number(argv[1], 65535));
        client.address.ipv4.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        client.count = number(argv[2], 100000000);
        client.connection_count = number(argv[3], CONNECTIONS_MAX);
        client.connections = calloc(client.connection_count, sizeof(*client.connections));
        client.latencies = calloc(client.count, sizeof(*client.latencies));
        client.epoll = epoll_create1(EPOLL_CLOEXEC);
        if (!client.connections || !client.latencies || client.epoll < 0)
                die("a client");
        begun = now_ns();
        run(&client);
        begun = now_ns() - begun;
        if (fflush(stdout) != 0)
                die("stdout");
        qsort(client.latencies, client.answered, sizeof(*client.latencies), by_size);
        fprintf(stderr,
                "{\"seconds\": %.6f, \"answered\": %zu, \"p50_us\": %" PRId64
                ", \"p99_us\": %" PRId64 ", \"refused\": %zu, \"broken\": %zu, \"incomplete\": %zu"
                ", \"statuses\": %zu, \"timeouts\": %zu}\n",
                (double)begun / 1e9, client.answered, part(&client, 50), part(&client, 99),
                client.refused, client.broken, client.incomplete, client.statuses, client.timeouts);
        free(client.connections);
        free(client.latencies);
        return client.answered == client.count ? 0 : 1;
}
