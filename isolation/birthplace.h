/* A clone's control group, as isolation/clone.c needs it. */
#pragma once

#include <linux/sched.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/error.h"
#include "isolation/apply.h"

/* The namespaces among `flags` that clone itself makes: a cgroup namespace gets the control group of whoever
 * asks for it as its root, which with CLONE_INTO_CGROUP is the cloning process. C makes it later. */
uint64_t birthplace_clone_flags(const struct plan *plan, uint64_t flags);

/* CLONE_INTO_CGROUP, where the plan has a control group. */
void birthplace_arguments(const struct plan *plan, int cgroup, struct clone_args *args);

/* What clone3 said to that, when it has to do with the control group; false otherwise. */
bool birthplace_explain(const struct plan *plan, int code, struct error *error);

/* In P, for a C that had to be cloned without clone3. It runs no program yet. */
int birthplace_move(const struct plan *plan, int cgroup, pid_t pid, struct error *error);

/* In C, once it is there. */
int birthplace_apply(const struct plan *plan, struct error *error);
void birthplace_describe(const struct plan *plan, const struct isolation_report *report);
