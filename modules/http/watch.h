/* The watching thread: one in a worker, for what its loops cannot see to while a handler has them.
 *
 * It looks twice: a tick after a handler began it is still asleep or has just looked; a handler that is still the same
 * one at the next look has run long. Then the connections that have become readable behind it go to workers that are
 * idle (share.h), and once the handler has overrun limits.timeout, the client is answered in its place and the module
 * says where it hangs; the supervisor, which measures for itself, ends the worker.
 *
 * A request costs it nothing as a rule: a loop writes two numbers. While no handler runs the thread sleeps in a
 * futex, and the first handler after that wakes it; it goes to sleep again when a tick has passed without any.
 */
#pragma once

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct http_server;

/* What a loop says of its handler. */
struct watched {
        _Atomic uint64_t count; /* of handlers begun and ended: odd while one runs */
        /* The watching thread's own. */
        uint64_t seen;  /* count at its last look */
        uint64_t since; /* ms: when it saw that first */
        bool hung;
};

struct watch {
        struct http_server *server;
        pthread_t thread;
        bool running;
        uint32_t tick;           /* ms */
        _Atomic uint32_t asleep; /* a futex */
        _Atomic bool over;
};

/* Starts it, if there is anything to watch for. 0 or a negative errno. */
int watch_start(struct watch *watch, struct http_server *server);
void watch_stop(struct watch *watch);

/* By a loop, around each handler. */
void watch_begin(struct watch *watch, struct watched *watched);
void watch_end(struct watched *watched);
