/* What the cloning process sets for its clone: niceness, processors, the kernel's choice when memory is short
 * (struct plan_scheduling). A tenant can only make each of them worse for itself: RLIMIT_NICE holds the
 * first, and the seccomp guards and the Landlock domain are told of the others (runtime/compile). */
#pragma once

#include <sys/types.h>

#include "base/error.h"
#include "isolation/plan.h"
#include "isolation/report.h"

int scheduling_set(pid_t pid, const struct plan_scheduling *scheduling, struct error *error);
void scheduling_describe(const struct plan_scheduling *scheduling,
                         const struct isolation_report *report);
