/* Whose the host's ids are already: accounts, and the ranges that subuid(5) and subgid(5) give to users. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

/* Users and groups are counted apart. */
enum id_kind { ID_USERS, ID_GROUPS, ID_KINDS };

struct id_owner {
        uint32_t first, count;
        char text[64]; /* "the user bob", "the subordinate users of bob" */
};

struct id_owners {
        struct id_owner *list; /* by their first id */
        size_t count, room;
};

struct id_taken {
        struct id_owners of[ID_KINDS];
};

/* Reads them all. `grants` says whether the ranges of subuid(5) count, too: an ordinary user lives within
 * one. Accounts of services that cannot list theirs (getpwent(3)) are missing here: see id_owner_known.
 * finish it in either case. */
int id_taken_load(struct id_taken *taken, bool grants, struct error *error);
void id_taken_finish(struct id_taken *taken); /* takes a zeroed struct */

int id_owners_add(struct id_owners *owners, uint32_t first, uint32_t count, const char *text,
                  struct error *error);

/* Somebody who has one of the ids [first, first + count), or NULL. */
const struct id_owner *id_taken_find(const struct id_taken *taken, enum id_kind kind,
                                     uint32_t first, uint32_t count);

/* Asks the host for one id, listed or not. ret_text (64 bytes) is "" when it is nobody's. */
int id_owner_known(enum id_kind kind, uint32_t id, char *ret_text, struct error *error);
