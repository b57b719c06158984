/* Mounts in OCI form, as entries of the root. */
#pragma once

#include "base/error.h"
#include "isolation/plan.h"
#include "runtime/compile/mount_options.h"
#include "runtime/compile/root.h"
#include "runtime/config/config.h"

/* Adds one of an application's mounts. `proc` tells whether a fresh /proc can be had at all. */
int mount_add(struct root *root, const struct config_mount *mount, bool proc, struct error *error);

/* Adds an entry that makes a file system, and what belongs to it: beside a devpts at .../pts the symlink
 * .../ptmx, where nothing is. Refuses what this plan's namespaces and ids do not allow. */
int mount_new_add(struct root *root, const struct plan_entry *entry, struct error *error);
