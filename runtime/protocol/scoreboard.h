/* The scoreboard of an application: a memfd with one page for each worker slot.
 *
 * A worker maps its own page, shared, and nothing but that; the prototype maps nothing and passes on
 * the descriptor only as far as the worker's first moments. The supervisor never maps it (a worker
 * can punch holes into it or fill it while it is being looked at): it preads a page into memory of its
 * own and believes nothing there beyond "the worker on this slot says so".
 */
#pragma once

#include <stdint.h>

#define SCOREBOARD_PAGE 4096

enum scoreboard_state {
        SCOREBOARD_EMPTY,
        SCOREBOARD_STARTING,
        SCOREBOARD_READY,
};

struct scoreboard_slot {
        uint64_t serial; /* of the clone that wrote it: what an earlier worker left is no news */
        uint32_t state;  /* enum scoreboard_state */
        uint32_t spare;
};
