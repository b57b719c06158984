/* How the registry of ids lies on the disk: what is checked before it is believed, and how it is
 * changed so that a crash at any moment leaves the old or the new state. */
#pragma once

#include "runtime/compile/id_registry.h"

/* An entry more, in memory. */
int id_store_add(struct id_registry *registry, const uint32_t first[ID_KINDS], uint32_t count,
                 const char *file, const char *application, struct error *error);

/* Writes the entries from `from` on behind the others, or all of them into a new file that takes the old
 * one's place. Both return when it is on the disk. */
int id_store_append(struct id_registry *registry, size_t from, struct error *error);
int id_store_rewrite(struct id_registry *registry, struct error *error);
