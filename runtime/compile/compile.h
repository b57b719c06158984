/* From configuration to plan: everything slow or risky, once, before anything runs.
 *
 * The compiler looks at the host (templates, sources, ids, Landlock's version, passwd) and makes of one
 * application's configuration a struct launch that its prototype can simply carry out. Restarts reuse it.
 * `clade plan` prints it; `clade run` starts from it: there is one compiler, so what is printed is what
 * happens.
 */
#pragma once

#include <stdbool.h>

#include "base/error.h"
#include "isolation/cgroup.h"
#include "runtime/compile/filters.h"
#include "runtime/compile/level.h"
#include "runtime/config/config.h"
#include "runtime/protocol/launch.h"

/* What control groups this host lets us have. */
struct compile_cgroups {
        bool found;
        struct cgroup_place place; /* where they are found */
        struct error error;        /* where they are not: why, and what would help */
};

/* Looks for them, and changes nothing. Once for a configuration: whoever uses what is found has moved. */
void compile_find_cgroups(const struct config *config, struct compile_cgroups *ret_cgroups);

struct compile {
        const struct config *config;
        const char *template_directory;
        struct filters *filters;               /* outlives what is compiled */
        const struct compile_cgroups *cgroups; /* NULL: none */
        const struct ladder *ladder;           /* what this host allows; NULL: everything */
        bool remember;                         /* see ids.h */
        /* Things worth knowing that refuse nothing: "rootfs template has no /usr/lib32 here". */
        void (*notice)(void *context, const char *application, const char *text);
        void *context;
};

/* A compiled application owns its launch's memory. */
struct compiled;

int compile_application(const struct compile *compile, size_t index, struct compiled **ret_compiled,
                        struct error *error);
const struct launch *compiled_launch(const struct compiled *compiled);
struct compiled *compiled_destroy(struct compiled *compiled); /* takes NULL */
