/* What the new root is made of, in the order in which the entries are applied:
 *
 *   1. the template
 *   2. what the module says that applications of its type need
 *   3. the files that the application's options name
 *   4. its working directory
 *   5. its own mounts, which may hide any of the above
 *   6. what lies over all that: masks, and what is made read-only
 *
 * 2 to 4 are shown at the path that they have on the host, read-only, and only where the root does not show
 * the same file there anyway. */
#include <errno.h>
#include <sched.h>
#include <string.h>

#include "runtime/compile/compilation.h"
#include "runtime/compile/mount_owners.h"
#include "runtime/compile/mounts.h"
#include "runtime/compile/template.h"

/* The tmpfs on which the root is assembled holds directories, links and small files. By default it is sealed
 * before anybody could fill it, and the bounds are for templates gone wrong; where it stays writable they are
 * those of the other tmpfs. */
#define ROOT_SIZE            (1ull << 20) /* bytes */
#define ROOT_INODES          4096ull
#define ROOT_SIZE_WRITABLE   (64ull << 20)
#define ROOT_INODES_WRITABLE 16384ull

static bool has_proc(const struct compilation *compilation)
{
        return compilation->plan->namespaces & CLONE_NEWPID || compilation->host_paths;
}

static void template_notice(void *context, const char *text)
{
        compile_notice(context, text);
}

static int add_template(struct compilation *compilation, struct error *error)
{
        const struct config_application *application = compilation->application;
        const struct template_context context = {
                .directory = compilation->compile->template_directory,
                .more = compilation->compile->config->settings.templates,
                .application = application->name,
                .user = application->user,
                .group = application->group,
                .uid = compilation->plan->identity.uid,
                .gid = compilation->plan->identity.gid,
                .host_network = application->isolation.network == CONFIG_NETWORK_HOST,
                .proc = has_proc(compilation),
                .notice = template_notice,
                .notice_context = compilation,
        };
        int r;

        r = template_add(&compilation->root, &context, application->isolation.rootfs, error);
        compilation->template_end = compilation->plan->entry_count;
        return r < 0 ? error_at(error, compilation, "/isolation/rootfs") : 0;
}

/* Shows the host's `path` at `target`, unless it is there already. Without a root of its own the
 * application sees the host's tree; then it is only checked that the path leads somewhere. */
static int show(struct compilation *compilation, const char *path, const char *target,
                struct error *error)
{
        struct plan_entry entry = mount_defaults(PLAN_BIND, target);
        char real[PATH_MAX];
        struct stat st;
        bool shown;
        int r;

        r = source_look(&compilation->root, path, real, &st, error);
        if (r < 0 || !compilation->plan->root)
                return r;
        r = root_shows(&compilation->root, target, &st, &shown, error);
        if (r < 0 || shown)
                return r;
        r = root_source(&compilation->root, path, true, &entry.source, NULL, error);
        return r < 0 ? r : root_add(&compilation->root, &entry, error);
}

static int show_path(struct compilation *compilation, const char *path, struct error *error)
{
        char clean[PATH_MAX];
        int r;

        r = path_clean(path, clean, error);
        return r < 0 ? r : show(compilation, clean, clean, error);
}

static int add_module(struct compilation *compilation, struct error *error)
{
        const struct catalogue_module *module = compilation->application->module;

        root_begin(&compilation->root);
        for (size_t i = 0; i < module->mount_count; i++) {
                const struct catalogue_mount *mount = &module->mounts[i];
                char source[PATH_MAX], target[PATH_MAX];
                int r;

                r = path_clean(mount->source, source, error);
                if (r == 0)
                        r = path_clean(mount->target, target, error);
                if (r == 0)
                        r = show(compilation, source, target, error);
                if (r == -ENOENT && mount->optional)
                        continue;
                if (r < 0) {
                        error_prefix(error, "mount %s of module %s %s", mount->target, module->type,
                                     module->version);
                        return error_at(error, compilation, "/type");
                }
        }
        return 0;
}

static int add_paths(struct compilation *compilation, struct error *error)
{
        const struct config_application *application = compilation->application;

        root_begin(&compilation->root);
        for (size_t i = 0; i < application->value_count; i++) {
                const struct config_value *value = &application->values[i];
                int r = 0;

                if (value->type == CLADE_PATH)
                        r = show_path(compilation, value->string, error);
                for (char **path = value->strings; r == 0 && value->type == CLADE_PATHS && *path;
                     path++)
                        r = show_path(compilation, *path, error);
                if (r < 0)
                        return error_at(error, compilation, "/%s", value->name);
        }
        return 0;
}

/* Whether the template makes a directory there, such as /tmp. Those made since, on the way to some file of
 * the application's, do not count: they stand for the host's. */
static int is_the_templates(const struct compilation *compilation, const char *path, bool *ret_is,
                            struct error *error)
{
        struct plan plan = *compilation->plan;
        const struct root root = {.plan = &plan};
        struct root_place place;
        int r;

        plan.entry_count = compilation->template_end;
        r = root_walk(&root, path, true, &place, error);
        if (r == 0)
                *ret_is = !place.rest[0] && place.kind == ROOT_DIRECTORY && !place.host;
        return r;
}

static int working_directory(struct compilation *compilation, const char *configured,
                             struct error *error)
{
        char path[PATH_MAX], real[PATH_MAX];
        bool own = false;
        struct stat st;
        int r;

        r = path_clean(configured, path, error);
        if (r == 0 && compilation->plan->root)
                r = is_the_templates(compilation, path, &own, error);
        if (r < 0 || own)
                return r;
        r = source_look(&compilation->root, path, real, &st, error);
        if (r < 0)
                return r;
        if (!S_ISDIR(st.st_mode)) {
                error_set(error, ENOTDIR, "%s", path);
                return error_remedy(error, "name a directory");
        }
        return show(compilation, path, path, error);
}

static int add_working_directory(struct compilation *compilation, struct error *error)
{
        const char *path = compilation->application->working_directory;
        int r;

        if (!path)
                return 0;
        root_begin(&compilation->root);
        r = working_directory(compilation, path, error);
        return r < 0 ? error_at(error, compilation, "/working_directory") : 0;
}

static int add_mounts(struct compilation *compilation, struct error *error)
{
        const struct config_isolation *isolation = &compilation->application->isolation;

        root_begin(&compilation->root);
        for (size_t i = 0; i < isolation->mount_count; i++) {
                int r;

                r = mount_add(&compilation->root, &isolation->mounts[i], has_proc(compilation),
                              error);
                if (r == 0)
                        r = mount_owners(compilation, &isolation->mounts[i], error);
                if (r < 0)
                        return error_at(error, compilation, "/isolation/mounts/%zu", i);
        }
        return 0;
}

/* Mounts can only be made in a mount namespace, and only into a root of our own. */
static int check(const struct compilation *compilation, struct error *error)
{
        const struct config_isolation *isolation = &compilation->application->isolation;

        if (isolation->rootfs && !(isolation->namespaces & CLONE_NEWNS) &&
            !compilation->host_paths) {
                error_say(error, EINVAL, "a root of its own needs a mount namespace");
                error_remedy(error, "leave isolation.namespaces.mount on, or remove rootfs");
                return error_at(error, compilation, "/isolation/rootfs");
        }
        if (!isolation->rootfs && isolation->mount_count > 0) {
                error_say(error, EINVAL, "mounts need a root of the application's own");
                error_remedy(error, "name a rootfs, such as minimal");
                return error_at(error, compilation, "/isolation/mounts");
        }
        return 0;
}

static void set_size(struct plan *plan, const struct config_isolation *isolation)
{
        plan->root_writable = isolation->root_writable;
        plan->root_size = isolation->root_writable ? ROOT_SIZE_WRITABLE : ROOT_SIZE;
        plan->root_inodes = isolation->root_writable ? ROOT_INODES_WRITABLE : ROOT_INODES;
        if (isolation->root_size)
                plan->root_size = isolation->root_size;
        if (isolation->root_inodes)
                plan->root_inodes = isolation->root_inodes;
}

int compile_root(struct compilation *compilation, struct error *error)
{
        int (*const parts[])(struct compilation *, struct error *) = {
                add_template,          add_module, add_paths,
                add_working_directory, add_mounts, compile_covers,
        };
        struct plan *plan = compilation->plan;
        int r;

        r = check(compilation, error);
        if (r < 0)
                return r;
        plan->root = compilation->application->isolation.rootfs != NULL;
        if (plan->root)
                set_size(plan, &compilation->application->isolation);
        for (size_t i = plan->root ? 0 : 1; i < sizeof(parts) / sizeof(parts[0]); i++) {
                r = parts[i](compilation, error);
                if (r < 0)
                        return r;
        }
        return 0;
}
