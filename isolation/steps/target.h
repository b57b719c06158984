/* Finding and making places in the new root, before anybody lives in it.
 *
 * Every path is looked up with openat2 and RESOLVE_IN_ROOT: a symlink that somebody planted in a tree of
 * theirs leads nowhere but into this root, even while they swap it. What is missing is made on file systems
 * of our own only, which nobody else can reach yet; in a tree of the host's nothing is ever made, whatever
 * became of it since the plan was made. */
#pragma once

#include <sys/types.h>

#include "base/error.h"
#include "isolation/plan.h"

/* The new root while it is being filled. */
struct filling {
        int root;
        dev_t *own; /* the file systems that are ours: the root's, and each new one below it */
        size_t own_count;
        int masks
                [2]; /* stencils for masks, of a file and of a directory; -1 until needed (cover.h) */
};

enum stencil { STENCIL_FILE, STENCIL_DIRECTORY };

/* `fd` is a mount of a new file system of ours. The list has room for one of each entry and the root. */
int filling_own(struct filling *filling, int fd, struct error *error);

/* An O_PATH descriptor of what is at a path, last symlink followed, or -errno. */
int target_open(int root, const char *path, int flags);

int target_directory(const struct filling *filling, const struct plan_entry *entry,
                     struct error *error);
int target_file(const struct filling *filling, const char *target, const char *content,
                uint32_t mode, struct error *error);
int target_symlink(const struct filling *filling, const struct plan_entry *entry,
                   struct error *error);

/* Puts a detached tree where the entry says; the place is made where it is missing. */
int target_attach(const struct filling *filling, int tree, const struct plan_entry *entry,
                  bool directory, struct error *error);
