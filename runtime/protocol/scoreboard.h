/* The scoreboard of an application: a memfd with one page for each worker slot.
 *
 * A worker maps its own page, shared, and nothing but that; the prototype maps nothing and passes on
 * the descriptor only as far as the worker's first moments. The supervisor never maps it (a worker
 * can punch holes into it or fill it while it is being looked at): it preads a page into memory of its
 * own and believes nothing there beyond "the worker on this slot says so".
 *
 * Nor does it write to it, not even to say that it is looking: a write to a file waits for the file's lock, which
 * whoever else has the descriptor can hold for as long as it likes. Its own descriptor is for reading only.
 *
 * A request costs no system call. Where what workers do matters (launch.tells_load), one that begins to work writes to the
 * eventfd, but no more often than every SCOREBOARD_KICK_MS; the supervisor looks by itself from then on, until nothing
 * has been begun for much longer than that.
 *
 * There is no time in it: clocks differ between namespaces, and the supervisor would not believe it. It measures
 * for itself how long it has seen the same `oldest`.
 */
#pragma once

#include <stdint.h>

#define SCOREBOARD_PAGE    4096
#define SCOREBOARD_KICK_MS 50

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
        uint32_t spare;
        uint64_t requests; /* that were ever begun */
        uint64_t oldest;   /* which of them has been active for longest, from 1 on; 0: none */
};
