/* The HTTP/1.1 unit: what serves requests inside a worker. Modules that speak HTTP link it, each its own.
 *
 * One thread runs one loop over many connections (loop.c); a worker can have several, each in a thread of the
 * module's. A loop accepts only when it can serve at once.
 *
 * Under keep-alive a connection belongs to the worker that accepted it, and its next request would wait while that
 * one is busy. So workers pass connections on: `http_setup`, in the prototype, makes a socket that all of an
 * application's workers share, and a page of memory in which each says whether it is idle. A request that
 * arrives behind a busy worker while another is idle goes there, descriptor and all (share.c). A small thread in
 * each worker, asleep while no handler runs long, sees to it when the loop itself cannot (watch.c); it is also what
 * notices that a handler has overrun limits.timeout, answers the client with a 503 and says where it hung.
 * Nothing of that is trusted beyond the application: its workers share all else, too.
 *
 *     head.h, chunk.h     which bytes are a request, and which are refused
 *     parser.h, body.h    from bytes to requests, by two readers that must agree
 *     answer.h, output.h  from what a handler writes to bytes, and to clients that are slow
 *     loop.h              connections, and the loop that they are in
 *     timers.h            how long each may take
 *     share.h, watch.h    as above
 *     log.h               the access log
 *
 * docs/http.md says the same to those who run it, with all limits.
 */
#pragma once

#include <stdbool.h>

#include <clade/http.h>
#include <clade/module.h>

/* Called by loops. All but `handle` may be NULL. */
struct http_hooks {
        /* As clade_handle. */
        int (*handle)(void *context, struct clade_request *request);
        /* Around each wait for events: the place to let go of an interpreter's lock. */
        void (*wait_begin)(void *context);
        void (*wait_end)(void *context);
        /* A handler has run for limits.timeout. From the watching thread, while the handler goes on: say on stderr
         * where it is, by means that need no lock. */
        void (*hung)(void *context);
        void *context;
};

/* Options of a module that uses the unit: put HTTP_OPTIONS into its list. */
#define HTTP_OPTIONS                                                                               \
        {                                                                                          \
                .name = "access_log", .type = CLADE_STRING, .choices = "off|common|json",          \
                .help = "a line for each request on the worker's stdout; off by default",          \
        }

/* In setup. Fills application->kept and what else the workers share; nothing of it is needed with limits.requests 1.
 * Call it before anything else takes a place in `kept`. 0 or a negative errno, as a hook returns it. */
int http_setup(struct clade_application *application);

/* In preload, where it turns out that no worker will speak HTTP: gives back what http_setup made. */
void http_forget(struct clade_application *application);

struct http_server;

/* In start: everything for `loops` loops. Takes over SIGTERM, which ends all loops gracefully. 0 or a negative errno after
 * `fail`. */
int http_server_create(struct clade_worker *worker, unsigned loops, const struct http_hooks *hooks,
                       struct http_server **ret_server);

/* Runs loop number `loop` in this thread until SIGTERM, or until the worker has served limits.requests: no more is
 * accepted then, what was begun is answered, idle connections are passed on or closed. Loop 0 says `ready`.
 * 0, or a negative errno when it had to end otherwise. */
int http_server_run(struct http_server *server, unsigned loop);

/* From any thread: as SIGTERM. */
void http_server_stop(struct http_server *server);

struct http_server *http_server_destroy(
        struct http_server *server); /* after all loops; takes NULL */
