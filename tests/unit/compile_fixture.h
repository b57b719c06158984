/* An application to compile: a configuration as config_load would make it, on a directory of its own. */
#pragma once

#include <limits.h>

#include "runtime/compile/compile.h"
#include "runtime/compile/root.h"

struct fixture {
        char directory[64]; /* under /tmp; removed at the end */
        char templates[96]; /* an own template directory below it, with the real "base" in it */
        struct catalogue_option options[3];
        struct catalogue_module module;
        struct config_application application;
        struct config config;
        struct compile compile;
        struct filters filters;
        char notices[512];
        struct compiled *compiled; /* the last one */
        struct error error;
        char file[96];       /* the configuration: ids are remembered by its real path */
        char path[PATH_MAX]; /* what fixture_path returned last */
};

/* All namespaces, the template "minimal", the type "test" with the options "executable" (a path),
 * "word" (a string) and "path" (several paths). Template names lead to the real ones unless
 * fixture_template wrote one. */
void fixture_init(struct fixture *fixture);
void fixture_finish(struct fixture *fixture);

/* "DIRECTORY/name" */
const char *fixture_path(struct fixture *fixture, const char *name);

/* Makes a directory, a file, a template; the path is below the fixture's directory. */
void fixture_directory(struct fixture *fixture, const char *name);
void fixture_file(struct fixture *fixture, const char *name, const char *content);
void fixture_template(struct fixture *fixture, const char *name, const char *json);

/* Compiles it; the result and the error are in the fixture. */
int fixture_compile(struct fixture *fixture);

/* The last entry with this target, or NULL. */
const struct plan_entry *fixture_entry(const struct fixture *fixture, const char *target);
const struct plan *fixture_plan(const struct fixture *fixture);
const struct plan_source *fixture_source(const struct fixture *fixture,
                                         const struct plan_entry *entry);
