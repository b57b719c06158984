/* Mounts in OCI form: type and options to what the plan wants. */
#pragma once

#include "base/error.h"
#include "isolation/plan.h"
#include "runtime/compile/root.h"
#include "runtime/config/config.h"

/* What a mount of this kind has when its options say nothing: read-only and without devices and set-id
 * programs for what comes from the host; a tmpfs is writable, but nothing in it can be executed. */
struct plan_entry mount_defaults(enum plan_entry_kind kind, const char *target);

/* Lets the options (NULL at the end; may be NULL) change an entry of kind BIND, TMPFS or PROC. An option
 * that is unknown, or unknown for this kind, is an error that lists those that are known. */
int mount_options(char *const *options, struct plan_entry *entry, struct error *error);

/* Adds one of an application's mounts. `proc` tells whether a fresh /proc can be had at all. */
int mount_add(struct root *root, const struct config_mount *mount, bool proc, struct error *error);
