/* What is hidden, and what is made read-only, in the finished root.
 *
 * Each cover is a mount of every start, so none is made for nothing: not where the root has no such path,
 * and no read-only one where nothing could be written anyway. With a /proc that is read-only, as it is by
 * default, that leaves a handful of masks. What /proc has is looked up in the host's, which has the same
 * files beside those of processes. */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include "base/own.h"
#include "runtime/compile/compilation.h"

/* What container engines hide from the application, since it tells of the whole machine or reaches into it. */
static char *const masked_by_default[] = {
        (char *)"/proc/acpi",        (char *)"/proc/asound",
        (char *)"/proc/interrupts",  (char *)"/proc/kcore",
        (char *)"/proc/keys",        (char *)"/proc/latency_stats",
        (char *)"/proc/sched_debug", (char *)"/proc/scsi",
        (char *)"/proc/timer_list",  (char *)"/proc/timer_stats",
        (char *)"/sys/firmware",     (char *)"/sys/devices/virtual/powercap",
};
static char *const read_only_by_default[] = {
        (char *)"/proc/bus",           (char *)"/proc/fs", (char *)"/proc/irq", (char *)"/proc/sys",
        (char *)"/proc/sysrq-trigger",
};

struct cover {
        enum plan_entry_kind kind;
        const char *key; /* of the configuration */
        const struct config_paths *paths;
};

static bool within(const char *path, const char *top)
{
        size_t length = strlen(top);

        return strncmp(path, top, length) == 0 && (path[length] == '\0' || path[length] == '/');
}

/* The mount that shows what is at `path`; NULL: the root's own tmpfs. */
static const struct plan_entry *mount_of(const struct plan *plan, const char *path)
{
        for (size_t i = plan->entry_count; i-- > 0;)
                if (plan_is_mount(plan->entries[i].kind) && within(path, plan->entries[i].target))
                        return &plan->entries[i];
        return NULL;
}

/* Whether nothing at or below `path` could be written to as it is. */
static bool is_read_only(const struct plan *plan, const char *path)
{
        const struct plan_entry *mount = mount_of(plan, path);

        if (mount ? !(mount->attributes & MOUNT_ATTR_RDONLY) : plan->root_writable)
                return false;
        for (size_t i = 0; i < plan->entry_count; i++)
                if (plan_is_mount(plan->entries[i].kind) && within(plan->entries[i].target, path) &&
                    !(plan->entries[i].attributes & MOUNT_ATTR_RDONLY))
                        return false;
        return true;
}

static bool shows_processes_only(const struct plan_entry *proc)
{
        for (size_t i = 0; i < proc->parameter_count; i++)
                if (strcmp(proc->parameters[i].key, "subset") == 0)
                        return true;
        return false;
}

/* In /proc: "" for itself, "/kcore". False when there is nothing by that name. */
static bool look_in_proc(const struct plan_entry *proc, const char *rest, uint32_t *ret_type)
{
        char path[PATH_MAX];
        struct stat st;

        if (rest[0] && shows_processes_only(proc) && !isdigit((unsigned char)rest[1]) &&
            !within(rest, "/self") && !within(rest, "/thread-self"))
                return false;
        if (snprintf(path, sizeof(path), "/proc%s", rest) >= (int)sizeof(path) ||
            stat(path, &st) < 0)
                return false;
        *ret_type = S_ISDIR(st.st_mode) ? S_IFDIR : S_IFREG;
        return true;
}

/* 1: it is there, `target` and `type` are known. 0: it is not. */
static int look(const struct root *root, const char *path, char *target, uint32_t *ret_type,
                struct error *error)
{
        struct root_place place;
        const struct plan_entry *mount;
        int r;

        r = root_walk(root, path, true, &place, error);
        if (r < 0)
                return r;
        if (snprintf(target, PATH_MAX, "%s%s", place.path, place.rest) >= PATH_MAX)
                return error_set(error, ENAMETOOLONG, "%s", path);
        switch (place.kind) {
        case ROOT_PROC:
                mount = mount_of(root->plan, place.path);
                return mount && mount->kind == PLAN_PROC &&
                       look_in_proc(mount, target + strlen(mount->target), ret_type);
        case ROOT_DIRECTORY:
        case ROOT_FILE:
                *ret_type = place.kind == ROOT_DIRECTORY ? S_IFDIR : S_IFREG;
                return !place.rest[0] && strcmp(place.path, "/") != 0;
        default:
                return 0;
        }
}

static bool is_covered(const struct plan *plan, const struct plan_entry *entry)
{
        for (size_t i = 0; i < plan->entry_count; i++)
                if (plan->entries[i].kind == entry->kind &&
                    strcmp(plan->entries[i].target, entry->target) == 0)
                        return true;
        return false;
}

static int add_cover(struct compilation *compilation, const struct cover *cover, const char *path,
                     struct error *error)
{
        char target[PATH_MAX], text[PATH_MAX + 64];
        struct plan_entry entry = {.kind = cover->kind, .target = target};
        int found;

        found = look(&compilation->root, path, target, &entry.mode, error);
        if (found < 0)
                return found;
        if (!found && cover->paths->given) {
                snprintf(text, sizeof(text), "%s: the root has no %s", cover->key, path);
                compile_notice(compilation, text);
        }
        if (!found || is_covered(compilation->plan, &entry) ||
            (cover->kind == PLAN_READONLY && is_read_only(compilation->plan, target)))
                return 0;
        return root_cover(&compilation->root, &entry, error);
}

static int add_covers(struct compilation *compilation, const struct cover *cover,
                      char *const *presets, size_t preset_count, struct error *error)
{
        bool given = cover->paths->given;
        char *const *list = given ? cover->paths->list : presets;
        size_t count = given ? cover->paths->count : preset_count;

        for (size_t i = 0; i < count; i++) {
                int r = add_cover(compilation, cover, list[i], error);

                if (r < 0 && given)
                        return error_at(error, compilation, "/isolation/%s/%zu", cover->key, i);
                if (r < 0)
                        return error_at(error, compilation, "/isolation/rootfs");
        }
        return 0;
}

int compile_covers(struct compilation *compilation, struct error *error)
{
        const struct config_isolation *isolation = &compilation->application->isolation;
        /* Masks last: what is read-only is cloned from what is seen then, with all its mounts. */
        const struct cover read_only = {PLAN_READONLY, "readonlyPaths", &isolation->read_only};
        const struct cover masked = {PLAN_MASK, "maskedPaths", &isolation->masked};
        int r;

        if (compilation->host_paths && (masked.paths->given || read_only.paths->given))
                compile_notice(compilation, "without mounts maskedPaths and readonlyPaths hold "
                                            "nothing");
        if (!compilation->plan->root || compilation->host_paths)
                return 0;
        r = add_covers(compilation, &read_only, read_only_by_default,
                       ARRAY_SIZE(read_only_by_default), error);
        return r < 0 ? r
                     : add_covers(compilation, &masked, masked_by_default,
                                  ARRAY_SIZE(masked_by_default), error);
}
