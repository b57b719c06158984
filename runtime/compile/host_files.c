/* Parts of a root that depend on how the host is laid out: libraries, mirrored paths, whole roots. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/own.h"
#include "runtime/compile/mounts.h"
#include "runtime/compile/template.h"

#define ROOT_NAMES_MAX 256 /* at the top of a directory that is a root */

#if defined(__x86_64__)
#define MULTIARCH "x86_64-linux-gnu"
#elif defined(__aarch64__)
#define MULTIARCH "aarch64-linux-gnu"
#elif defined(__riscv)
#define MULTIARCH "riscv64-linux-gnu"
#else
#error "say which directory Debian's multiarch has for this machine"
#endif

/* Where ld.so(8) looks without a cache. */
static const char *const library_directories[] = {
        "/lib/" MULTIARCH, "/usr/lib/" MULTIARCH, "/lib64", "/usr/lib64", "/lib", "/usr/lib",
};

static int bind_add(struct root *root, const char *path, struct error *error)
{
        struct plan_entry entry = mount_defaults(PLAN_BIND, path);
        int r;

        r = root_source(root, path, false, &entry.source, NULL, error);
        return r < 0 ? r : root_add(root, &entry, error);
}

int library_add(struct root *root, const char *name, struct error *error)
{
        bool found = false;

        if (!name[0] || strchr(name, '/'))
                return error_say(error, EINVAL,
                                 "\"%s\" is no library: expected a file name such "
                                 "as libc.so.6",
                                 name);
        for (size_t i = 0; i < sizeof(library_directories) / sizeof(library_directories[0]); i++) {
                char path[PATH_MAX];
                struct stat st;
                bool shown;
                int r;

                if (snprintf(path, sizeof(path), "%s/%s", library_directories[i], name) >=
                    (int)sizeof(path))
                        return error_set(error, ENAMETOOLONG, "library %s", name);
                if (stat(path, &st) < 0)
                        continue;
                found = true;
                r = root_shows(root, path, &st, &shown, error);
                if (r == 0 && !shown)
                        r = bind_add(root, path, error);
                if (r < 0)
                        return r;
        }
        if (found)
                return 0;
        error_set(error, ENOENT, "library %s", name);
        return error_remedy(error, "no standard directory of libraries has it: install it");
}

static int symlink_add(struct root *root, const char *path, const char *link, struct error *error)
{
        const struct plan_entry entry = {
                .kind = PLAN_SYMLINK,
                .target = (char *)path,
                .content = (char *)link,
        };

        return root_add(root, &entry, error);
}

int mirror_add(struct root *root, const char *path, struct error *error)
{
        char link[PATH_MAX];
        ssize_t n;

        n = readlink(path, link, sizeof(link) - 1);
        if (n < 0 && errno == EINVAL)
                return bind_add(root, path, error);
        if (n < 0)
                return error_set(error, errno, "readlink of %s", path);
        link[n] = '\0';
        return symlink_add(root, path, link, error);
}

static int add_child(struct root *root, const char *directory, const char *name,
                     struct error *error)
{
        struct root_place place;
        char path[PATH_MAX], target[NAME_MAX + 2], link[PATH_MAX];
        struct plan_entry entry;
        ssize_t n;
        int r;

        snprintf(target, sizeof(target), "/%s", name);
        r = root_walk(root, target, false, &place, error);
        if (r < 0 || place.kind != ROOT_ABSENT)
                return r;
        if (snprintf(path, sizeof(path), "%s/%s", directory, name) >= (int)sizeof(path))
                return error_set(error, ENAMETOOLONG, "%s/%s", directory, name);
        n = readlink(path, link, sizeof(link) - 1);
        if (n >= 0) {
                link[n] = '\0';
                return symlink_add(root, target, link, error);
        }
        entry = mount_defaults(PLAN_BIND, target);
        r = root_source(root, path, false, &entry.source, NULL, error);
        return r < 0 ? r : root_add(root, &entry, error);
}

/* What a root has at its top. A tenant may own the directory, so nothing here is as long as it likes. */
struct names {
        size_t count;
        char list[ROOT_NAMES_MAX][NAME_MAX + 1];
};

static int by_name(const void *a, const void *b)
{
        return strcmp(a, b);
}

static int list_names(const char *real, struct names *names, struct error *error)
{
        cleanup_dir DIR *directory = opendir(real);
        struct dirent *entry;

        if (!directory)
                return error_set(error, errno, "opendir");
        while ((entry = readdir(directory))) {
                if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
                        continue;
                if (names->count == ROOT_NAMES_MAX) {
                        error_say(error, E2BIG, "it has more than %d names at its top",
                                  ROOT_NAMES_MAX);
                        return error_remedy(error, "a root has a few directories there: put the "
                                                   "rest below one of them");
                }
                snprintf(names->list[names->count++], NAME_MAX + 1, "%s", entry->d_name);
        }
        qsort(names->list, names->count, sizeof(names->list[0]), by_name);
        return 0;
}

int directory_add(struct root *root, const char *path, struct error *error)
{
        cleanup_free struct names *names = NULL;
        char real[PATH_MAX];
        struct stat st;
        int r;

        r = source_look(root, path, real, &st, error);
        if (r < 0)
                return error_prefix(error, "rootfs %s", path);
        if (!S_ISDIR(st.st_mode) || strcmp(real, "/") == 0) {
                error_say(error, EINVAL, "rootfs %s is %s", path,
                          S_ISDIR(st.st_mode) ? "the host's own root" : "no directory");
                return error_remedy(error, "name a directory that holds a root, such as a "
                                           "debootstrap or an unpacked image, or a template");
        }
        names = calloc(1, sizeof(*names));
        if (!names)
                return error_set(error, ENOMEM, "rootfs %s", path);
        r = list_names(real, names, error);
        for (size_t i = 0; r == 0 && i < names->count; i++)
                r = add_child(root, real, names->list[i], error);
        return r < 0 ? error_prefix(error, "rootfs %s", path) : 0;
}
