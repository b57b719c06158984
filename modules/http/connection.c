/* What one client does, from its first byte to its last. */
#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/own.h"
#include "modules/http/loop.h"
#include "modules/http/request.h"
#include "modules/http/server.h"

/* --- its life ------------------------------------------------------------------------------------- */

/* Where the listener takes all of the host's addresses, the connection knows which one it was. */
static int take_local_address(struct connection *connection)
{
        union address address = {0};
        socklen_t size = sizeof(address);
        char text[ADDRESS_TEXT];

        connection->local_port = connection->listener->port;
        if (connection->listener->fixed)
                return 0;
        if (getsockname(connection->fd, &address.any, &size) < 0)
                return -errno;
        address_print(&address, size, text, &connection->local_port);
        connection->local = strdup(text);
        return connection->local ? 0 : -ENOMEM;
}

static void receive(struct loop *loop, struct connection *connection);

/* NULL: it could not be taken, and is closed. */
static struct connection *connection_adopt(struct loop *loop, int fd, struct listener *listener,
                                           const union address *remote, socklen_t remote_size,
                                           enum timer_kind timer)
{
        struct connection *connection = calloc(1, sizeof(*connection));
        char text[ADDRESS_TEXT];

        if (!connection) {
                fd_close(fd);
                return NULL;
        }
        connection->source = SOURCE_CONNECTION;
        connection->fd = fd;
        connection->listener = listener;
        output_init(&connection->output, &loop->room);
        if (remote->any.sa_family != AF_UNIX) {
                address_print(remote, remote_size, text, &connection->remote_port);
                memcpy(connection->remote, text, sizeof(connection->remote) - 1);
        }
        TAILQ_INSERT_TAIL(&loop->connections, connection, in_loop);
        loop->connection_count++;
        share_gained(&loop->server->share);
        timers_arm(&loop->timers, &connection->timer, timer);
        if (take_local_address(connection) < 0) {
                connection_close(loop, connection);
                return NULL;
        }
        return connection;
}

void connection_create(struct loop *loop, int fd, struct listener *listener,
                       const union address *remote, socklen_t remote_size, enum timer_kind timer)
{
        struct connection *connection =
                connection_adopt(loop, fd, listener, remote, remote_size, timer);

        /* Its first request is often there already. */
        if (connection)
                receive(loop, connection);
}

static void release_parser(struct loop *loop, struct connection *connection)
{
        struct parser *parser = TAKE_PTR(connection->parser);

        if (!parser)
                return;
        if (!loop->spare) {
                parser_reset(parser);
                loop->spare = parser;
                return;
        }
        parser_destroy(parser);
}

static int take_parser(struct loop *loop, struct connection *connection)
{
        connection->parser = TAKE_PTR(loop->spare);
        if (connection->parser)
                return 0;
        connection->parser = parser_create(loop->server->worker->application->http.max_body_size);
        return connection->parser ? 0 : -ENOMEM;
}

void connection_close(struct loop *loop, struct connection *connection)
{
        if (connection->state == CONNECTION_GONE)
                return;
        timers_disarm(&loop->timers, &connection->timer);
        release_parser(loop, connection);
        output_finish(&connection->output);
        free(TAKE_PTR(connection->pending));
        free(TAKE_PTR(connection->local));
        /* Closing alone would not do where whoever passed it to us has not closed it yet. */
        if (connection->registered && loop->server->share.slots)
                epoll_ctl(loop->epoll, EPOLL_CTL_DEL, connection->fd, NULL);
        fd_close(TAKE_FD(connection->fd));
        TAILQ_REMOVE(&loop->connections, connection, in_loop);
        loop->connection_count--;
        share_lost(&loop->server->share);
        connection->state = CONNECTION_GONE;
        TAILQ_INSERT_TAIL(&loop->gone, connection, in_loop);
        if (!loop->accepting && !loop->stopping && !server_is_spent(loop->server))
                loop_accept_begin(loop);
}

/* 0 or a negative errno; without a place in the epoll a connection can only be closed. */
static int watch(struct loop *loop, struct connection *connection, bool for_writing)
{
        struct epoll_event event = {
                .events = for_writing ? EPOLLOUT : EPOLLIN,
                .data.ptr = connection,
        };
        int operation = connection->registered ? EPOLL_CTL_MOD : EPOLL_CTL_ADD;

        if (connection->registered && connection->waits_to_write == for_writing)
                return 0;
        if (epoll_ctl(loop->epoll, operation, connection->fd, &event) < 0)
                return -errno;
        connection->registered = true;
        connection->waits_to_write = for_writing;
        return 0;
}

void connection_keep(struct loop *loop, int fd, struct listener *listener,
                     const union address *remote, socklen_t remote_size)
{
        struct connection *connection =
                connection_adopt(loop, fd, listener, remote, remote_size, TIMER_HEADER);

        if (connection && watch(loop, connection, false) < 0)
                connection_close(loop, connection);
}

/* --- requests ------------------------------------------------------------------------------------- */

void connection_linger(struct loop *loop, struct connection *connection)
{
        release_parser(loop, connection);
        connection->state = CONNECTION_LINGERING;
        timers_arm(&loop->timers, &connection->timer, TIMER_LINGER);
        if (shutdown(connection->fd, SHUT_WR) < 0 || watch(loop, connection, false) < 0)
                connection_close(loop, connection);
}

/* So many requests of one client are answered in a row. */
#define PIPELINE_MAX 16

static void await_client(struct loop *loop, struct connection *connection)
{
        connection->queued = output_queued(connection->fd);
        timers_arm(&loop->timers, &connection->timer, TIMER_SEND);
}

/* The answer is made. What becomes of the connection: it goes on, when all was taken; or it waits for the client. */
static void after_answer(struct loop *loop, struct connection *connection)
{
        release_parser(loop, connection);
        connection->keep_alive = loop->answer.keep_alive;
        if (loop->answer.state == ANSWER_FAILED)
                return connection_close(loop, connection);
        if (output_is_empty(&connection->output)) {
                connection->state = CONNECTION_IDLE;
                return;
        }
        connection->state = CONNECTION_SENDING;
        await_client(loop, connection);
        if (watch(loop, connection, true) < 0)
                connection_close(loop, connection);
}

static void refuse(struct loop *loop, struct connection *connection, unsigned status,
                   const char *why)
{
        connection->unread = true;
        answer_prepare(&loop->answer, connection->fd, &connection->output, false, 1, false);
        answer_refuse(&loop->answer, status, why);
        request_refused(loop, connection);
        after_answer(loop, connection);
}

/* A client that waits to be asked for its body. */
static void send_continue(struct loop *loop, struct connection *connection)
{
        static const char text[] = "HTTP/1.1 100 Continue\r\n\r\n";
        ssize_t n = send(connection->fd, text, sizeof(text) - 1, MSG_DONTWAIT | MSG_NOSIGNAL);

        /* A client that does not even take that has not read the answer before. */
        if (n != sizeof(text) - 1)
                connection_close(loop, connection);
}

/* What the parser says after some more bytes. */
static void parsed(struct loop *loop, struct connection *connection, enum parser_state before,
                   bool more)
{
        struct parser *parser = connection->parser;

        switch (parser->state) {
        case PARSER_HEAD:
                if (connection->state == CONNECTION_IDLE)
                        timers_arm(&loop->timers, &connection->timer, TIMER_HEADER);
                connection->state = CONNECTION_READING;
                break;
        case PARSER_BODY:
                connection->state = CONNECTION_READING;
                timers_arm(&loop->timers, &connection->timer, TIMER_BODY);
                if (before == PARSER_HEAD && parser->head.expects && !more)
                        send_continue(loop, connection);
                break;
        case PARSER_DONE:
                connection->state = CONNECTION_HANDLING;
                connection->unread = more;
                request_handle(loop, connection);
                after_answer(loop, connection);
                break;
        case PARSER_REFUSED:
                refuse(loop, connection, parser->refusal.status, parser->refusal.why);
                break;
        }
}

static void keep_pending(struct loop *loop, struct connection *connection, const char *data,
                         size_t size)
{
        char *copy;

        if (size == 0 || !connection->keep_alive)
                return;
        copy = malloc(size);
        if (!copy)
                return connection_close(loop, connection);
        memcpy(copy, data, size);
        free(connection->pending);
        connection->pending = copy;
        connection->pending_size = size;
}

/* The client has its answer, and may have sent more than that, or be sending: unread, it would be answered with a reset,
 * which can take the answer away. A worker of one request does not wait for clients that do what is usual. */
static void say_goodbye(struct loop *loop, struct connection *connection)
{
        if (loop->server->worker->application->limits.requests == 1 && !connection->unread &&
            recv(connection->fd, loop->buffer, LOOP_BUFFER, MSG_DONTWAIT) <= 0)
                connection_close(loop, connection);
        else
                connection_linger(loop, connection);
}

/* All that was asked has been answered, and taken. */
static void be_idle(struct loop *loop, struct connection *connection)
{
        if (!connection->keep_alive)
                return say_goodbye(loop, connection);
        if (loop->stopping)
                return loop_let_go(loop, connection);
        timers_arm(&loop->timers, &connection->timer, TIMER_IDLE);
        if (watch(loop, connection, false) < 0)
                connection_close(loop, connection);
}

/* Others have asked, too: it goes on with the loop's next round, as a client does whose answer was not taken at once. */
static void be_patient(struct loop *loop, struct connection *connection)
{
        connection->state = CONNECTION_SENDING;
        await_client(loop, connection);
        if (watch(loop, connection, true) < 0)
                connection_close(loop, connection);
}

/* Bytes from the client, in the loop's buffer or in what was kept. */
static void take(struct loop *loop, struct connection *connection, const char *data, size_t size)
{
        bool answered = false;
        unsigned count = 0;

        while (size > 0 && connection->state <= CONNECTION_READING) {
                enum parser_state before;
                size_t used;

                if (!connection->parser && take_parser(loop, connection) < 0)
                        return connection_close(loop, connection);
                before = connection->parser->state;
                used = parser_feed(connection->parser, data, size);
                data += used;
                size -= used;
                parsed(loop, connection, before, size > 0);
                answered = connection->state == CONNECTION_IDLE;
                if (answered && !connection->keep_alive)
                        break;
                if (answered && ++count == PIPELINE_MAX && size > 0)
                        be_patient(loop, connection);
        }
        if (connection->state == CONNECTION_SENDING)
                keep_pending(loop, connection, data, size);
        else if (connection->state == CONNECTION_IDLE && answered)
                be_idle(loop, connection);
        else if (connection->state <= CONNECTION_READING && watch(loop, connection, false) < 0)
                connection_close(loop, connection);
}

/* --- events --------------------------------------------------------------------------------------- */

static void receive(struct loop *loop, struct connection *connection)
{
        ssize_t n;

        do
                n = recv(connection->fd, loop->buffer, LOOP_BUFFER, MSG_DONTWAIT);
        while (n < 0 && errno == EINTR);
        if (n > 0)
                take(loop, connection, loop->buffer, (size_t)n);
        else if (n == 0 || (errno != EAGAIN))
                connection_close(loop, connection);
        else if (watch(loop, connection, false) < 0)
                connection_close(loop, connection);
}

static void send_more(struct loop *loop, struct connection *connection)
{
        bool progress;
        int r = output_send(&connection->output, connection->fd, &progress);
        cleanup_free char *pending = NULL;

        if (r < 0 && r != -EAGAIN)
                return connection_close(loop, connection);
        if (progress)
                await_client(loop, connection);
        if (r < 0)
                return;
        connection->state = CONNECTION_IDLE;
        pending = TAKE_PTR(connection->pending);
        if (pending)
                take(loop, connection, pending, connection->pending_size);
        else
                be_idle(loop, connection);
}

/* So much is read of what a client sends that has its answer already. */
static void drain(struct loop *loop, struct connection *connection)
{
        ssize_t n = recv(connection->fd, loop->buffer, LOOP_BUFFER, MSG_DONTWAIT);

        if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
                connection_close(loop, connection);
}

void connection_ready(struct loop *loop, struct connection *connection, uint32_t events)
{
        switch (connection->state) {
        case CONNECTION_IDLE:
        case CONNECTION_READING:
                receive(loop, connection);
                break;
        case CONNECTION_SENDING:
                if (events & EPOLLERR)
                        connection_close(loop, connection);
                else
                        send_more(loop, connection);
                break;
        case CONNECTION_LINGERING:
                drain(loop, connection);
                break;
        case CONNECTION_HANDLING:
        case CONNECTION_GONE:
                break;
        }
}

void connection_expired(struct loop *loop, struct connection *connection)
{
        /* Somebody who has begun to ask is told; to others the close says enough. */
        if (connection->state == CONNECTION_READING) {
                refuse(loop, connection, 408, "The request took too long to come.");
                if (connection->state == CONNECTION_IDLE)
                        be_idle(loop, connection);
                return;
        }
        if (connection->state == CONNECTION_SENDING &&
            output_queued(connection->fd) < connection->queued)
                return await_client(loop, connection);
        connection_close(loop, connection);
}
