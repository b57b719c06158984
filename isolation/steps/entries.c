/* Filling the new root. Every source is a descriptor, every target is looked up with openat2 in the new
 * root: a symlink that somebody planted in a tree of theirs leads nowhere but into this root, and no
 * name of the host is resolved here at all. */
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/own.h"
#include "isolation/steps/mount.h"
#include "isolation/steps/steps.h"

static int open_inside(int root, const char *path, int flags)
{
        struct open_how how = {
                .flags = (uint64_t)(flags | O_PATH | O_CLOEXEC),
                .resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS,
        };
        long fd = syscall(SYS_openat2, root, path, &how, sizeof(how));

        return fd < 0 ? -errno : (int)fd;
}

/* The directory that `target` lies in, and the target's last part. */
static int open_parent(int root, const char *target, const char **ret_name, struct error *error)
{
        const char *slash = strrchr(target, '/');
        char directory[4096];
        int fd;

        if ((size_t)(slash - target) >= sizeof(directory))
                return error_set(error, ENAMETOOLONG, "%s", target);
        snprintf(directory, sizeof(directory), "%.*s/", (int)(slash - target), target);
        fd = open_inside(root, directory, O_DIRECTORY);
        if (fd < 0)
                return error_set(error, -fd, "open of %s in the new root", directory);
        *ret_name = slash + 1;
        return fd;
}

static int make_directory(int root, const struct plan_entry *entry, struct error *error)
{
        const char *name;
        cleanup_fd int parent = open_parent(root, entry->target, &name, error);
        struct stat st;

        if (parent < 0)
                return parent;
        if (mkdirat(parent, name, entry->mode) < 0) {
                if (errno != EEXIST)
                        return error_set(error, errno, "mkdir of %s in the new root",
                                         entry->target);
                if (fstatat(parent, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
                        return error_set(error, errno, "stat of %s", entry->target);
                if (!S_ISDIR(st.st_mode))
                        return error_set(error, ENOTDIR, "%s in the new root", entry->target);
                return 0;
        }
        if (fchmodat(parent, name, entry->mode, 0) < 0)
                return error_set(error, errno, "chmod of %s in the new root", entry->target);
        return 0;
}

static int make_file(int root, const char *target, const char *content, uint32_t mode,
                     struct error *error)
{
        const char *name;
        cleanup_fd int parent = open_parent(root, target, &name, error);
        cleanup_fd int fd = -1;
        int r;

        if (parent < 0)
                return parent;
        fd = openat(parent, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
        if (fd < 0) {
                error_set(error, errno, "creating %s in the new root", target);
                if (errno == EROFS || errno == EACCES)
                        error_remedy(error, "it lies below a directory of the host that is shown "
                                            "read-only: create it there, or choose another target");
                return -error->code;
        }
        r = fd_write_full(fd, content, strlen(content));
        if (r < 0)
                return error_set(error, -r, "write of %s in the new root", target);
        if (fchmod(fd, mode) < 0)
                return error_set(error, errno, "chmod of %s in the new root", target);
        return 0;
}

static int make_symlink(int root, const struct plan_entry *entry, struct error *error)
{
        const char *name;
        cleanup_fd int parent = open_parent(root, entry->target, &name, error);

        if (parent < 0)
                return parent;
        if (symlinkat(entry->content, parent, name) < 0)
                return error_set(error, errno, "symlink %s in the new root", entry->target);
        return 0;
}

/* Where a mount goes; made where it is missing. */
static int open_target(int root, const struct plan_entry *entry, bool directory,
                       struct error *error)
{
        struct plan_entry missing = {.kind = PLAN_DIRECTORY, .target = entry->target, .mode = 0755};
        int fd = open_inside(root, entry->target, directory ? O_DIRECTORY : 0);
        int r;

        if (fd == -ENOENT) {
                r = directory ? make_directory(root, &missing, error)
                              : make_file(root, entry->target, "", 0444, error);
                if (r < 0)
                        return r;
                fd = open_inside(root, entry->target, directory ? O_DIRECTORY : 0);
        }
        if (fd < 0)
                return error_set(error, -fd, "open of the mount target %s in the new root",
                                 entry->target);
        return fd;
}

static int attach(int tree, int root, const struct plan_entry *entry, bool directory,
                  struct error *error)
{
        cleanup_fd int target = open_target(root, entry, directory, error);

        if (target < 0)
                return target;
        if (move_mount(tree, "", target, "", MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH) < 0)
                return error_set(error, errno, "move_mount to %s", entry->target);
        return 0;
}

/* Reading is asked of the kernel with our effective id: its answer knows modes, lists and labels. */
static int check_readable(int tree, const struct plan *plan, const struct plan_source *source,
                          struct error *error)
{
        int mode = source->type == S_IFDIR ? R_OK | X_OK : R_OK;
        const struct plan_identity *identity = &plan->identity;
        uint32_t uid = plan_host_uid(identity);

        if (!source->readable || faccessat(tree, "", mode, AT_EMPTY_PATH | AT_EACCESS) == 0)
                return 0;
        error_set(error, errno,
                  "%s cannot be read by uid %u (inside: %u), which the application runs as",
                  source->path, uid, identity->uid);
        /* Not chmod alone: what is to be read may be a secret to all others. */
        return error_remedy(error,
                            "let this id read it: setfacl -R -m u:%u:rX %s (or everybody, where it "
                            "is no secret: chmod -R o+rX)",
                            uid, source->path);
}

static int bind_source(struct isolation *isolation, const struct plan_entry *entry,
                       struct error *error)
{
        const struct plan_source *source = &isolation->plan->sources[entry->source];
        int tree = isolation->sources[entry->source];
        struct mount_attr attributes = {
                .attr_set = entry->attributes,
                .propagation = MS_PRIVATE,
        };
        int r;

        r = check_readable(tree, isolation->plan, source, error);
        if (r < 0)
                return r;
        r = attach(tree, isolation->root, entry, source->type == S_IFDIR, error);
        if (r < 0)
                return error_prefix(error, "source %s", source->path);
        if (mount_setattr(tree, "", AT_EMPTY_PATH | AT_RECURSIVE, &attributes, sizeof(attributes)) <
            0)
                return error_set(error, errno, "mount_setattr of %s", entry->target);
        return 0;
}

static int mount_new(struct isolation *isolation, const struct plan_entry *entry,
                     struct error *error)
{
        cleanup_fd int tree = entry->kind == PLAN_PROC
                                      ? mount_proc(entry->attributes, error)
                                      : mount_tmpfs(entry->size, entry->inodes, entry->mode,
                                                    entry->attributes, error);

        if (tree < 0)
                return error_prefix(error, "%s", entry->target);
        return attach(tree, isolation->root, entry, true, error);
}

static int entry_apply(struct isolation *isolation, const struct plan_entry *entry,
                       struct error *error)
{
        switch ((enum plan_entry_kind)entry->kind) {
        case PLAN_DIRECTORY:
                return make_directory(isolation->root, entry, error);
        case PLAN_FILE:
                return make_file(isolation->root, entry->target, entry->content, entry->mode,
                                 error);
        case PLAN_SYMLINK:
                return make_symlink(isolation->root, entry, error);
        case PLAN_BIND:
                return bind_source(isolation, entry, error);
        case PLAN_TMPFS:
        case PLAN_PROC:
                return mount_new(isolation, entry, error);
        case PLAN_ENTRY_KINDS:
                break;
        }
        return error_say(error, EBADMSG, "entry of unknown kind %u", entry->kind);
}

int entries_apply(struct isolation *isolation, struct error *error)
{
        const struct plan *plan = isolation->plan;

        if (!plan->root)
                return 0;
        for (size_t i = 0; i < plan->entry_count; i++) {
                int r = entry_apply(isolation, &plan->entries[i], error);

                if (r < 0)
                        return r;
        }
        return 0;
}

static void entry_describe(const struct plan *plan, const struct plan_entry *entry,
                           const struct isolation_report *report)
{
        char words[128];

        switch ((enum plan_entry_kind)entry->kind) {
        case PLAN_DIRECTORY:
                report_call(report, "mkdirat", "\"%s\", 0%o", entry->target, entry->mode);
                return;
        case PLAN_FILE:
                report_call(report, "openat", "\"%s\", O_CREAT, 0%o, %zu bytes", entry->target,
                            entry->mode, strlen(entry->content));
                return;
        case PLAN_SYMLINK:
                report_call(report, "symlinkat", "\"%s\", \"%s\"", entry->content, entry->target);
                return;
        case PLAN_BIND:
                report_call(report, "move_mount", "source \"%s\", \"%s\"",
                            plan->sources[entry->source].path, entry->target);
                report_call(report, "mount_setattr", "\"%s\", AT_RECURSIVE, %s, MS_PRIVATE",
                            entry->target,
                            report_attributes(entry->attributes, words, sizeof(words)));
                return;
        case PLAN_PROC:
                mount_proc_describe(entry->attributes, report);
                break;
        case PLAN_TMPFS:
                mount_tmpfs_describe(entry->size, entry->inodes, entry->mode, entry->attributes,
                                     report);
                break;
        case PLAN_ENTRY_KINDS:
                return;
        }
        report_call(report, "move_mount", "%s, \"%s\"", entry->kind == PLAN_PROC ? "proc" : "tmpfs",
                    entry->target);
}

void entries_describe(const struct plan *plan, const struct isolation_report *report)
{
        for (size_t i = 0; plan->root && i < plan->entry_count; i++)
                entry_describe(plan, &plan->entries[i], report);
}
