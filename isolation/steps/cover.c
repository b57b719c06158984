/* A mask is a mount of an empty file or directory, read-only. All masks show the same two, the stencils: they
 * are made on the root's own tmpfs, and are cloned from the first mount of them. So one mask costs a lookup, a
 * clone and a move, and no file system of its own. At the end the stencils lose their names; not earlier, as
 * the kernel moves no mount of something that has none. */
#include "isolation/steps/cover.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/own.h"

#define CLONE_FLAGS (OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_NO_AUTOMOUNT)
#define MASK_ATTRIBUTES                                                                            \
        (MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC)

static const struct {
        const char *what, *name;
} stencils[] = {
        [STENCIL_FILE] = {"file", ".mask-file"},
        [STENCIL_DIRECTORY] = {"directory", ".mask-directory"},
};

static enum stencil stencil_of(const struct plan_entry *entry)
{
        return entry->mode == S_IFDIR ? STENCIL_DIRECTORY : STENCIL_FILE;
}

static int make_stencil(int root, enum stencil stencil, struct error *error)
{
        struct mount_attr attributes = {.attr_set = MASK_ATTRIBUTES};
        const char *what = stencils[stencil].what, *name = stencils[stencil].name;
        cleanup_fd int file = -1;
        cleanup_fd int tree = -1;
        int r;

        if (stencil == STENCIL_DIRECTORY)
                r = mkdirat(root, name, 0555);
        else
                r = file = openat(root, name, O_RDONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0444);
        if (r < 0)
                return error_set(error, errno, "making an empty %s for masks", what);
        tree = open_tree(root, name, CLONE_FLAGS);
        if (tree < 0)
                return error_set(error, errno, "open_tree of an empty %s for masks", what);
        if (mount_setattr(tree, "", AT_EMPTY_PATH, &attributes, sizeof(attributes)) < 0)
                return error_set(error, errno, "mount_setattr of an empty %s for masks", what);
        return TAKE_FD(tree);
}

/* Which files /proc and /sys have is the kernel's affair, and kernels differ. */
static bool kernels_own(const char *target)
{
        return strncmp(target, "/proc/", 6) == 0 || strncmp(target, "/sys/", 5) == 0;
}

/* What is to be covered, in *ret_target; -1 there where it is not there and need not be. Elsewhere it was there when
 * the plan was made: whoever may rename a directory above it could otherwise uncover it. */
static int open_covered(const struct filling *filling, const struct plan_entry *entry,
                        int *ret_target, struct error *error)
{
        cleanup_fd int fd = target_open(filling->root, entry->target, 0);
        struct stat st;

        *ret_target = -1;
        if ((fd == -ENOENT || fd == -ENOTDIR) && kernels_own(entry->target))
                return 0;
        if (fd < 0) {
                error_set(error, -fd, "open of %s in the new root", entry->target);
                return error_remedy(error, "it is to be masked or read-only, and is not there any "
                                           "more: somebody has moved it, or a directory above it");
        }
        if (fstat(fd, &st) < 0)
                return error_set(error, errno, "fstat of %s in the new root", entry->target);
        if (S_ISDIR(st.st_mode) != (entry->mode == S_IFDIR)) {
                error_say(error, ESTALE, "%s is %s directory%s", entry->target,
                          S_ISDIR(st.st_mode) ? "a" : "no",
                          S_ISDIR(st.st_mode) ? ", and was none" : " any more");
                return error_remedy(error, "somebody replaced it since the configuration was read: "
                                           "start again");
        }
        *ret_target = TAKE_FD(fd);
        return 0;
}

static int cover(int tree, int target, const struct plan_entry *entry, struct error *error)
{
        if (move_mount(tree, "", target, "", MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH) < 0)
                return error_set(error, errno, "move_mount over %s", entry->target);
        return 0;
}

int cover_mask(struct filling *filling, const struct plan_entry *entry, struct error *error)
{
        enum stencil stencil = stencil_of(entry);
        cleanup_fd int target = -1;
        cleanup_fd int tree = -1;
        int r = open_covered(filling, entry, &target, error);

        if (r < 0 || target < 0)
                return r;
        if (filling->masks[stencil] >= 0)
                tree = open_tree(filling->masks[stencil], "", CLONE_FLAGS | AT_EMPTY_PATH);
        else
                tree = make_stencil(filling->root, stencil, error);
        if (tree < 0)
                return error->code ? error_prefix(error, "mask of %s", entry->target)
                                   : error_set(error, errno, "open_tree for a mask of %s",
                                               entry->target);
        r = cover(tree, target, entry, error);
        /* Clones are made of what is attached: before Linux 6.15 of nothing else. */
        if (r == 0 && filling->masks[stencil] < 0)
                filling->masks[stencil] = TAKE_FD(tree);
        return r;
}

int cover_finish(struct filling *filling, struct error *error)
{
        for (size_t i = 0; i < ARRAY_SIZE(filling->masks); i++) {
                if (filling->masks[i] < 0)
                        continue;
                fd_close(filling->masks[i]);
                filling->masks[i] = -1;
                if (unlinkat(filling->root, stencils[i].name,
                             i == STENCIL_DIRECTORY ? AT_REMOVEDIR : 0) < 0)
                        return error_set(error, errno, "removing the name of an empty %s",
                                         stencils[i].what);
        }
        return 0;
}

int cover_readonly(struct filling *filling, const struct plan_entry *entry, struct error *error)
{
        struct mount_attr attributes = {.attr_set = MOUNT_ATTR_RDONLY};
        cleanup_fd int target = -1;
        cleanup_fd int tree = -1;
        int r = open_covered(filling, entry, &target, error);

        if (r < 0 || target < 0)
                return r;
        tree = open_tree(target, "", CLONE_FLAGS | AT_EMPTY_PATH | AT_RECURSIVE);
        if (tree < 0)
                return error_set(error, errno, "open_tree of %s in the new root", entry->target);
        if (mount_setattr(tree, "", AT_EMPTY_PATH | AT_RECURSIVE, &attributes, sizeof(attributes)) <
            0)
                return error_set(error, errno, "making %s read-only", entry->target);
        return cover(tree, target, entry, error);
}

void cover_mask_describe(const struct plan_entry *entry, bool first,
                         const struct isolation_report *report)
{
        enum stencil stencil = stencil_of(entry);
        const char *what = stencils[stencil].what, *name = stencils[stencil].name;
        char words[128];

        if (first) {
                if (stencil == STENCIL_DIRECTORY)
                        report_call(report, "mkdirat", "\"%s\", 0555", name);
                else
                        report_call(report, "openat", "\"%s\", O_CREAT, 0444", name);
                report_call(report, "open_tree", "\"%s\"", name);
                report_call(report, "mount_setattr", "\"%s\", %s", name,
                            report_attributes(MASK_ATTRIBUTES, words, sizeof(words)));
        } else {
                report_call(report, "open_tree", "\"\", empty %s", what);
        }
        report_call(report, "move_mount", "empty %s, \"%s\"", what, entry->target);
}

void cover_finish_describe(const struct plan *plan, const struct isolation_report *report)
{
        bool made[ARRAY_SIZE(stencils)] = {false};

        for (size_t i = 0; i < plan->entry_count; i++)
                if (plan->entries[i].kind == PLAN_MASK)
                        made[stencil_of(&plan->entries[i])] = true;
        for (size_t i = 0; i < ARRAY_SIZE(stencils); i++)
                if (made[i])
                        report_call(report, "unlinkat", "\"%s\"", stencils[i].name);
}

void cover_readonly_describe(const struct plan_entry *entry, const struct isolation_report *report)
{
        report_call(report, "open_tree", "\"\", AT_RECURSIVE, %s", entry->target);
        report_call(report, "mount_setattr", "\"%s\", AT_RECURSIVE, MOUNT_ATTR_RDONLY",
                    entry->target);
        report_call(report, "move_mount", "\"%s\", \"%s\"", entry->target, entry->target);
}
