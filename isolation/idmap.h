/* Giving a user namespace its ids (user_namespaces(7)), from the process that cloned it. */
#pragma once

#include <sys/types.h>

#include "base/error.h"
#include "isolation/plan.h"
#include "isolation/report.h"

/* Writes the maps of `pid`, which waits and has not been reaped. */
int idmap_write(pid_t pid, const struct plan_identity *identity, struct error *error);

/* The calls that it makes. */
void idmap_describe(const struct plan_identity *identity, const struct isolation_report *report);
