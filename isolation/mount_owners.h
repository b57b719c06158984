/* Idmapped mounts (mount_setattr(2), MOUNT_ATTR_IDMAP): files that belong to one user and group on the disk belong
 * to the application inside, and what it makes belongs to that user and group on the disk. All other
 * files of such a mount are nobody's there, root's among them: they can neither be changed nor made, so
 * that no set-uid program of another user can come of it. */
#pragma once

#include "base/error.h"
#include "isolation/plan.h"
#include "isolation/report.h"

/* Changes the owners of a detached tree that was just opened. Needs CAP_SYS_ADMIN in the user namespace that
 * the file system was mounted in. Costs a process that lives for a moment: its user namespace is how the
 * kernel takes the map. */
int mount_owners_set(int tree, const struct plan_source *source,
                     const struct plan_identity *identity, struct error *error);
void mount_owners_describe(const struct plan_source *source, const struct plan_identity *identity,
                           const struct isolation_report *report);
