/* The listeners: shared with all workers of the application, which the kernel wakes one at a time. */
#include <errno.h>
#include <netinet/tcp.h>
#include <stddef.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "base/own.h"
#include "modules/http/loop.h"
#include "modules/http/server.h"

/* ms to wait when the system has no descriptor or memory for a further connection. */
#define ACCEPT_PAUSE 100

/* What its connections have as well, unless it listens on all addresses. */
static int take_address(struct listener *listener, bool *ret_unix)
{
        union address address = {0};
        socklen_t size = sizeof(address);

        if (getsockname(listener->fd, &address.any, &size) < 0)
                return -errno;
        address_print(&address, size, listener->address, &listener->port);
        if (address.any.sa_family == AF_INET)
                listener->fixed = address.in.sin_addr.s_addr != htonl(INADDR_ANY);
        else if (address.any.sa_family == AF_INET6)
                listener->fixed = !IN6_IS_ADDR_UNSPECIFIED(&address.in6.sin6_addr);
        else
                listener->fixed = true;
        *ret_unix = address.any.sa_family == AF_UNIX;
        return 0;
}

int loop_take_listeners(struct loop *loop)
{
        const struct clade_worker *worker = loop->server->worker;
        size_t count = worker->application->listener_count;

        loop->listeners = calloc(count ? count : 1, sizeof(*loop->listeners));
        if (!loop->listeners)
                return -ENOMEM;
        for (size_t i = 0; i < count; i++) {
                struct listener *listener = &loop->listeners[i];
                bool is_unix = false;
                int on = 1, r;

                *listener = (struct listener){
                        .source = SOURCE_LISTENER,
                        .fd = worker->listeners[i],
                        .index = i,
                };
                /* Another worker may be faster: then accept must not wait for the next client. */
                r = fd_nonblock(listener->fd, true);
                if (r == 0)
                        r = take_address(listener, &is_unix);
                if (r < 0)
                        return r;
                /* Connections inherit it. */
                if (!is_unix)
                        setsockopt(listener->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
        }
        return 0;
}

int loop_accept_begin(struct loop *loop)
{
        size_t count = loop->server->worker->application->listener_count;

        loop->accept_again = 0;
        for (size_t i = 0; i < count; i++) {
                struct epoll_event event = {
                        .events = EPOLLIN | EPOLLEXCLUSIVE,
                        .data.ptr = &loop->listeners[i],
                };

                if (epoll_ctl(loop->epoll, EPOLL_CTL_ADD, loop->listeners[i].fd, &event) < 0 &&
                    errno != EEXIST)
                        return -errno;
        }
        /* The queue wakes everybody who is idle: a call that only one of them was sent would be lost with it. */
        if (loop->server->share.slots) {
                struct epoll_event event = {.events = EPOLLIN, .data.ptr = &loop->share};

                if (epoll_ctl(loop->epoll, EPOLL_CTL_ADD, loop->server->share.receive, &event) <
                            0 &&
                    errno != EEXIST)
                        return -errno;
        }
        loop->accepting = true;
        return 0;
}

void loop_accept_end(struct loop *loop)
{
        size_t count = loop->server->worker->application->listener_count;

        for (size_t i = 0; loop->accepting && i < count; i++)
                epoll_ctl(loop->epoll, EPOLL_CTL_DEL, loop->listeners[i].fd, NULL);
        if (loop->accepting && loop->server->share.slots)
                epoll_ctl(loop->epoll, EPOLL_CTL_DEL, loop->server->share.receive, NULL);
        loop->accepting = false;
}

/* The client that has been idle for longest, or silent since it came. A worker of one request has one client, whose
 * request may be on its way. */
static struct connection *find_idle(const struct loop *loop)
{
        static const enum timer_kind kinds[] = {TIMER_IDLE, TIMER_HEADER};

        for (size_t i = 0; loop->connection_max > 1 && i < ARRAY_SIZE(kinds); i++) {
                struct timer *timer = timers_oldest(&loop->timers, kinds[i]);
                struct connection *connection = timer ? connection_of_timer(timer) : NULL;

                if (connection && connection->state == CONNECTION_IDLE)
                        return connection;
        }
        return NULL;
}

/* At the limit one that is idle makes place. Where all are at work, new ones wait in the kernel's queue, from which other
 * workers take them. */
static bool make_place(struct loop *loop)
{
        struct connection *connection = find_idle(loop);

        if (connection)
                connection_close(loop, connection);
        return connection != NULL;
}

void loop_accept(struct loop *loop, struct listener *listener)
{
        union address remote = {0};
        socklen_t size = sizeof(remote);
        int fd;

        if (!loop->accepting)
                return;
        if (loop->connection_count >= loop->connection_max && !make_place(loop))
                return loop_accept_end(loop);
        fd = accept4(listener->fd, &remote.any, &size, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd >= 0) {
                connection_create(loop, fd, listener, &remote, size, TIMER_HEADER);
                /* Nobody shall be woken here who could not be taken. */
                if (loop->connection_count >= loop->connection_max && !find_idle(loop))
                        loop_accept_end(loop);
                return;
        }
        if (errno == EINVAL)
                /* Somebody has shut it down, and it would be reported for ever. */
                epoll_ctl(loop->epoll, EPOLL_CTL_DEL, listener->fd, NULL);
        else if ((errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) &&
                 !make_place(loop)) {
                loop_accept_end(loop);
                loop->accept_again = loop->timers.now + ACCEPT_PAUSE;
        }
}
