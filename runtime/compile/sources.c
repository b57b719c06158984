#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/own.h"
#include "base/path.h"
#include "runtime/compile/root.h"

static int remedy(struct error *error, int r, const char *path)
{
        switch (-r) {
        case ENOENT:
        case ENOTDIR:
                return error_remedy(error, "create it, or correct the path");
        case EACCES:
                return error_remedy(error,
                                    "user id %u has no permission for a directory on the way: "
                                    "give it search permission (chmod o+x), or move the file "
                                    "(namei -l %s shows them)",
                                    geteuid(), path);
        case ELOOP:
                return error_remedy(error, "name the file itself instead of a link that goes in "
                                           "circles, or that belongs to another user");
        default:
                return r;
        }
}

int source_look(const struct root *root, const char *path, char *ret_real, struct stat *ret_st,
                struct error *error)
{
        cleanup_fd int fd = path_open(path, O_PATH, 0, root->links, error);
        int r;

        if (fd < 0)
                return remedy(error, fd, path);
        r = path_of(fd, ret_real);
        if (r < 0)
                return error_set(error, -r, "finding where %s lies", path);
        if (fstat(fd, ret_st) < 0)
                return error_set(error, errno, "fstat of %s", path);
        return 0;
}

int root_source(struct root *root, const char *path, bool readable, uint32_t *ret_index,
                struct stat *ret_st, struct error *error)
{
        struct plan *plan = root->plan;
        struct plan_source *source;
        char real[PATH_MAX];
        struct stat st;
        int r;

        r = source_look(root, path, real, &st, error);
        if (r < 0)
                return r;
        if (ret_st)
                *ret_st = st;
        source = arena_grow(root->arena, plan->sources, plan->source_count, &root->source_room,
                            sizeof(*source));
        if (!source)
                return error_set(error, ENOMEM, "source %s", path);
        plan->sources = source;
        source += plan->source_count;
        *source = (struct plan_source){
                .path = arena_strdup(root->arena, real),
                .device = st.st_dev,
                .inode = st.st_ino,
                .special = S_ISCHR(st.st_mode) || S_ISBLK(st.st_mode) ? st.st_rdev : 0,
                .type = st.st_mode & S_IFMT,
                .readable = readable,
        };
        if (!source->path)
                return error_set(error, ENOMEM, "source %s", path);
        *ret_index = (uint32_t)plan->source_count++;
        return 0;
}

int path_clean(const char *path, char *ret_clean, struct error *error)
{
        size_t used = 0;

        if (path[0] != '/') {
                error_say(error, EINVAL, "the path \"%s\" is not absolute", path);
                return error_remedy(error, "write it from \"/\" on");
        }
        for (const char *at = path; *at;) {
                size_t length;

                at += strspn(at, "/");
                length = strcspn(at, "/");
                if (length == 0)
                        break;
                if (length == 2 && strncmp(at, "..", 2) == 0) {
                        error_say(error, EINVAL, "the path \"%s\" has a \"..\" part", path);
                        return error_remedy(error, "write the directory that you mean");
                }
                if (length != 1 || at[0] != '.') {
                        if (used + 1 + length >= PATH_MAX)
                                return error_set(error, ENAMETOOLONG, "path of %zu bytes",
                                                 strlen(path));
                        ret_clean[used++] = '/';
                        memcpy(ret_clean + used, at, length);
                        used += length;
                }
                at += length;
        }
        if (used == 0)
                ret_clean[used++] = '/';
        ret_clean[used] = '\0';
        return 0;
}
