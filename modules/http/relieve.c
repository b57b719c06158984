/* Connections that would wait here, and need not. */
#include <errno.h>
#include <stddef.h>
#include <sys/socket.h>

#include "base/own.h"
#include "modules/http/loop.h"
#include "modules/http/server.h"

/* What it costs both sides to pass a connection on, in ns: whoever waits for less is better off here. */
#define PASSING_COST 30000

/* Another worker has it from now on. false: it stays. */
static bool pass_on(struct loop *loop, struct connection *connection)
{
        if (connection->state != CONNECTION_IDLE || connection->parser || connection->pending ||
            !output_is_empty(&connection->output))
                return false;
        if (share_send(&loop->server->share, connection->fd, connection->listener->index) < 0)
                return false;
        connection_close(loop, connection);
        return true;
}

static struct connection *idle_connection(const struct epoll_event *event)
{
        struct connection *connection = event->data.ptr;

        if (*(enum source *)event->data.ptr != SOURCE_CONNECTION ||
            connection->state != CONNECTION_IDLE)
                return NULL;
        return connection;
}

/* Where handlers take their time, clients of a loop that has many wait for each other, while those of one that has few do
 * not: then it is better to have as many as the others, though none of those is idle now. */
#define LONG_WAIT 1000000 /* ns */
#define GIVE_AWAY 8       /* in one round: others do the same */

static unsigned surplus(const struct loop *loop, int count)
{
        uint32_t fair;
        size_t held = loop->connection_count;

        if ((uint64_t)count * loop->typical < LONG_WAIT)
                return 0;
        fair = share_fair(&loop->server->share);
        if (held <= fair)
                return 0;
        return held - fair < GIVE_AWAY ? (unsigned)(held - fair) : GIVE_AWAY;
}

void loop_distribute(struct loop *loop, const struct epoll_event *events, int count)
{
        uint64_t wait = 0;
        unsigned room = 0;
        bool asked = false;

        if (!loop->server->share.slots || loop->stopping ||
            (uint64_t)count * loop->typical <= PASSING_COST)
                return;
        for (int i = 0; i < count; i++) {
                struct connection *connection = idle_connection(&events[i]);

                if (!connection)
                        continue;
                if (wait > PASSING_COST) {
                        if (!asked)
                                room = share_room(&loop->server->share);
                        if (!asked && room == 0)
                                room = surplus(loop, count);
                        asked = true;
                        if (room == 0)
                                return;
                        if (pass_on(loop, connection)) {
                                room--;
                                continue;
                        }
                }
                wait += loop->typical;
        }
}

static bool is_running(const struct loop *loop, uint64_t count)
{
        return atomic_load(&loop->watched.count) == count;
}

/* One that no loop has yet. The kernel has woken us for it and nobody else; in the queue it wakes all who are idle. */
static bool redirect(struct loop *loop, struct listener *listener)
{
        union address remote = {0};
        socklen_t size = sizeof(remote);
        int fd = accept4(listener->fd, &remote.any, &size, SOCK_NONBLOCK | SOCK_CLOEXEC);

        if (fd < 0)
                return false;
        if (share_send(&loop->server->share, fd, listener->index) < 0) {
                connection_keep(loop, fd, listener, &remote, size);
                return false;
        }
        fd_close(fd);
        return true;
}

static bool relieve_of(struct loop *loop, const struct epoll_event *event)
{
        switch (*(enum source *)event->data.ptr) {
        case SOURCE_CONNECTION:
                return pass_on(loop, event->data.ptr);
        case SOURCE_LISTENER:
                return redirect(loop, event->data.ptr);
        case SOURCE_SHARE:
        case SOURCE_STOP:
                break;
        }
        return false;
}

static void relieve(struct loop *loop)
{
        struct epoll_event events[LOOP_EVENTS];
        const struct share *share = &loop->server->share;
        unsigned room = share_room(share);
        int n = room ? epoll_wait(loop->epoll, events, LOOP_EVENTS, 0) : 0;

        for (int i = 0; i < n && room > 0; i++)
                room -= relieve_of(loop, &events[i]);
}

/* A worker that will end before its handler does has no use for any of them. */
static void let_all_go(struct loop *loop)
{
        struct connection *connection, *next;

        for (connection = TAILQ_FIRST(&loop->connections); connection; connection = next) {
                next = TAILQ_NEXT(connection, in_loop);
                if (connection->state == CONNECTION_IDLE && !pass_on(loop, connection))
                        return;
        }
}

static bool has_heirs(const struct http_server *server)
{
        /* A worker that has served its number is replaced, and the next one finds the queue. */
        return server->share.slots &&
               (atomic_load(&server->leaving) || share_has_others(&server->share));
}

/* The loop's lock can only be had while the handler runs: the loop waits for events with it. */
void loop_relieve(struct loop *loop, uint64_t count)
{
        const struct http_server *server = loop->server;

        if (!server->share.slots || pthread_mutex_trylock(&loop->lock) != 0)
                return;
        if (is_running(loop, count) && !server_is_stopping(server))
                relieve(loop);
        else if (is_running(loop, count) && has_heirs(server))
                let_all_go(loop);
        pthread_mutex_unlock(&loop->lock);
}

void loop_abandon(struct loop *loop, uint64_t count)
{
        if (pthread_mutex_trylock(&loop->lock) != 0)
                return;
        if (is_running(loop, count))
                answer_abandon(&loop->answer);
        pthread_mutex_unlock(&loop->lock);
}

void loop_hand_on(struct loop *loop)
{
        const struct http_server *server = loop->server;

        if (!has_heirs(server))
                return;
        for (size_t i = 0; i < server->worker->application->listener_count; i++)
                while (redirect(loop, &loop->listeners[i]))
                        ;
}

void loop_let_go(struct loop *loop, struct connection *connection)
{
        char byte;

        if (has_heirs(loop->server) && pass_on(loop, connection))
                return;
        /* Whoever has asked already is answered; what comes later nobody reads. */
        if (recv(connection->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) > 0)
                connection_ready(loop, connection, EPOLLIN);
        else
                connection_linger(loop, connection);
}

/* Whether there was one. */
static bool receive_one(struct loop *loop)
{
        union address remote = {0};
        socklen_t size = sizeof(remote);
        size_t listener;
        int fd;

        if (!loop->accepting)
                return false;
        if (loop->connection_count >= loop->connection_max) {
                loop_accept_end(loop);
                return false;
        }
        fd = share_receive(&loop->server->share, loop->server->worker->application->listener_count,
                           &listener);
        if (fd < 0)
                return fd == -EPROTO;
        /* A client that has gone meanwhile has no address any more. */
        if (getpeername(fd, &remote.any, &size) < 0) {
                fd_close(fd);
                return true;
        }
        connection_create(loop, fd, &loop->listeners[listener], &remote, size, TIMER_IDLE);
        return true;
}

/* Where rounds are long, all that are meant for us, or the last of them would wait for as many rounds. */
void loop_receive(struct loop *loop)
{
        bool more = receive_one(loop);

        for (int i = 1; more && i < GIVE_AWAY && loop->typical >= LONG_WAIT / GIVE_AWAY; i++)
                more = loop->connection_count < share_fair(&loop->server->share) &&
                       receive_one(loop);
}
