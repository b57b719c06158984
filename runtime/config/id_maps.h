/* "uidmap" and "gidmap": which ids of the host an application's ids are. */
#pragma once

#include "runtime/config/reader.h"

/* member: struct config_id_map. "auto" leaves it empty. */
void read_id_map(struct reader *reader, const struct node *node, struct config_id_map *map);

/* What the maps must be to each other and to the rest of their application, which `node` is. */
void check_id_maps(struct reader *reader, const struct node *node,
                   const struct config_application *application);

/* Ids that no range may have: settings.c says why. NULL, or what is wrong with the range. */
const char *id_range_fault(uint64_t first, uint64_t count);
