#include "runtime/compile/mounts.h"

#include <ctype.h>
#include <errno.h>
#include <libmount.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>

#include "base/own.h"

#define TMPFS_SIZE   (64ull << 20) /* bytes */
#define TMPFS_INODES 16384ull
#define TMPFS_MODE   01777        /* the kernel's own: tmpfs(5) */
#define SIZE_LIMIT   (1ull << 50) /* larger is a slip of the pen */

enum kinds {
        ON_BIND = 1u << PLAN_BIND,
        ON_TMPFS = 1u << PLAN_TMPFS,
        ON_PROC = 1u << PLAN_PROC,
        ON_ALL = ON_BIND | ON_TMPFS | ON_PROC,
};

enum argument { NONE, SIZE, COUNT, MODE };

struct option_rule {
        const char *name;
        unsigned kinds;
        uint64_t set, clear; /* MOUNT_ATTR_* */
        enum argument argument;
};

/* Binds always take along what is mounted below, and no mount event crosses the border: "bind",
 * "rbind", "private" and "rprivate" say so and change nothing. What would ask for another thing
 * (shared, slave, times of access of the host's files) is not in the table. */
static const struct option_rule rules[] = {
        {"ro", ON_ALL, MOUNT_ATTR_RDONLY, 0, NONE},
        {"rw", ON_ALL, 0, MOUNT_ATTR_RDONLY, NONE},
        {"nosuid", ON_ALL, MOUNT_ATTR_NOSUID, 0, NONE},
        {"suid", ON_BIND | ON_TMPFS, 0, MOUNT_ATTR_NOSUID, NONE},
        {"nodev", ON_ALL, MOUNT_ATTR_NODEV, 0, NONE},
        {"dev", ON_BIND, 0, MOUNT_ATTR_NODEV, NONE},
        {"noexec", ON_ALL, MOUNT_ATTR_NOEXEC, 0, NONE},
        {"exec", ON_BIND | ON_TMPFS, 0, MOUNT_ATTR_NOEXEC, NONE},
        {"nosymfollow", ON_BIND | ON_TMPFS, MOUNT_ATTR_NOSYMFOLLOW, 0, NONE},
        {"bind", ON_BIND, 0, 0, NONE},
        {"rbind", ON_BIND, 0, 0, NONE},
        {"private", ON_ALL, 0, 0, NONE},
        {"rprivate", ON_ALL, 0, 0, NONE},
        {"size", ON_TMPFS, 0, 0, SIZE},
        {"nr_inodes", ON_TMPFS, 0, 0, COUNT},
        {"mode", ON_TMPFS, 0, 0, MODE},
};

#define RULE_COUNT (sizeof(rules) / sizeof(rules[0]))

static const char *const kind_names[PLAN_ENTRY_KINDS] = {
        [PLAN_BIND] = "bind",
        [PLAN_TMPFS] = "tmpfs",
        [PLAN_PROC] = "proc",
};

struct plan_entry mount_defaults(enum plan_entry_kind kind, const char *target)
{
        struct plan_entry entry = {
                .kind = kind,
                .target = (char *)target,
                .attributes = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV,
        };

        if (kind == PLAN_BIND) {
                entry.attributes |= MOUNT_ATTR_RDONLY;
                return entry;
        }
        entry.attributes |= MOUNT_ATTR_NOEXEC;
        if (kind == PLAN_TMPFS) {
                entry.size = TMPFS_SIZE;
                entry.inodes = TMPFS_INODES;
                entry.mode = TMPFS_MODE;
        }
        return entry;
}

static int refuse_unknown(const struct plan_entry *entry, const char *name, size_t length,
                          struct error *error)
{
        char known[ERROR_REMEDY_SIZE - 64] = "";
        size_t used = 0;

        for (size_t i = 0; i < RULE_COUNT; i++) {
                int n;

                if (!(rules[i].kinds & 1u << entry->kind))
                        continue;
                n = snprintf(known + used, sizeof(known) - used, "%s%s%s", used ? ", " : "",
                             rules[i].name, rules[i].argument == NONE ? "" : "=");
                if (n < 0 || (size_t)n >= sizeof(known) - used)
                        break;
                used += (size_t)n;
        }
        error_say(error, EINVAL, "unknown option \"%.*s\" for a mount of type %s",
                  (int)(length < 64 ? length : 64), name, kind_names[entry->kind]);
        return error_remedy(error, "known are %s", known);
}

/* "64M": digits and at most one of k, m, g. */
static bool parse_amount(const char *text, uint64_t *ret_amount)
{
        unsigned shift = 0;
        uint64_t amount;
        char *end;

        if (!isdigit((unsigned char)text[0]))
                return false;
        errno = 0;
        amount = strtoull(text, &end, 10);
        switch (tolower((unsigned char)*end)) {
        case 'k':
                shift = 10;
                break;
        case 'm':
                shift = 20;
                break;
        case 'g':
                shift = 30;
                break;
        default:
                break;
        }
        end += shift > 0;
        if (errno || *end || amount == 0 || amount > SIZE_LIMIT >> shift)
                return false;
        *ret_amount = amount << shift;
        return true;
}

static int take_argument(enum argument argument, const char *name, const char *value,
                         struct plan_entry *entry, struct error *error)
{
        unsigned long mode;
        char *end;

        switch (argument) {
        case SIZE:
                if (parse_amount(value, &entry->size))
                        return 0;
                return error_say(error, EINVAL,
                                 "option \"%s=%s\": expected bytes such as 512k, 64m or 1g", name,
                                 value);
        case COUNT:
                if (parse_amount(value, &entry->inodes))
                        return 0;
                return error_say(error, EINVAL,
                                 "option \"%s=%s\": expected a number such as 4096 or 16k", name,
                                 value);
        default:
                mode = strtoul(value, &end, 8);
                if (!isdigit((unsigned char)value[0]) || *end || mode > 07777)
                        return error_say(error, EINVAL,
                                         "option \"%s=%s\": expected permission bits in octal, "
                                         "such as 0755",
                                         name, value);
                entry->mode = (uint32_t)mode;
                return 0;
        }
}

static int take_option(const char *name, size_t name_length, const char *value, size_t value_length,
                       struct plan_entry *entry, struct error *error)
{
        const struct option_rule *rule = NULL;
        char text[64];

        for (size_t i = 0; i < RULE_COUNT; i++)
                if (strlen(rules[i].name) == name_length &&
                    strncmp(rules[i].name, name, name_length) == 0 &&
                    rules[i].kinds & 1u << entry->kind)
                        rule = &rules[i];
        if (!rule)
                return refuse_unknown(entry, name, name_length, error);
        if (rule->argument == NONE && value)
                return error_say(error, EINVAL, "option \"%s\" takes no value", rule->name);
        if (rule->argument != NONE && (!value || value_length >= sizeof(text)))
                return error_say(error, EINVAL, "option \"%s\" needs a value: \"%s=...\"",
                                 rule->name, rule->name);
        entry->attributes = (entry->attributes & ~rule->clear) | rule->set;
        if (rule->argument == NONE)
                return 0;
        snprintf(text, sizeof(text), "%.*s", (int)value_length, value);
        return take_argument(rule->argument, rule->name, text, entry, error);
}

int mount_options(char *const *options, struct plan_entry *entry, struct error *error)
{
        for (; options && *options; options++) {
                char *at = *options, *name, *value;
                size_t name_length, value_length;
                int r;

                /* One string may hold several, as in fstab(5); libmount knows how they are quoted. */
                while ((r = mnt_optstr_next_option(&at, &name, &name_length, &value,
                                                   &value_length)) == 0) {
                        r = take_option(name, name_length, value, value_length, entry, error);
                        if (r < 0)
                                return r;
                }
                if (r < 0)
                        return error_say(error, EINVAL, "\"%s\" does not read as mount options",
                                         *options);
        }
        return 0;
}

static int find_kind(const struct config_mount *mount, enum plan_entry_kind *ret_kind,
                     struct error *error)
{
        const char *type = mount->type ? mount->type : "bind";

        for (unsigned kind = PLAN_BIND; kind < PLAN_ENTRY_KINDS; kind++) {
                if (strcmp(type, kind_names[kind]) != 0)
                        continue;
                *ret_kind = kind;
                return 0;
        }
        error_say(error, EINVAL, "unknown type \"%s\"", type);
        return error_remedy(error, "known are bind, tmpfs and proc");
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
        r = mount_options(mount->options, &entry, error);
        if (r < 0)
                return r;
        if (kind == PLAN_PROC && !proc) {
                error_say(error, EINVAL, "a /proc of its own needs a pid namespace");
                return error_remedy(error,
                                    "leave isolation.namespaces.pid on, or remove this mount");
        }
        if (kind == PLAN_BIND) {
                if (!mount->source)
                        return error_say(error, EINVAL, "a bind mount needs a source");
                r = root_source(root, mount->source, true, &entry.source, NULL, error);
                if (r < 0)
                        return r;
        }
        return root_add(root, &entry, error);
}
