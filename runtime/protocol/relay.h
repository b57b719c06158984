/* What a relay is given at its exec (runtime/relay/main.c has its story).
 *
 * Its first argument is the number of lanes. Lane n reads from descriptor 2 n and writes to 2 n + 1; behind
 * the last lane comes the account, a pipe into which the relay writes one struct when it is done.
 */
#pragma once

#include <stdint.h>

enum relay_lane {
        RELAY_ORDERS,  /* from the supervisor to the prototype, packets */
        RELAY_REPORTS, /* from the prototype to the supervisor, packets; the rest go that way, too */
        RELAY_OUTPUTS, /* the first stdout; stderr is the next one, and so on in turns */
};

#define RELAY_LANE_FROM(lane) (2 * (lane))
#define RELAY_LANE_TO(lane)   (2 * (lane) + 1)
#define RELAY_ACCOUNT(lanes)  (2 * (lanes))

/* Output that nobody could take any more at the end, in bytes: [0] of stdout, [1] of stderr. */
struct relay_account {
        uint64_t lost[2];
};
