/* How many workers an application has, and for how long each may work on one thing.
 *
 * A number of processes is simply that many, always. Where `processes` is an object there are as many as are needed:
 * `spare` idle ones are kept ready, more are cloned when all are at work or connections wait, up to `max`; one that has
 * been idle for idle_timeout, and is more than `spare`, is asked to end.
 *
 * What is known comes from three places: the scoreboard (load.h), the listeners, which tell of arrivals while nobody is
 * idle, and the machine of each slot. Everything that may change the answer calls scaling_consider; a tick comes only
 * while there is something to watch, so an application at rest costs nothing.
 *
 *     kick (a worker begins to work)   ─┐
 *     arrival (nobody is idle)          ├─> scaling_consider ─> WORKER_WANTED to free slots
 *     worker ready, ended, rested       │                    ─> WORKER_UNWANTED to idle ones
 *     tick (something is watched)      ─┘                    ─> WORKER_HUNG to those that take too long
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct application;

/* The decision by itself. */
struct scaling_view {
        uint32_t max, spare;
        uint32_t alive;   /* slots that have a worker, or have asked for one */
        uint32_t coming;  /* of those: not ready yet */
        uint32_t idle;    /* ready, at work on nothing, and not about to leave */
        uint32_t overdue; /* of the idle: for longer than idle_timeout */
        uint32_t free;    /* slots that could get one now */
        uint32_t waiting; /* connections that nobody has accepted */
        bool busy; /* each one that is ready works on as much as it can at once, and has for a while */
};

/* How many to add (> 0) or to let go (< 0). */
int scaling_decide(const struct scaling_view *view);

/* The prototype is ready for orders. */
void scaling_start(struct application *application);

/* Looks at everything and acts. Orders are due afterwards: incarnation_flush. */
void scaling_consider(struct application *application);

/* A worker is ready. It may have begun to work before anybody here knew of it, so it is looked at once. */
void scaling_soon(struct application *application);

/* No prototype, no workers: nothing to tick for, and nothing to hear of arrivals. */
void scaling_stop(struct application *application);
