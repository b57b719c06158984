/* Which ids there are to give away: subuid(5) and subgid(5), and the maps of our own user namespace. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/error.h"

struct subid_range {
        uint32_t first, count; /* count 0: none */
};

/* The largest range that a file in the form of subuid(5), "NAME-OR-UID:FIRST:COUNT", grants to a user.
 * `name` may be NULL for a uid without an account. Lines of another form are passed over, as
 * newuidmap(1) does. No file is no range. */
int subid_find(const char *file, const char *name, uid_t uid, struct subid_range *ret_range,
               struct error *error);

/* Whether every id of [first, first + count) has a meaning in the user namespace whose map this file is
 * ("/proc/self/uid_map"). */
int subid_mapped(const char *map, uint32_t first, uint32_t count, bool *ret_mapped,
                 struct error *error);

/* Whether newuidmap(1) and newgidmap(1) can do their work for us: found in PATH, privileged by set-uid or
 * by file capabilities, on a file system that honours that, and no_new_privs is not set. */
bool subid_helpers_usable(void);
