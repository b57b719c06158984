/* A worker's page of the scoreboard (runtime/protocol/scoreboard.h), from the side that writes it.
 *
 * There is one in a process, and it is known here rather than passed around: modules are called with a struct
 * that has no place for it, and threads of theirs call back at any time. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "clade/module.h"

struct scoreboard_owner {
        uint32_t slot, capacity;
        uint64_t serial;
        bool tells_load; /* also after it is ready */
};

/* Maps the owner's page of the memfd and says who we are. The eventfd is ours from now on. */
int scoreboard_take(int memfd, int kick, const struct scoreboard_owner *owner, struct error *error);

/* What modules call: clade_worker's members of the same names. */
void scoreboard_ready(struct clade_worker *worker);
uint64_t scoreboard_begin(struct clade_worker *worker);
void scoreboard_end(struct clade_worker *worker, uint64_t ticket);
void scoreboard_leave(struct clade_worker *worker);
