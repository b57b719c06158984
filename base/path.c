#include "base/path.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/own.h"

#define OVERFLOW_ID 65534 /* what an id shows as that is not mapped: user_namespaces(7) */
#define LINKS_MAX   40    /* as many as the kernel follows (path_resolution(7)) */

struct walk {
        const char *path; /* the whole, for errors */
        int flags;        /* for the last part */
        mode_t mode;
        enum path_links whose;
        int directory;       /* where `rest` starts */
        char rest[PATH_MAX]; /* what is still to go */
        unsigned links;
};

static int fail(const struct walk *walk, int code, const char *part, struct error *error)
{
        return error_set(error, code, "open of %s, at \"%s\"", walk->path, part);
}

static int replace_directory(struct walk *walk, int fd)
{
        if (fd < 0)
                return -errno;
        fd_close(walk->directory);
        walk->directory = fd;
        return 0;
}

/* Whether ids of the host are missing in our user namespace, so that the overflow id may be anybody's there. */
static bool maps_a_part(void)
{
        cleanup_fd int fd = open("/proc/self/uid_map", O_RDONLY | O_CLOEXEC);
        unsigned inside = 0, outside = 0, count = 0;
        char text[128];
        ssize_t n;

        if (fd < 0)
                return false;
        n = fd_read_full(fd, text, sizeof(text) - 1);
        if (n <= 0)
                return false;
        text[n] = '\0';
        return sscanf(text, "%u %u %u", &inside, &outside, &count) == 3 && count != UINT32_MAX;
}

static bool may_follow(const struct walk *walk, const struct stat *link)
{
        struct stat directory;

        if (link->st_uid == 0)
                return true;
        if (link->st_uid == geteuid())
                return walk->whose == PATH_LINKS_OF_OURS;
        if (link->st_uid != OVERFLOW_ID || !maps_a_part())
                return false;
        return fstat(walk->directory, &directory) == 0 && directory.st_uid == OVERFLOW_ID &&
               !(directory.st_mode & (S_IWGRP | S_IWOTH));
}

/* Goes on where a link leads, if it is one that we may believe. `remainder` is what comes behind it: with its
 * slash, or nothing. */
static int follow(struct walk *walk, int link, const char *name, const char *remainder,
                  struct error *error)
{
        char target[PATH_MAX], rest[PATH_MAX];
        struct stat st;
        ssize_t length;
        int n;

        if (fstat(link, &st) < 0)
                return fail(walk, errno, name, error);
        if (!may_follow(walk, &st)) {
                error_say(error, ELOOP,
                          "open of %s: \"%s\" is a symbolic link of user %u, which is not followed",
                          walk->path, name, st.st_uid);
                if (st.st_uid == geteuid())
                        return error_remedy(error,
                                            "name where it leads: the application has the same "
                                            "user id as clade and could have made the link "
                                            "(with subordinate ids in /etc/subuid it has one "
                                            "of its own)");
                return error_remedy(error, "name where it leads, in directories that only root or "
                                           "you can write to");
        }
        if (++walk->links > LINKS_MAX)
                return fail(walk, ELOOP, name, error);
        length = readlinkat(link, "", target, sizeof(target) - 1);
        if (length < 0)
                return fail(walk, errno, name, error);
        target[length] = '\0';
        n = snprintf(rest, sizeof(rest), "%s%s", target, remainder);
        if (n < 0 || (size_t)n >= sizeof(rest))
                return fail(walk, ENAMETOOLONG, name, error);
        strcpy(walk->rest, rest);
        if (target[0] == '/' &&
            replace_directory(walk, open("/", O_PATH | O_DIRECTORY | O_CLOEXEC)) < 0)
                return fail(walk, errno, "/", error);
        return 0;
}

/* Enters a directory, or turns where a link leads. */
static int enter(struct walk *walk, const char *name, const char *remainder, struct error *error)
{
        cleanup_fd int fd = openat(walk->directory, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
        struct stat st;

        if (fd < 0 || fstat(fd, &st) < 0)
                return fail(walk, errno, name, error);
        if (S_ISLNK(st.st_mode))
                return follow(walk, fd, name, remainder, error);
        if (!S_ISDIR(st.st_mode))
                return fail(walk, ENOTDIR, name, error);
        replace_directory(walk, TAKE_FD(fd));
        memmove(walk->rest, remainder, strlen(remainder) + 1);
        return 0;
}

/* Opens the last part; *ret_fd stays -1 when that is a link, and the walk goes on. */
static int open_last(struct walk *walk, const char *name, int *ret_fd, struct error *error)
{
        cleanup_fd int fd =
                openat(walk->directory, name, walk->flags | O_NOFOLLOW | O_CLOEXEC, walk->mode);
        struct stat st;

        if (fd < 0 && errno == ELOOP)
                return enter(walk, name, "", error);
        if (fd < 0 || fstat(fd, &st) < 0)
                return error_set(error, errno, "open of %s", walk->path);
        /* With O_PATH a link is opened itself. */
        if (S_ISLNK(st.st_mode))
                return follow(walk, fd, name, "", error);
        *ret_fd = TAKE_FD(fd);
        return 0;
}

/* The path ended with a slash, or with a link to "/": it means the directory that we are in. */
static int open_here(struct walk *walk, int *ret_fd, struct error *error)
{
        *ret_fd = openat(walk->directory, ".", (walk->flags & ~O_CREAT) | O_CLOEXEC);
        return *ret_fd < 0 ? error_set(error, errno, "open of %s", walk->path) : 0;
}

static int walk_path(struct walk *walk, int *ret_fd, struct error *error)
{
        int r = 0;

        while (r == 0 && *ret_fd < 0) {
                char *name = walk->rest + strspn(walk->rest, "/");
                char *remainder = name + strcspn(name, "/");
                char part[NAME_MAX + 1];

                if (name == remainder)
                        return open_here(walk, ret_fd, error);
                if ((size_t)(remainder - name) > NAME_MAX)
                        return error_set(error, ENAMETOOLONG, "open of %.64s...", walk->path);
                snprintf(part, sizeof(part), "%.*s", (int)(remainder - name), name);
                /* "x/" has to be a directory, which entering it finds out. */
                r = *remainder ? enter(walk, part, remainder, error)
                               : open_last(walk, part, ret_fd, error);
        }
        return r;
}

int path_open(const char *path, int flags, mode_t mode, enum path_links links, struct error *error)
{
        struct walk walk = {
                .path = path, .flags = flags, .mode = mode, .whose = links, .directory = -1};
        int fd = -1, r;

        if (snprintf(walk.rest, sizeof(walk.rest), "%s", path) >= (int)sizeof(walk.rest))
                return error_set(error, ENAMETOOLONG, "open of %.64s...", path);
        if (!path[0])
                return error_set(error, ENOENT, "open of an empty path");
        walk.directory = open(path[0] == '/' ? "/" : ".", O_PATH | O_DIRECTORY | O_CLOEXEC);
        r = walk.directory < 0 ? error_set(error, errno, "open of its first directory")
                               : walk_path(&walk, &fd, error);
        fd_close(walk.directory);
        return r < 0 ? r : fd;
}

int path_of(int fd, char *ret_path)
{
        char link[64];
        struct stat here, there;
        ssize_t n;

        snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
        n = readlink(link, ret_path, PATH_MAX - 1);
        if (n < 0)
                return -errno;
        ret_path[n] = '\0';
        /* " (deleted)" and "(unreachable)" are words in what the kernel says, so it is asked the other way. */
        if (ret_path[0] != '/' || fstat(fd, &here) < 0 || lstat(ret_path, &there) < 0 ||
            here.st_dev != there.st_dev || here.st_ino != there.st_ino)
                return -ENOENT;
        return 0;
}
