/* What the kernel counts in each user namespace, and once more for the user who made it (namespaces(7),
 * /proc/sys/user): inotify instances and watches. Ids of an application's own do not keep those apart. Without a
 * limit in the application's namespace one application would use up what all of them have, and clade's user besides. */
#pragma once

#include "base/error.h"
#include "isolation/plan.h"
#include "isolation/report.h"

/* In the clone, with its capabilities and the host's /proc in sight. */
int counts_apply(const struct plan_counts *counts, struct error *error);
void counts_describe(const struct plan_counts *counts, const struct isolation_report *report);
