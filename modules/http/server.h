/* What a worker's loops have in common. */
#pragma once

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "modules/http/http.h"
#include "modules/http/loop.h"

struct http_server {
        struct clade_worker *worker;
        struct http_hooks hooks;
        unsigned loop_count;
        struct loop *loops;
        int stop; /* an eventfd that stays readable once the server is to stop */
        atomic_bool stopping;
        atomic_bool leaving; /* limits.requests has been reached */
        _Atomic uint64_t begun;
        bool prefer_disk; /* spill.h */
};

/* A request is about to be handled. false: it would be more than limits.requests. *ret_last: none comes after it. */
bool server_begin(struct http_server *server, bool *ret_last);
