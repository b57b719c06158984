/* Opening a plan's sources as detached mounts (open_tree(2)).
 *
 * Who can do it differs. A privileged supervisor does, in its own mount namespace and with its rights over
 * the host's files. An ordinary user may not clone mounts in the host's namespace; there the clone does
 * it in the namespace it was born into, while it still has the user's ids on the host. Either way the
 * file that is found must be the one that the plan promised, by device and inode: what was swapped in
 * between refuses the start. */
#pragma once

#include "base/error.h"
#include "isolation/plan.h"

/* ISOLATION_DESCRIPTORS_MAX bounds what one prototype may get at its exec, sources included. */
#define ISOLATION_DESCRIPTORS_MAX 4096

/* trees[i] for each source; those opened stay open on failure, the caller closes them. */
int sources_open(const struct plan *plan, int *trees, struct error *error);
