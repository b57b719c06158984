/* The supervisor's side of a relay: the process that stands between an application's pipes and ours, so that no
 * lock of a tenant's is ever waited for here (runtime/relay/main.c has its story).
 *
 * A relay belongs to one incarnation. It ends by itself when nobody is left who could write, that is at the
 * prototype's end; the incarnation is over only when both are dead. Where processes of a tenant's are left
 * that keep its pipes open (without a pid namespace that can be), it is given a second, and then killed.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>
#include <systemd/sd-event.h>

#include "base/error.h"
#include "runtime/protocol/relay.h"

/* The pipes that it shall carry from and to, in the order of enum relay_lane. Owns them. */
struct relay_lanes {
        int *fds;
        size_t count, room; /* descriptors: two for each lane */
};

/* Room for `lanes` of them. 0 or -ENOMEM. */
int relay_lanes_init(struct relay_lanes *lanes, size_t count);
void relay_lanes_finish(struct relay_lanes *lanes);
/* One more; takes both descriptors. */
void relay_lanes_add(struct relay_lanes *lanes, int from, int to);

struct relay {
        int pidfd; /* -1: there is none */
        int account;
        sd_event_source *death, *patience;
        void (*ended)(void *context, bool orderly);
        void *context;
};

#define RELAY_INIT                                                                                 \
        {                                                                                          \
                .pidfd = -1, .account = -1                                                         \
        }

/* Execs one from its image, for the application `name`. Its descriptors are the lanes and nothing else; ours of
 * them can be closed then. `ended` is called from the loop when it has died, once; `orderly` when nobody
 * was left below, or nobody here. */
int relay_start(struct relay *relay, sd_event *event, int image, const char *name,
                const struct relay_lanes *lanes, void (*ended)(void *context, bool orderly),
                void *context, struct error *error);

/* From now on it has a second to end by itself. */
void relay_expect_end(struct relay *relay);

/* True until `ended` has been called. */
bool relay_alive(const struct relay *relay);

/* Gives it up, killed or not, for whoever is about to end: it is not waited for, and init reaps it. */
void relay_abandon(struct relay *relay);

/* Reaps it, which kills it where it lives. *ret_account is what it could not deliver, as far as it has said so. */
void relay_finish(struct relay *relay, struct relay_account *ret_account);
