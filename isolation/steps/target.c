#include "isolation/steps/target.h"

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

#define UMASK_FREE                                                                                 \
        0755u /* what mkdir gives without a chmod: our umask is 022 (isolation/clone.c) */

int filling_own(struct filling *filling, int fd, struct error *error)
{
        struct stat st;

        if (fstat(fd, &st) < 0)
                return error_set(error, errno, "fstat of a new file system");
        filling->own[filling->own_count++] = st.st_dev;
        return 0;
}

int target_open(int root, const char *path, int flags)
{
        struct open_how how = {
                .flags = (uint64_t)(flags | O_PATH | O_CLOEXEC),
                .resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS,
        };
        long fd = syscall(SYS_openat2, root, path, &how, sizeof(how));

        return fd < 0 ? -errno : (int)fd;
}

static bool is_own(const struct filling *filling, dev_t device)
{
        for (size_t i = 0; i < filling->own_count; i++)
                if (filling->own[i] == device)
                        return true;
        return false;
}

/* The directory that `target` lies in, for making something there, and the target's last part. */
static int open_parent(const struct filling *filling, const char *target, const char **ret_name,
                       struct error *error)
{
        const char *slash = strrchr(target, '/');
        cleanup_fd int fd = -1;
        char directory[4096];
        struct stat st;

        if ((size_t)(slash - target) >= sizeof(directory))
                return error_set(error, ENAMETOOLONG, "%s", target);
        snprintf(directory, sizeof(directory), "%.*s/", (int)(slash - target), target);
        fd = target_open(filling->root, directory, O_DIRECTORY);
        if (fd < 0)
                return error_set(error, -fd, "open of %s in the new root", directory);
        if (fstat(fd, &st) < 0)
                return error_set(error, errno, "fstat of %s in the new root", directory);
        if (!is_own(filling, st.st_dev)) {
                error_say(error, EROFS,
                          "%s is missing, and lies in a directory of the host's, where nothing "
                          "is made",
                          target);
                return error_remedy(error,
                                    "create it there, or choose another target; when it was there "
                                    "before, somebody who may change that directory removed it");
        }
        *ret_name = slash + 1;
        return TAKE_FD(fd);
}

/* By descriptor: a name could mean something else by now. */
static int set_mode(int parent, const char *name, const struct plan_entry *entry,
                    struct error *error)
{
        cleanup_fd int fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

        if (fd < 0 || fchmod(fd, entry->mode) < 0)
                return error_set(error, errno, "chmod of %s in the new root", entry->target);
        return 0;
}

int target_directory(const struct filling *filling, const struct plan_entry *entry,
                     struct error *error)
{
        const char *name;
        cleanup_fd int parent = open_parent(filling, entry->target, &name, error);
        struct stat st;

        if (parent < 0)
                return parent;
        if (mkdirat(parent, name, entry->mode) == 0)
                return entry->mode & ~UMASK_FREE ? set_mode(parent, name, entry, error) : 0;
        if (errno != EEXIST)
                return error_set(error, errno, "mkdir of %s in the new root", entry->target);
        if (fstatat(parent, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
                return error_set(error, errno, "stat of %s", entry->target);
        if (!S_ISDIR(st.st_mode))
                return error_set(error, ENOTDIR, "%s in the new root", entry->target);
        return 0;
}

int target_file(const struct filling *filling, const char *target, const char *content,
                uint32_t mode, struct error *error)
{
        const char *name;
        cleanup_fd int parent = open_parent(filling, target, &name, error);
        cleanup_fd int fd = -1;
        int r;

        if (parent < 0)
                return parent;
        fd = openat(parent, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
        if (fd < 0)
                return error_set(error, errno, "creating %s in the new root", target);
        r = fd_write_full(fd, content, strlen(content));
        if (r < 0)
                return error_set(error, -r, "write of %s in the new root", target);
        if (fchmod(fd, mode) < 0)
                return error_set(error, errno, "chmod of %s in the new root", target);
        return 0;
}

int target_symlink(const struct filling *filling, const struct plan_entry *entry,
                   struct error *error)
{
        const char *name;
        cleanup_fd int parent = open_parent(filling, entry->target, &name, error);

        if (parent < 0)
                return parent;
        if (symlinkat(entry->content, parent, name) < 0)
                return error_set(error, errno, "symlink %s in the new root", entry->target);
        return 0;
}

static int open_or_make(const struct filling *filling, const struct plan_entry *entry,
                        bool directory, struct error *error)
{
        struct plan_entry missing = {.kind = PLAN_DIRECTORY, .target = entry->target, .mode = 0755};
        int fd = target_open(filling->root, entry->target, directory ? O_DIRECTORY : 0);
        int r;

        if (fd == -ENOENT) {
                r = directory ? target_directory(filling, &missing, error)
                              : target_file(filling, entry->target, "", 0444, error);
                if (r < 0)
                        return r;
                fd = target_open(filling->root, entry->target, directory ? O_DIRECTORY : 0);
        }
        if (fd < 0)
                return error_set(error, -fd, "open of the mount target %s in the new root",
                                 entry->target);
        return fd;
}

int target_attach(const struct filling *filling, int tree, const struct plan_entry *entry,
                  bool directory, struct error *error)
{
        cleanup_fd int target = open_or_make(filling, entry, directory, error);

        if (target < 0)
                return target;
        if (move_mount(tree, "", target, "", MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH) < 0)
                return error_set(error, errno, "move_mount to %s", entry->target);
        return 0;
}
