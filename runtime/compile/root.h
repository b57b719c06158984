/* The root as it will be, while its plan is being made.
 *
 * The entries so far say what each path inside will show: something of the root's own tmpfs, an empty
 * tmpfs, the fresh /proc, or a file of the host's. So the compiler can walk a path there as the kernel
 * will, symlinks included, make parents where they are missing, refuse a target that could not be made,
 * and see that a file is visible already.
 */
#pragma once

#include <limits.h>
#include <stdbool.h>
#include <sys/stat.h>

#include "base/error.h"
#include "base/path.h"
#include "isolation/plan.h"
#include "runtime/compile/arena.h"

struct root {
        struct plan *plan; /* whose entries and sources these are */
        struct arena *arena;
        size_t entry_room, source_room;
        enum path_links links; /* whose are followed on the way to a source */
        size_t origin; /* the first entry of whatever is being added: no target twice within */
};

enum root_kind {
        ROOT_ABSENT,
        ROOT_DIRECTORY,
        ROOT_FILE, /* anything that is neither directory nor symlink */
        ROOT_SYMLINK,
        ROOT_PROC, /* the fresh /proc or something in it: only the kernel knows what */
};

/* What a path inside leads to. */
struct root_place {
        enum root_kind kind;
        char path[PATH_MAX]; /* inside, without symlinks on the way */
        char rest[PATH_MAX]; /* what could not be walked beyond `path`; "" when all could */
        bool host;           /* it is the host's: nothing can be made here */
        char host_path[PATH_MAX];
        char link[PATH_MAX]; /* SYMLINK: where it leads */
};

/* From here on entries come from something else: another template, the application's mounts. */
void root_begin(struct root *root);

/* Walks `path` (plan_target_valid, or "/") as far as it leads. With `follow` the last part is followed
 * too where it is a symlink. Fails only where the host cannot be asked or symlinks go in circles. */
int root_walk(const struct root *root, const char *path, bool follow, struct root_place *ret_place,
              struct error *error);

/* Adds an entry and the directories that its target needs. The entry's strings are copied. */
int root_add(struct root *root, const struct plan_entry *entry, struct error *error);

/* Adds a mask or a read-only cover of what is at the entry's target already. */
int root_cover(struct root *root, const struct plan_entry *entry, struct error *error);

/* Whether `path` inside leads to the very file that `st` describes on the host. */
int root_shows(const struct root *root, const char *path, const struct stat *wanted,
               bool *ret_shows, struct error *error);

/* A new source for a host path: opened, looked at, resolved. Each bind has one of its own, as a tree can be
 * attached only once. The index into the plan's sources is in *ret_index, its status in *ret_st where wanted. */
int root_source(struct root *root, const char *path, bool readable, uint32_t *ret_index,
                struct stat *ret_st, struct error *error);

/* What root_source looks at, without adding anything: ret_real is PATH_MAX bytes. */
int source_look(const struct root *root, const char *path, char *ret_real, struct stat *ret_st,
                struct error *error);

/* `path` without doubled and trailing slashes and "." parts, in ret_clean (PATH_MAX bytes); refuses what is
 * not absolute and what has "..": its meaning would depend on symlinks. */
int path_clean(const char *path, char *ret_clean, struct error *error);
