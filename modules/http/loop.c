#include "modules/http/loop.h"

#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/own.h"
#include "modules/http/server.h"

/* Descriptors that are not connections: ours, the application's. */
#define RESERVED_DESCRIPTORS 64
#define CONNECTIONS_MAX      65536
/* ms that a client has for hearing that it is over. */
#define LINGER               2000
#define SHORT_WAIT           100

static size_t connections_max(const struct http_server *server)
{
        struct rlimit limit;
        size_t max = CONNECTIONS_MAX;

        /* A worker of one request takes one connection. */
        if (server->worker->application->limits.requests == 1)
                return 1;
        if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < CONNECTIONS_MAX)
                max = limit.rlim_cur > 2 * RESERVED_DESCRIPTORS
                              ? (size_t)limit.rlim_cur - RESERVED_DESCRIPTORS
                              : (size_t)limit.rlim_cur / 2;
        max /= server->loop_count;
        return max ? max : 1;
}

static void set_durations(struct loop *loop)
{
        const struct clade_http_settings *http = &loop->server->worker->application->http;

        loop->timers.duration[TIMER_HEADER] = http->header_read_timeout * 1000;
        loop->timers.duration[TIMER_BODY] = http->body_read_timeout * 1000;
        loop->timers.duration[TIMER_IDLE] = http->idle_timeout * 1000;
        loop->timers.duration[TIMER_SEND] = http->send_timeout * 1000;
        loop->timers.duration[TIMER_LINGER] = LINGER;
        loop->answer.send_timeout = loop->timers.duration[TIMER_SEND];
}

static enum log_format log_format(const struct clade_application *application)
{
        const struct clade_value *value = clade_value(application, "access_log");

        if (!value || strcmp(value->string, "off") == 0)
                return LOG_OFF;
        return strcmp(value->string, "json") == 0 ? LOG_JSON : LOG_COMMON;
}

int loop_init(struct loop *loop, struct http_server *server, unsigned number)
{
        struct epoll_event event = {.events = EPOLLIN, .data.ptr = &loop->stop};
        int r;

        *loop = (struct loop){
                .server = server,
                .number = number,
                .epoll = -1,
                .stop = SOURCE_STOP,
                .share = SOURCE_SHARE,
                .connection_max = connections_max(server),
        };
        pthread_mutex_init(&loop->lock, NULL);
        TAILQ_INIT(&loop->connections);
        TAILQ_INIT(&loop->gone);
        timers_init(&loop->timers);
        answer_init(&loop->answer, &loop->date);
        set_durations(loop);
        loop->log.format = log_format(server->worker->application);
        loop->buffer = malloc(LOOP_BUFFER);
        if (!loop->buffer)
                return -ENOMEM;
        loop->epoll = epoll_create1(EPOLL_CLOEXEC);
        if (loop->epoll < 0)
                return -errno;
        if (epoll_ctl(loop->epoll, EPOLL_CTL_ADD, server->stop, &event) < 0)
                return -errno;
        r = loop_take_listeners(loop);
        return r < 0 ? r : loop_accept_begin(loop);
}

static void free_gone(struct loop *loop)
{
        struct connection *connection;

        while ((connection = TAILQ_FIRST(&loop->gone))) {
                TAILQ_REMOVE(&loop->gone, connection, in_loop);
                free(connection);
        }
}

void loop_finish(struct loop *loop)
{
        struct connection *connection;

        loop->stopping = true;
        while ((connection = TAILQ_FIRST(&loop->connections)))
                connection_close(loop, connection);
        free_gone(loop);
        loop->spare = parser_destroy(loop->spare);
        answer_finish(&loop->answer);
        free(TAKE_PTR(loop->listeners));
        free(TAKE_PTR(loop->buffer));
        fd_close(TAKE_FD(loop->epoll));
        pthread_mutex_destroy(&loop->lock);
}

/* No more clients; those that ask nothing are let go. */
static void begin_to_stop(struct loop *loop)
{
        struct connection *connection, *next;

        if (loop->stopping)
                return;
        loop->stopping = true;
        share_leave(&loop->server->share);
        loop_accept_end(loop);
        epoll_ctl(loop->epoll, EPOLL_CTL_DEL, loop->server->stop, NULL);
        loop_hand_on(loop);
        for (connection = TAILQ_FIRST(&loop->connections); connection; connection = next) {
                next = TAILQ_NEXT(connection, in_loop);
                if (connection->state == CONNECTION_IDLE)
                        loop_let_go(loop, connection);
        }
}

static void dispatch(struct loop *loop, const struct epoll_event *event)
{
        switch (*(enum source *)event->data.ptr) {
        case SOURCE_CONNECTION:
                connection_ready(loop, event->data.ptr, event->events);
                break;
        case SOURCE_LISTENER:
                loop_accept(loop, event->data.ptr);
                break;
        case SOURCE_STOP:
                begin_to_stop(loop);
                break;
        case SOURCE_SHARE:
                loop_receive(loop);
                break;
        }
}

static void expire(struct loop *loop)
{
        struct timer *timer;

        while ((timer = timers_expired(&loop->timers)))
                connection_expired(loop, connection_of_timer(timer));
        if (loop->log.due && loop->timers.now >= loop->log.due)
                log_flush(&loop->log);
        if (loop->accept_again && loop->timers.now >= loop->accept_again && !loop->stopping)
                loop_accept_begin(loop);
}

static int wait_for_events(struct loop *loop, struct epoll_event *events)
{
        const struct http_hooks *hooks = &loop->server->hooks;
        int timeout = timers_wait(&loop->timers), n;

        /* Two that are no connection's: the log, and accepting again. */
        if ((loop->accept_again || loop->log.due) && (timeout < 0 || timeout > SHORT_WAIT))
                timeout = SHORT_WAIT;
        if (hooks->wait_begin)
                hooks->wait_begin(hooks->context);
        /* What is sent here before that is found by the wait. */
        if (loop->accepting)
                share_idle(&loop->server->share);
        n = epoll_wait(loop->epoll, events, LOOP_EVENTS, timeout);
        if (n < 0)
                n = -errno;
        if (loop->accepting)
                share_busy(&loop->server->share);
        if (hooks->wait_end)
                hooks->wait_end(hooks->context);
        return n;
}

static bool is_over(const struct loop *loop)
{
        return loop->connection_count == 0 && (loop->stopping || server_is_spent(loop->server));
}

int loop_run(struct loop *loop)
{
        struct epoll_event events[LOOP_EVENTS];
        int r = 0;

        pthread_mutex_lock(&loop->lock);
        while (!is_over(loop)) {
                int n = wait_for_events(loop, events);

                if (n == -EINTR)
                        continue;
                if (n < 0) {
                        r = n;
                        break;
                }
                timers_look(&loop->timers);
                loop_distribute(loop, events, n);
                for (int i = 0; i < n; i++)
                        dispatch(loop, &events[i]);
                expire(loop);
                free_gone(loop);
        }
        log_flush(&loop->log);
        pthread_mutex_unlock(&loop->lock);
        return r;
}
