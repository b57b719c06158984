/* Finding templates: among clade's, among the administrator's, by path; and telling them from what a tenant put
 * into a directory of theirs. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/own.h"
#include "base/path.h"
#include "runtime/compile/template.h"

#define FILE_NAME "template.json"

static int check_regular(int fd, const char *file, struct error *error)
{
        struct stat st;

        if (fstat(fd, &st) < 0)
                return error_set(error, errno, "fstat of the rootfs template %s", file);
        if (!S_ISREG(st.st_mode))
                return error_say(error, EINVAL, "the rootfs template %s is no regular file", file);
        return 0;
}

/* Where clade's own lie, links lead where whoever installed it wanted. What is no regular file must not make
 * us wait. */
static int open_file(const struct root *root, const char *file, bool ours, struct error *error)
{
        const int flags = O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC;
        cleanup_fd int fd =
                ours ? open(file, flags) : path_open(file, flags, 0, root->links, error);
        int r;

        if (fd < 0) {
                if (ours || fd == -ENOENT)
                        error_set(error, ours ? errno : ENOENT, "open of the rootfs template %s",
                                  file);
                return error_remedy(error,
                                    "use minimal, host, or the absolute path of a template's "
                                    "directory or of a directory to use as the root");
        }
        r = check_regular(fd, file, error);
        return r < 0 ? r : TAKE_FD(fd);
}

int template_open_named(const struct root *root, const struct template_context *context,
                        const char *name, char **ret_file, struct error *error)
{
        cleanup_free char *ours = NULL, *theirs = NULL;
        bool own = true;
        int fd;

        if (!name[0] || strchr(name, '/') || name[0] == '.') {
                error_say(error, EINVAL, "\"%s\" is no name of a rootfs template", name);
                return error_remedy(error, "give a name such as minimal, or an absolute path");
        }
        if (asprintf(&ours, "%s/%s/" FILE_NAME, context->directory, name) < 0)
                return error_set(error, ENOMEM, "rootfs template %s", name);
        if (context->more && asprintf(&theirs, "%s/%s/" FILE_NAME, context->more, name) < 0)
                return error_set(error, ENOMEM, "rootfs template %s", name);
        if (theirs && access(theirs, F_OK) == 0) {
                if (access(ours, F_OK) == 0) {
                        error_say(error, EEXIST, "there are two rootfs templates \"%s\": %s and %s",
                                  name, ours, theirs);
                        return error_remedy(error, "rename the second, or give its absolute path");
                }
                free(ours);
                ours = TAKE_PTR(theirs);
                own = false;
        }
        fd = open_file(root, ours, own, error);
        if (fd >= 0)
                *ret_file = TAKE_PTR(ours);
        return fd;
}

static bool is_trusted(const struct root *root, const struct stat *st)
{
        return (st->st_uid == 0 ||
                (st->st_uid == geteuid() && root->links == PATH_LINKS_OF_OURS)) &&
               !(st->st_mode & (S_IWGRP | S_IWOTH));
}

/* A template can show any file of the host's. Where a directory is both, a root that a tenant may write to and
 * a template, nobody but the administrator can say which is meant. */
static int check_trust(const struct root *root, int fd, const char *directory, const char *file,
                       struct error *error)
{
        cleanup_fd int top = path_open(directory, O_PATH | O_DIRECTORY, 0, root->links, error);
        struct stat st, of_top;

        if (top < 0)
                return top;
        if (fstat(fd, &st) < 0 || fstat(top, &of_top) < 0)
                return error_set(error, errno, "fstat of the rootfs template %s", file);
        if (is_trusted(root, &st) && is_trusted(root, &of_top))
                return 0;
        error_say(error, EPERM,
                  "%s may be written by others than root and clade, and would be a rootfs template",
                  file);
        return error_remedy(error,
                            "where it is meant as one, say so: \"rootfs\": \"%s\"; where the "
                            "directory is a root, remove that file",
                            file);
}

int template_open_path(const struct root *root, const char *path, char **ret_file,
                       struct error *error)
{
        const char *slash = strrchr(path, '/');
        cleanup_free char *file = NULL;
        cleanup_fd int fd = -1;
        int r;

        if (strcmp(slash + 1, FILE_NAME) == 0) {
                file = strdup(path);
                if (!file)
                        return error_set(error, ENOMEM, "rootfs template %s", path);
                fd = open_file(root, file, false, error);
                if (fd >= 0)
                        *ret_file = TAKE_PTR(file);
                return fd < 0 ? fd : TAKE_FD(fd);
        }
        if (asprintf(&file, "%s/" FILE_NAME, path) < 0)
                return error_set(error, ENOMEM, "rootfs template %s", path);
        if (faccessat(AT_FDCWD, file, F_OK, AT_SYMLINK_NOFOLLOW) < 0)
                return -ENOENT;
        fd = open_file(root, file, false, error);
        if (fd < 0)
                return fd == -ENOENT ? -ELOOP : fd; /* a link that leads nowhere */
        r = check_trust(root, fd, path, file, error);
        if (r < 0)
                return r;
        *ret_file = TAKE_PTR(file);
        return TAKE_FD(fd);
}
