/* Which level of the ladder (isolation/ladder.h) an application gets: the highest that this host allows and the
 * configuration does not rule out. Below its minimum there is no start. */
#pragma once

#include "base/error.h"
#include "isolation/ladder.h"
#include "runtime/config/config.h"

/* Tries what this host allows: of that what the applications of a configuration ask for, or, with `all`, all
 * there is. Once for a configuration; some milliseconds. */
int level_probe(const struct config *config, bool all, struct ladder *ret_ladder,
                struct error *error);

struct compilation;

/* compile.c's first step: chooses the level, and takes out of the configuration what the level cannot give. */
int level_choose(struct compilation *compilation, struct error *error);
/* After the root: a /proc for those who get no fresh one; for those without a root, that what they shall see
 * is where they will look for it. */
int level_adapt(struct compilation *compilation, struct error *error);
/* Last: what is not enforced by mounts has served its turn; the level's name. */
int level_settle(struct compilation *compilation, struct error *error);
