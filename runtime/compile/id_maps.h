/* From ranges and from a configuration's own words to the maps of a plan. */
#pragma once

#include "isolation/plan.h"
#include "runtime/compile/arena.h"
#include "runtime/compile/id_caller.h"

/* A whole range for an application that is `id` inside: 0, 1, 2, ... are the range's first, second, third id; an
 * id beyond its end is the last one. */
int id_map_range(struct arena *arena, uint32_t first, uint32_t size, uint32_t id,
                 struct plan_id_map *ret_map, struct error *error);

/* Which one of a range that is. */
uint32_t id_map_own(uint32_t size, uint32_t id);

/* One id. */
int id_map_single(struct arena *arena, uint32_t inside, uint32_t outside,
                  struct plan_id_map *ret_map, struct error *error);

/* What the configuration says, as it stands. */
int id_map_copy(struct arena *arena, const struct config_id_map *map, struct plan_id_map *ret_map,
                struct error *error);

/* What a map names beyond the ids that are somebody's anyway: its own user's, or single ids of the host's
 * accounts. ret_claims has room for all extents; how many it has now is added to *count. */
void id_map_claims(const struct id_caller *caller, const struct id_taken *taken, enum id_kind kind,
                   const struct config_id_map *map, struct id_claim *ret_claims, size_t *count);

/* Whether whoever we are may give these ids away, and should: see docs/configuration.md, uidmap. */
int id_map_check(const struct id_caller *caller, const struct id_taken *taken, enum id_kind kind,
                 const struct config_id_map *map, struct error *error);

/* Whether it has none but our own id. */
bool id_map_is_own(const struct id_caller *caller, enum id_kind kind,
                   const struct config_id_map *map);
