/* The mount options idmap and ridmap: as whose files a bind shows what is the application's. */
#pragma once

#include "runtime/compile/compilation.h"

/* Looks for them among the options of a bind that was just added, with its source the plan's last one. Tries at
 * once whether the kernel and the file system can do it, so that `clade check` tells. */
int mount_owners(struct compilation *compilation, const struct config_mount *mount,
                 struct error *error);
