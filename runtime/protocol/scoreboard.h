/* The scoreboard of an application: a memfd with one page for each worker slot.
 *
 * A worker maps its own page, shared, and nothing but that; the prototype maps nothing and passes on
 * the descriptor only as far as the worker's first moments. The supervisor never maps it (a worker
 * can punch holes into it or fill it while it is being looked at): it preads a page into memory of its
 * own and believes nothing there beyond "the worker on this slot says so".
 *
 * No request costs a system call. A worker that begins to work finds in `watched` whether the supervisor is looking
 * at the page by itself, from time to time, and writes to the eventfd only when it is not. The supervisor
 * sets `watched` when it begins to look, clears it when the worker has long been idle, and looks once more after
 * that; so either sees what the other did.
 *
 * There is no time in it: clocks differ between namespaces, and the supervisor would not believe it. It measures
 * for itself how long it has seen the same `oldest`.
 */
#pragma once

#include <stdint.h>

#define SCOREBOARD_PAGE 4096

enum scoreboard_state {
        SCOREBOARD_EMPTY,
        SCOREBOARD_STARTING,
        SCOREBOARD_READY,
        SCOREBOARD_LEAVING, /* it has served what limits.requests allows: no more from now on */
};

struct scoreboard_slot {
        uint64_t serial;   /* of the clone that wrote it: what an earlier worker left is no news */
        uint32_t state;    /* enum scoreboard_state */
        uint32_t capacity; /* requests at once; 0: it does not count them */
        uint32_t active;   /* requests that it works on now */
        uint32_t watched;  /* written by the supervisor: it looks by itself */
        uint64_t requests; /* that were ever begun */
        uint64_t oldest;   /* which of them has been active for longest, from 1 on; 0: none */
};
