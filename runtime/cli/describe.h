/* A compiled application as JSON: what `clade plan` prints. */
#pragma once

#include <jansson.h>
#include <stdbool.h>

#include "runtime/config/config.h"
#include "runtime/protocol/launch.h"

/* A new object, or NULL when memory is gone. Environment values are hidden unless `show_environment`. */
json_t *describe_launch(const struct launch *launch, const struct config_application *application,
                        bool show_environment);

/* What is not its confinement: an object of several keys. */
json_t *describe_application(const struct launch *launch,
                             const struct config_application *application, bool show_environment);

/* The application's control group, and what it limits: bytes, us in each 100 000 of them, numbers; null: nothing. */
json_t *describe_cgroup(const struct plan_cgroup *cgroup);

/* Capabilities, scheduling, clocks and the like: an object of several keys. */
json_t *describe_locks(const struct plan *plan);

/* Numbers and flags in words. */
json_t *describe_namespaces(uint64_t flags);
json_t *describe_attributes(uint64_t attributes);
json_t *describe_landlock(const struct plan_landlock *domain);
json_t *describe_rlimit(const struct plan_rlimit *rlimit);
json_t *describe_mode(uint32_t mode);
const char *describe_file_type(uint32_t type);
