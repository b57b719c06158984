/* What a worker is doing, as its page of the scoreboard says (runtime/protocol/scoreboard.h).
 *
 * The page is the tenant's: it is read into memory of ours, and nothing in it is more than a claim. What follows from a
 * claim is that workers come and go within the application's own bounds, and how long something has gone on is
 * measured here. Looking costs nothing while nothing happens: a worker that begins to work kicks, and from then on it is
 * looked at from time to time, until it has been idle for a while. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct application;
struct worker;

struct load {
        uint32_t active, capacity;
        uint64_t requests, oldest;
        uint64_t oldest_since_us; /* when we first saw that `oldest` */
        uint64_t changed_us;      /* when we last saw it begin something, or at work */
        bool leaving;
        bool watched; /* it is looked at by the tick */
};

/* Whether anybody needs to know: the number of workers depends on it, or requests are timed. */
bool load_matters(const struct application *application);

/* Before a clone is asked for: nothing is known of it. */
void load_expect(struct worker *worker);

/* Reads the page. False when there is nothing of this worker's on it. */
bool load_look(struct worker *worker);
