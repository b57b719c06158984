/* The modules that were found, as the supervisor knows them: what discovery reported, checked, copied
 * and sorted. No code of a module ever runs in a process that has this. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "clade/module.h" /* enum clade_type */

struct catalogue_option {
        char *name;
        enum clade_type type;
        bool required;
        int64_t minimum, maximum;
        char *choices; /* "a|b", or NULL */
        char *help;    /* or NULL */
};

struct catalogue_mount {
        char *source, *target; /* target never NULL */
        bool optional;
};

struct catalogue_module {
        char *path; /* the file it came from */
        int fd;     /* that file, opened for reading when it was found */
        char *type;
        char *version;
        bool counts_requests;
        char **aliases; /* NULL at the end */
        struct catalogue_option *options;
        size_t option_count;
        struct catalogue_mount *mounts;
        size_t mount_count;
};

struct catalogue {
        struct catalogue_module **modules; /* by type, then highest version first */
        size_t count;
};

void catalogue_init(struct catalogue *catalogue);
void catalogue_finish(struct catalogue *catalogue);

/* Takes over a module and keeps the order. -EEXIST, and the module stays the caller's, when there is
 * one of the same type and version. */
int catalogue_add(struct catalogue *catalogue, struct catalogue_module *module);
struct catalogue_module *catalogue_module_create(void);
void catalogue_module_destroy(struct catalogue_module *module);

/* The highest version that an application's "type" asks for: "name", "name 3", "name 3.11". A version
 * matches by its leading parts: "3.1" matches 3.1 and 3.1.4, not 3.11. NULL when there is none; then
 * `error` says whether the type is unknown or just the version, and which there are. */
const struct catalogue_module *catalogue_find(const struct catalogue *catalogue, const char *type,
                                              struct error *error);

/* Compares versions part by part, numbers as numbers: <0, 0, >0. */
int version_compare(const char *a, const char *b);
bool version_matches(const char *wanted, const char *version);
bool version_valid(const char *text); /* numbers separated by dots */
