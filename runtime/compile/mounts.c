#include "runtime/compile/mounts.h"

#include <errno.h>
#include <libmount.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/own.h"

static int find_kind(const struct config_mount *mount, enum plan_entry_kind *ret_kind,
                     struct error *error)
{
        const char *type = mount->type ? mount->type : "bind";

        for (unsigned kind = PLAN_BIND; kind < PLAN_ENTRY_KINDS; kind++) {
                if (!mount_kind_name(kind) || strcmp(type, mount_kind_name(kind)) != 0)
                        continue;
                *ret_kind = kind;
                return 0;
        }
        error_say(error, EINVAL, "unknown type \"%s\"", type);
        return error_remedy(error, "known are bind, tmpfs, proc, devpts and mqueue");
}

/* Groups are those inside. */
static int check_gid(const struct root *root, const struct plan_entry *entry, struct error *error)
{
        const struct plan_identity *identity = &root->plan->identity;
        uint32_t outside;

        for (size_t i = 0; i < entry->parameter_count; i++) {
                const struct plan_parameter *parameter = &entry->parameters[i];

                if (strcmp(parameter->key, "gid") != 0 || identity->method == PLAN_IDS_NONE ||
                    plan_map_id(&identity->gid_map, (uint32_t)strtoul(parameter->value, NULL, 10),
                                &outside))
                        continue;
                error_say(error, EINVAL, "option \"gid=%s\": the application has no such group",
                          parameter->value);
                return error_remedy(error, "leave it out, and terminals belong to the "
                                           "application's own group; or map that group "
                                           "(isolation.gidmap)");
        }
        return 0;
}

static int add_ptmx(struct root *root, const char *target, struct error *error)
{
        struct plan_entry link = {.kind = PLAN_SYMLINK, .content = (char *)"pts/ptmx"};
        struct root_place place;
        char path[PATH_MAX];
        size_t length = strlen(target);
        int r;

        if (length < strlen("/pts") || strcmp(target + length - strlen("/pts"), "/pts") != 0)
                return 0;
        snprintf(path, sizeof(path), "%.*s/ptmx", (int)(length - strlen("/pts")), target);
        r = root_walk(root, path, false, &place, error);
        if (r < 0 || place.rest[0] || place.host || place.kind != ROOT_ABSENT)
                return r;
        link.target = path;
        return root_add(root, &link, error);
}

int mount_new_add(struct root *root, const struct plan_entry *entry, struct error *error)
{
        int r;

        if (entry->kind == PLAN_MQUEUE && !(root->plan->namespaces & CLONE_NEWIPC)) {
                error_say(error, EINVAL, "message queues of its own need an ipc namespace");
                return error_remedy(error,
                                    "leave isolation.namespaces.ipc on, or remove this mount");
        }
        r = check_gid(root, entry, error);
        if (r == 0)
                r = root_add(root, entry, error);
        return r < 0 || entry->kind != PLAN_DEVPTS ? r : add_ptmx(root, entry->target, error);
}

/* Binds take along what is mounted below: without it, what those mounts hide would show. Who says "bind" in
 * so many words asks for the other thing, and is told where it makes a difference. */
static int check_alone(const char *source, struct error *error)
{
        struct libmnt_table *table = mnt_new_table_from_file("/proc/self/mountinfo");
        struct libmnt_iter *iterator = mnt_new_iter(MNT_ITER_FORWARD);
        size_t length = strcmp(source, "/") == 0 ? 0 : strlen(source);
        struct libmnt_fs *mount;
        int r = 0;

        if (!table || !iterator)
                r = error_set(error, EIO, "reading /proc/self/mountinfo");
        while (r == 0 && mnt_table_next_fs(table, iterator, &mount) == 0) {
                const char *target = mnt_fs_get_target(mount);

                if (!target || strncmp(target, source, length) != 0 || target[length] != '/' ||
                    !target[length + 1])
                        continue;
                error_say(error, EINVAL,
                          "option \"bind\": %s is mounted below %s, and would be shown with it",
                          target, source);
                r = error_remedy(error, "write \"rbind\" where it may be seen; otherwise mount an "
                                        "empty tmpfs over it, or name a directory beside it");
        }
        mnt_free_iter(iterator);
        mnt_unref_table(table);
        return r;
}

static int add_bind(struct root *root, const struct config_mount *mount, struct plan_entry *entry,
                    struct error *error)
{
        int r;

        if (!mount->source) {
                error_say(error, EINVAL, "a bind mount needs a source");
                return error_remedy(error, "name the path on the host that it shows");
        }
        r = root_source(root, mount->source, true, &entry->source, NULL, error);
        if (r == 0 && mount_options_name(mount->options, "bind"))
                r = check_alone(root->plan->sources[entry->source].path, error);
        return r < 0 ? r : root_add(root, entry, error);
}

int mount_add(struct root *root, const struct config_mount *mount, bool proc, struct error *error)
{
        enum plan_entry_kind kind = PLAN_BIND; /* gcc -O3 does not see that find_kind sets it */
        char target[PATH_MAX];
        struct plan_entry entry;
        int r;

        r = find_kind(mount, &kind, error);
        if (r < 0)
                return r;
        r = path_clean(mount->destination, target, error);
        if (r < 0)
                return error_prefix(error, "destination");
        entry = mount_defaults(kind, target);
        r = mount_options(root->arena, mount->options, &entry, error);
        if (r < 0)
                return r;
        if (kind == PLAN_PROC && !proc) {
                error_say(error, EINVAL, "a /proc of its own needs a pid namespace");
                return error_remedy(error,
                                    "leave isolation.namespaces.pid on, or remove this mount");
        }
        return kind == PLAN_BIND ? add_bind(root, mount, &entry, error)
                                 : mount_new_add(root, &entry, error);
}
