#include "runtime/supervisor/output_file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/own.h"

#define LINKS_MAX 40 /* as many as the kernel follows (path_resolution(7)) */

struct walk {
        int directory;       /* where `rest` starts */
        char rest[PATH_MAX]; /* what is still to go */
        unsigned links;
};

static int replace_directory(struct walk *walk, int fd)
{
        if (fd < 0)
                return -errno;
        fd_close(walk->directory);
        walk->directory = fd;
        return 0;
}

/* Goes on where a link leads, if it is one that we may believe. */
static int follow(struct walk *walk, int link, const char *name, const char *after,
                  struct error *error)
{
        char target[PATH_MAX], rest[PATH_MAX];
        struct stat st;
        ssize_t length;
        int n;

        if (fstat(link, &st) < 0)
                return error_set(error, errno, "fstat of %s", name);
        if (st.st_uid != 0 && st.st_uid != geteuid()) {
                error_say(error, ELOOP, "%s is a symbolic link of user %u, which is not followed",
                          name, st.st_uid);
                return error_remedy(error, "name a directory that only root or you can write to");
        }
        if (++walk->links > LINKS_MAX)
                return error_set(error, ELOOP, "%s", name);
        length = readlinkat(link, "", target, sizeof(target) - 1);
        if (length < 0)
                return error_set(error, errno, "readlink of %s", name);
        target[length] = '\0';
        n = snprintf(rest, sizeof(rest), "%s/%s", target, after);
        if (n < 0 || (size_t)n >= sizeof(rest))
                return error_set(error, ENAMETOOLONG, "%s", name);
        strcpy(walk->rest, rest);
        if (target[0] == '/' &&
            replace_directory(walk, open("/", O_PATH | O_DIRECTORY | O_CLOEXEC)) < 0)
                return error_set(error, errno, "open of /");
        return 0;
}

/* Enters a directory, or turns where a link leads. */
static int enter(struct walk *walk, const char *name, const char *after, struct error *error)
{
        cleanup_fd int fd = openat(walk->directory, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
        struct stat st;

        if (fd < 0 || fstat(fd, &st) < 0)
                return error_set(error, errno, "%s", name);
        if (S_ISLNK(st.st_mode))
                return follow(walk, fd, name, after, error);
        if (!S_ISDIR(st.st_mode))
                return error_set(error, ENOTDIR, "%s", name);
        replace_directory(walk, TAKE_FD(fd));
        memmove(walk->rest, after, strlen(after) + 1);
        return 0;
}

static int check_kind(int fd, struct error *error)
{
        struct stat st;

        if (fstat(fd, &st) < 0)
                return error_set(error, errno, "fstat");
        if (S_ISREG(st.st_mode) || S_ISCHR(st.st_mode))
                return 0;
        return error_say(error, EINVAL, "it is neither a regular file nor a character device");
}

/* Opens the last part; *ret_fd stays -1 when that is a link, and the walk goes on. */
static int open_last(struct walk *walk, const char *name, int *ret_fd, struct error *error)
{
        const int flags =
                O_WRONLY | O_APPEND | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC;
        cleanup_fd int fd = openat(walk->directory, name, flags, 0640);
        int r;

        if (fd < 0 && errno == ELOOP)
                return enter(walk, name, "", error);
        if (fd < 0 && errno == ENXIO) /* a pipe that nobody reads, or a socket */
                return error_say(error, EINVAL,
                                 "it is neither a regular file nor a character device");
        if (fd < 0)
                return error_set(error, errno, "%s", name);
        r = check_kind(fd, error);
        if (r == 0)
                *ret_fd = TAKE_FD(fd);
        return r;
}

static int walk_path(struct walk *walk, int *ret_fd, struct error *error)
{
        int r = 0;

        while (r == 0 && *ret_fd < 0) {
                char *name = walk->rest + strspn(walk->rest, "/");
                char *end = name + strcspn(name, "/");
                char *after = end + strspn(end, "/");
                char part[NAME_MAX + 1];

                if (name == end)
                        return error_set(error, EISDIR, "a file was expected");
                if ((size_t)(end - name) > NAME_MAX)
                        return error_set(error, ENAMETOOLONG, "one part of it");
                snprintf(part, sizeof(part), "%.*s", (int)(end - name), name);
                r = *after ? enter(walk, part, after, error) : open_last(walk, part, ret_fd, error);
        }
        return r;
}

int output_file_open(const char *path, struct error *error)
{
        struct walk walk = {.directory = -1};
        int fd = -1, r;

        if (snprintf(walk.rest, sizeof(walk.rest), "%s", path) >= (int)sizeof(walk.rest))
                return error_set(error, ENAMETOOLONG, "opening %.64s... for output", path);
        walk.directory = open(path[0] == '/' ? "/" : ".", O_PATH | O_DIRECTORY | O_CLOEXEC);
        r = walk.directory < 0 ? error_set(error, errno, "its first directory")
                               : walk_path(&walk, &fd, error);
        fd_close(walk.directory);
        if (r == 0)
                return fd;
        error_prefix(error, "opening %s for output", path);
        return error_remedy(error,
                            "name a file in an existing directory that clade may write to, or "
                            "leave the option out: the lines then go into clade's log");
}
