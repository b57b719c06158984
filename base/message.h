/* Typed messages of exact sizes, checked against a table before anybody looks into them.
 *
 * Every message starts with a struct message_header. For each peer there is one table that says
 * which types it may send, how large each is to the byte, in which phases of its life, and whether
 * only once. Whoever receives copies the packet into its own memory first, has it checked by
 * message_check, and only then validates the fields. A peer that breaks the table is not argued
 * with: the error says which rule it broke, and the caller ends that peer.
 *
 * A budget bounds how many messages per second a peer may make us handle at all.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

struct message_header {
        uint32_t type; /* meaning depends on the peer; 0 is never used */
        uint32_t size; /* of the whole message, this header included, in bytes */
};

/* No message is larger: a packet of a packet pipe holds PIPE_BUF bytes. */
#define MESSAGE_MAX 4096

struct message_rule {
        uint32_t type;
        const char *name;
        uint32_t size;
        uint32_t phases; /* a bit 1u << phase for each phase in which it is allowed */
        bool once;       /* at most one in the life of the peer */
};

struct message_table {
        const char *peer;                 /* for errors: "prototype" */
        const char *const *phases;        /* their names, for errors */
        size_t phase_count;               /* at most 32 */
        const struct message_rule *rules; /* at most 32 */
        size_t rule_count;
};

/* Checks `size` bytes at `packet`, aligned for uint64_t, against the table in the given phase.
 * `seen` is one word per peer, 0 at first, that remembers the messages that may come only once.
 * Returns the rule that allowed it, or NULL with `error` filled (EBADMSG). */
const struct message_rule *message_check(const struct message_table *table, unsigned phase,
                                         const void *packet, size_t size, uint32_t *seen,
                                         struct error *error);

/* A token bucket: `capacity` at once, `per_second` in the long run. */
struct budget {
        uint32_t capacity;
        uint32_t per_second;
        uint64_t tokens; /* in millionths */
        uint64_t last;   /* µs, monotonic */
};

void budget_init(struct budget *budget, uint32_t capacity, uint32_t per_second, uint64_t now_us);

/* Takes `amount`; false, and nothing taken, when there is not that much left. A `now_us` that lies before
 * an earlier one brings nothing. */
bool budget_spend(struct budget *budget, uint32_t amount, uint64_t now_us);

/* Takes what is owed, as far as it is there: for what has happened already. */
void budget_charge(struct budget *budget, uint64_t amount, uint64_t now_us);

/* Adds `amount`, up to the capacity: for what has been asked for. */
void budget_grant(struct budget *budget, uint32_t amount);

/* µs until `amount` will be there; 0 when it is, UINT64_MAX when it never will. */
uint64_t budget_wait(const struct budget *budget, uint32_t amount, uint64_t now_us);
