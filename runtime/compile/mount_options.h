/* The options of mounts: OCI's and libmount's words to what the plan has. */
#pragma once

#include "base/error.h"
#include "isolation/plan.h"
#include "runtime/compile/arena.h"

/* What a mount of this kind has when its options say nothing: read-only and without devices and set-id
 * programs for what comes from the host; a tmpfs is writable, but nothing in it can be executed; /proc is
 * read-only and shows whom one may trace. */
struct plan_entry mount_defaults(enum plan_entry_kind kind, const char *target);

/* Lets the options (NULL at the end; may be NULL) change an entry of a kind that mounts. An option that is
 * unknown, or unknown for this kind, is an error that lists those that are known. */
int mount_options(struct arena *arena, char *const *options, struct plan_entry *entry,
                  struct error *error);

/* Whether one of the options has this name. */
bool mount_options_name(char *const *options, const char *name);

/* "bind", "tmpfs", ...; NULL for a kind that is no type of mounts. */
const char *mount_kind_name(unsigned kind);
