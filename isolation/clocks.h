/* Offsets of the clocks (struct plan_clocks, time_namespaces(7)).
 *
 * They can be written until the first process is in the namespace, and a clone with CLONE_NEWTIME is in it
 * at once. So where there are offsets the clone makes the namespace itself, for its children first;
 * writes them; and then enters as if it were a child. That works on every kernel that has the namespace
 * (5.6), while an exec enters from 6.1 on only. */
#pragma once

#include "base/error.h"
#include "isolation/plan.h"
#include "isolation/report.h"

/* In the clone, with its capabilities and the host's /proc in sight. */
int clocks_apply(const struct plan_clocks *clocks, struct error *error);
void clocks_describe(const struct plan_clocks *clocks, const struct isolation_report *report);

/* What is asked of clone3. */
uint64_t clocks_clone_flags(const struct plan *plan);
