/* Which ids there are to give away: subuid(5) and subgid(5), and the maps of our own user namespace. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/error.h"
#include "runtime/compile/id_taken.h"

/* What is granted to one user. */
struct subid_grants {
        struct subid_range {
                uint32_t first, count;
        } * list;
        size_t count, room;
};

/* The ranges that a file in the form of subuid(5), "NAME-OR-UID:FIRST:COUNT", grants to a user. `name` may be
 * NULL for a uid without an account. Lines of another form, and ranges from 0 on, are passed over. No
 * file is no range. finish them in either case. */
int subid_find(const char *file, const char *name, uid_t uid, struct subid_grants *grants,
               struct error *error);

/* The same from wherever newuidmap(1) has it: from the file, or from the service that nsswitch.conf(5) names for
 * "subid". The latter is libsubid's affair; as it brings a dozen libraries along, it is asked in a
 * process of its own, by its getsubids(1). */
int subid_granted(enum id_kind kind, const char *name, uid_t uid, struct subid_grants *grants,
                  struct error *error);
void subid_grants_finish(struct subid_grants *grants); /* takes a zeroed struct */

/* The largest one; count 0 when there is none. */
struct subid_range subid_largest(const struct subid_grants *grants);

/* Whether all of [first, first + count) is granted, by one or by several. */
bool subid_covers(const struct subid_grants *grants, uint32_t first, uint32_t count);

/* Everybody's ranges in such a file. */
int subid_all(const char *file, enum id_kind kind, struct id_owners *owners, struct error *error);

/* Whether every id of [first, first + count) has a meaning in the user namespace whose map this file is
 * ("/proc/self/uid_map"). */
int subid_mapped(const char *map, uint32_t first, uint32_t count, bool *ret_mapped,
                 struct error *error);

/* Which of our ids is 0 in the user namespace above, by the same file. -1: none. */
int subid_root(const char *map, int64_t *ret_id, struct error *error);

/* Whether newuidmap(1) and newgidmap(1) can do their work for us: found in PATH, privileged by set-uid or
 * by file capabilities, on a file system that honours that, and no_new_privs is not set. */
bool subid_helpers_usable(void);
