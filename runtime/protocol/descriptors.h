/* Which descriptor is what in a prototype, from its exec on.
 *
 * 0 is /dev/null; 1 and 2 are the prototype's own output, pipes that the supervisor reads. Then the
 * fixed ones below; then, from PROTOTYPE_FD_FIRST on and in this order: the plan's sources, the
 * listeners, and for each worker slot two pipes, its stdout and its stderr.
 *
 * In a worker: 0 is /dev/null, 1 and 2 its slot's pipes, the listeners from WORKER_FD_LISTENERS on (where
 * LISTEN_FDS wants them), and nothing else that an exec would keep.
 */
#pragma once

enum {
        PROTOTYPE_FD_PLAN = 3,   /* sealed memfd */
        PROTOTYPE_FD_ORDERS,     /* packet pipe from the supervisor */
        PROTOTYPE_FD_REPORTS,    /* packet pipe to the supervisor */
        PROTOTYPE_FD_MODULE,     /* the module's shared object */
        PROTOTYPE_FD_SCOREBOARD, /* memfd, one page for each slot (scoreboard.h) */
        PROTOTYPE_FD_KICK,       /* eventfd: "look at the scoreboard" */
        PROTOTYPE_FD_FIRST,
};

#define WORKER_FD_LISTENERS 3
