/* What a worker's loops have in common. */
#pragma once

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "modules/http/http.h"
#include "modules/http/loop.h"
#include "modules/http/share.h"
#include "modules/http/watch.h"

struct http_server {
        struct clade_worker *worker;
        struct http_hooks hooks;
        unsigned loop_count;
        struct loop *loops;
        int stop; /* an eventfd that stays readable once the server is to stop */
        atomic_bool stopping;
        atomic_bool leaving; /* limits.requests has been reached */
        _Atomic uint64_t begun;
        struct share share;
        struct watch watch;
};

/* Whether SIGTERM, or whoever else, has told it to. */
bool server_is_stopping(const struct http_server *server);

/* Whether it was made for one request, which has begun: what it has is all there will be. */
static inline bool server_is_spent(const struct http_server *server)
{
        return server->worker->application->limits.requests == 1 && atomic_load(&server->leaving);
}

/* A request is about to be handled. Whether it is the last one that limits.requests allows, or beyond: then the worker
 * begins to leave. What had begun to come is served even so. */
bool server_counts_out(struct http_server *server);
