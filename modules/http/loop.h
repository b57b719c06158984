/* One loop: an epoll, the connections that it has, and the one request that is being handled.
 *
 * Everything in here belongs to whoever holds `lock`. That is the loop's own thread, all the time but while a handler
 * runs: then the watching thread may look after the connections that wait behind it. A connection that it
 * removes stays allocated until the loop is done with the events that it has fetched. */
#pragma once

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/epoll.h>
#include <sys/queue.h>

#include "modules/http/address.h"
#include "modules/http/answer.h"
#include "modules/http/http.h"
#include "modules/http/log.h"
#include "modules/http/output.h"
#include "modules/http/parser.h"
#include "modules/http/timers.h"
#include "modules/http/watch.h"

#define LOOP_BUFFER (64 * 1024) /* bytes that are received at once */
#define LOOP_EVENTS 64

/* What an epoll event leads to: the first member of what it belongs to. */
enum source { SOURCE_CONNECTION, SOURCE_LISTENER, SOURCE_STOP, SOURCE_SHARE };

struct listener {
        enum source source;
        int fd; /* the worker's */
        size_t index;
        bool fixed; /* it is bound to one address, which its connections have then, too */
        char address[ADDRESS_TEXT]; /* ... printed */
        uint16_t port;
};

enum connection_state {
        CONNECTION_IDLE,      /* no byte of a request has come */
        CONNECTION_READING,   /* some have */
        CONNECTION_HANDLING,  /* a handler runs */
        CONNECTION_SENDING,   /* the client has yet to take the answer */
        CONNECTION_LINGERING, /* it has been told that we are done, and may still be sending */
        CONNECTION_GONE,      /* to be freed after this round of events */
};

struct connection {
        enum source source;
        enum connection_state state;
        int fd;
        bool registered;     /* in the epoll */
        bool waits_to_write; /* ... for EPOLLOUT instead of EPOLLIN */
        bool keep_alive;     /* after what is being sent */
        unsigned queued; /* bytes that the kernel held for the client when the timer was armed */
        bool unread;     /* the client sent more than was read */
        struct timer timer;
        struct parser *parser; /* of a request that has begun; NULL otherwise */
        char *pending;         /* bytes of further requests, behind an answer that is being sent */
        size_t pending_size;
        struct output output;
        struct listener *listener;
        TAILQ_ENTRY(connection) in_loop; /* loop.connections, loop.gone */
        char remote[INET6_ADDRSTRLEN];
        char *local; /* NULL: the listener's */
        uint16_t remote_port, local_port;
};

TAILQ_HEAD(connection_list, connection);

static inline struct connection *connection_of_timer(struct timer *timer)
{
        return (struct connection *)(void *)((char *)timer - offsetof(struct connection, timer));
}

struct loop {
        struct http_server *server;
        unsigned number;
        pthread_mutex_t lock;
        int epoll;
        struct listener *listeners;
        bool accepting;        /* the listeners are in the epoll */
        uint64_t accept_again; /* ms: when to try after the system had no room; 0: at once */
        bool stopping;

        struct connection_list connections, gone;
        size_t connection_count, connection_max;
        struct timers timers;
        struct output_room room;
        struct parser *spare; /* of a connection that has no use for it now */
        struct date date;
        struct answer answer;
        struct log log;
        struct watched watched;
        uint64_t latest;  /* ns that the last handler took */
        uint64_t typical; /* ns that a handler takes: a running mean */
        char *buffer;
        enum source stop, share;
};

int loop_init(struct loop *loop, struct http_server *server, unsigned number);
void loop_finish(struct loop *loop);

/* Until it is told to stop and has nothing more to do. 0 or a negative errno. */
int loop_run(struct loop *loop);

/* relieve.c: connections that wait behind others go to workers that are idle. */

/* Before a round: `count` events, of which the first are served at once, and those sent away that would wait for longer
 * than that costs. */
void loop_distribute(struct loop *loop, const struct epoll_event *events, int count);

/* From the watching thread, while the handler of `count` (watch.h) runs: what has become readable behind it. */
void loop_relieve(struct loop *loop, uint64_t count);

/* From there, too: that handler's client is answered without it. */
void loop_abandon(struct loop *loop, uint64_t count);

/* Of a loop that stops. The kernel wakes one loop for each client that comes: those for whom it was this one are in nobody
 * else's list of events, and are handed on. */
void loop_hand_on(struct loop *loop);

/* An idle connection of a loop that stops: others take it over, or it is closed. */
void loop_let_go(struct loop *loop, struct connection *connection);

/* From the queue. */
void loop_receive(struct loop *loop);

/* listen.c: the listeners, and what comes from them. */
int loop_take_listeners(struct loop *loop);
int loop_accept_begin(struct loop *loop);
void loop_accept_end(struct loop *loop);
void loop_accept(struct loop *loop, struct listener *listener);

/* connection.c */

/* A connection from a listener, served as far as it has come; takes the descriptor. Until its first byte `timer` runs:
 * TIMER_IDLE for one that others have served before. connection_keep only waits for it. */
void connection_create(struct loop *loop, int fd, struct listener *listener,
                       const union address *remote, socklen_t remote_size, enum timer_kind timer);
void connection_keep(struct loop *loop, int fd, struct listener *listener,
                     const union address *remote, socklen_t remote_size);
void connection_ready(struct loop *loop, struct connection *connection, uint32_t events);
void connection_expired(struct loop *loop, struct connection *connection);
void connection_close(struct loop *loop, struct connection *connection);

/* Says goodbye and waits a moment for the client to hear it: for one that may still be sending, who would lose
 * the answer to a reset. */
void connection_linger(struct loop *loop, struct connection *connection);
