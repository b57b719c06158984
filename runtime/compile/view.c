/* Reading the root that a plan's entries make: which of them a path leads to. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "runtime/compile/root.h"

#define LINKS_MAX 40 /* as the kernel has it: path_resolution(7) */

/* What follows `top` in `path`: "" for itself, "/..." below it, NULL elsewhere. */
static const char *below(const char *path, const char *top)
{
        size_t length = strlen(top);

        if (strncmp(path, top, length) != 0 || (path[length] != '\0' && path[length] != '/'))
                return NULL;
        return path + length;
}

static int look_at_host(const struct plan_source *source, const char *rest,
                        struct root_place *place, struct error *error)
{
        struct stat st;
        ssize_t n;

        place->host = true;
        n = snprintf(place->host_path, sizeof(place->host_path), "%s%s",
                     strcmp(source->path, "/") == 0 && rest[0] ? "" : source->path, rest);
        if (n >= (ssize_t)sizeof(place->host_path))
                return error_set(error, ENAMETOOLONG, "%s%s", source->path, rest);
        if (lstat(place->host_path, &st) < 0) {
                place->kind = ROOT_ABSENT;
                if (errno == ENOENT || errno == ENOTDIR)
                        return 0;
                return error_set(error, errno, "stat of %s", place->host_path);
        }
        if (!S_ISLNK(st.st_mode)) {
                place->kind = S_ISDIR(st.st_mode) ? ROOT_DIRECTORY : ROOT_FILE;
                return 0;
        }
        place->kind = ROOT_SYMLINK;
        n = readlink(place->host_path, place->link, sizeof(place->link) - 1);
        if (n < 0)
                return error_set(error, errno, "readlink of %s", place->host_path);
        place->link[n] = '\0';
        return 0;
}

/* What is at place->path, whose parents are directories. The latest entry wins: a mount hides what lies at
 * and below its target. */
static int look(const struct plan *plan, struct root_place *place, struct error *error)
{
        place->host = false;
        for (size_t i = plan->entry_count; i-- > 0;) {
                const struct plan_entry *entry = &plan->entries[i];
                const char *rest = below(place->path, entry->target);

                /* What covers a thing in place changes nothing of what it is. */
                if (entry->kind == PLAN_MASK || entry->kind == PLAN_READONLY)
                        continue;
                if (!rest || (rest[0] && !plan_is_mount(entry->kind)))
                        continue;
                switch (entry->kind) {
                case PLAN_BIND:
                        return look_at_host(&plan->sources[entry->source], rest, place, error);
                case PLAN_TMPFS:
                case PLAN_MQUEUE:
                        place->kind = rest[0] ? ROOT_ABSENT : ROOT_DIRECTORY;
                        return 0;
                case PLAN_PROC:
                case PLAN_DEVPTS:
                        place->kind = ROOT_PROC;
                        return 0;
                case PLAN_SYMLINK:
                        place->kind = ROOT_SYMLINK;
                        snprintf(place->link, sizeof(place->link), "%s", entry->content);
                        return 0;
                case PLAN_FILE:
                        place->kind = ROOT_FILE;
                        return 0;
                default:
                        place->kind = ROOT_DIRECTORY;
                        return 0;
                }
        }
        place->kind = place->path[0] ? ROOT_ABSENT : ROOT_DIRECTORY;
        return 0;
}

/* The link's text takes the place of the part that was walked last. */
static int follow_link(struct root_place *place, size_t parent, struct error *error)
{
        char further[PATH_MAX];

        if (snprintf(further, sizeof(further), "%s%s", place->link, place->rest) >=
            (int)sizeof(further))
                return error_set(error, ENAMETOOLONG, "symlink %s", place->path);
        place->path[place->link[0] == '/' ? 0 : parent] = '\0';
        memcpy(place->rest, further, sizeof(further));
        return 0;
}

int root_walk(const struct root *root, const char *path, bool follow, struct root_place *place,
              struct error *error)
{
        unsigned links = 0;
        int r;

        place->path[0] = '\0';
        place->kind = ROOT_DIRECTORY;
        place->host = false;
        if (snprintf(place->rest, sizeof(place->rest), "%s", path) >= (int)sizeof(place->rest))
                return error_set(error, ENAMETOOLONG, "path of %zu bytes", strlen(path));
        for (;;) {
                size_t skip = strspn(place->rest, "/"), used = strlen(place->path);
                size_t length = strcspn(place->rest + skip, "/");
                char *slash;

                if (length == 0) {
                        place->rest[0] = '\0';
                        break;
                }
                if (place->kind != ROOT_DIRECTORY)
                        break;
                if (used + 1 + length >= sizeof(place->path))
                        return error_set(error, ENAMETOOLONG, "path of %zu bytes", strlen(path));
                place->path[used] = '/';
                memcpy(place->path + used + 1, place->rest + skip, length);
                place->path[used + 1 + length] = '\0';
                memmove(place->rest, place->rest + skip + length,
                        strlen(place->rest + skip + length) + 1);
                if (strcmp(place->path + used, "/.") == 0) {
                        place->path[used] = '\0';
                        continue;
                }
                if (strcmp(place->path + used, "/..") == 0) { /* from a symlink's text */
                        place->path[used] = '\0';
                        slash = strrchr(place->path, '/');
                        if (slash)
                                *slash = '\0';
                        continue;
                }
                r = look(root->plan, place, error);
                if (r < 0)
                        return r;
                if (place->kind == ROOT_SYMLINK && (follow || place->rest[0])) {
                        if (++links > LINKS_MAX)
                                return error_set(error, ELOOP, "%s inside the root", path);
                        r = follow_link(place, used, error);
                        if (r < 0)
                                return r;
                        place->kind = ROOT_DIRECTORY;
                }
        }
        if (place->rest[0])
                return 0;
        /* After "." and ".." what is at the path was not looked at. */
        r = look(root->plan, place, error);
        if (r == 0 && !place->path[0])
                strcpy(place->path, "/");
        return r;
}

int root_shows(const struct root *root, const char *path, const struct stat *wanted,
               bool *ret_shows, struct error *error)
{
        struct root_place place;
        struct stat st;
        int r;

        r = root_walk(root, path, true, &place, error);
        if (r < 0)
                return r;
        *ret_shows = !place.rest[0] && place.host && place.kind != ROOT_ABSENT &&
                     lstat(place.host_path, &st) == 0 && st.st_dev == wanted->st_dev &&
                     st.st_ino == wanted->st_ino;
        return 0;
}
