/* What applications' seccomp filters are made from: profiles that have been read, and programs that have been
 * made of them. Both are shared by all applications of a configuration. */
#pragma once

#include "base/error.h"
#include "isolation/seccomp/compiler.h"
#include "runtime/config/config.h"

struct filters_profile;

/* Outlives every plan that is compiled with it. */
struct filters {
        const char *directory; /* of clade's own profiles: default.json, strict.json */
        struct seccomp_cache programs;
        struct filters_profile *profiles;
};

#define FILTERS_INIT(directory_)                                                                   \
        {                                                                                          \
                .directory = (directory_), .programs = SECCOMP_CACHE_INIT                          \
        }

/* Remembers programs on the disk from now on: for root below settings.state_directory, for others below
 * $XDG_CACHE_HOME. Without such a place nothing is remembered, and nothing else changes. */
void filters_remember(struct filters *filters, const struct config *config);

/* The profile in a file, read when it is first asked for and again when it has changed; it stays as long as
 * `filters`. NULL with `error` filled. */
const struct seccomp_profile *filters_profile(struct filters *filters, const char *path,
                                              struct error *error);

void filters_finish(struct filters *filters);
