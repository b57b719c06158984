#include "runtime/compile/mount_options.h"

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
#define SIZE_LIMIT   (1ull << 40) /* bytes: larger is a slip of the pen */
#define INODES_LIMIT (1ull << 31)
#define ID_LAST      4294967294ull
#define VALUE_SIZE   64

enum kinds {
        ON_BIND = 1u << PLAN_BIND,
        ON_TMPFS = 1u << PLAN_TMPFS,
        ON_PROC = 1u << PLAN_PROC,
        ON_DEVPTS = 1u << PLAN_DEVPTS,
        ON_MQUEUE = 1u << PLAN_MQUEUE,
        ON_FILES = ON_BIND | ON_TMPFS,
        ON_ALL = ON_BIND | ON_TMPFS | ON_PROC | ON_DEVPTS | ON_MQUEUE,
};

enum argument { NONE, SIZE, COUNT, MODE, HIDEPID, SUBSET, BITS, NUMBER, OWNER };

struct option_rule {
        const char *name;
        unsigned kinds;
        uint64_t set, clear; /* MOUNT_ATTR_* */
        enum argument argument;
        bool recursive; /* OCI has an "r" in front of it, too */
};

/* All of a bind's attributes hold for what is mounted below it as well, so "ro" and "rro" are one. What is
 * accepted and changes nothing says how things are anyway. */
static const struct option_rule rules[] = {
        {"ro", ON_ALL, MOUNT_ATTR_RDONLY, 0, NONE, true},
        {"rw", ON_ALL, 0, MOUNT_ATTR_RDONLY, NONE, true},
        {"nosuid", ON_ALL, MOUNT_ATTR_NOSUID, 0, NONE, true},
        {"suid", ON_FILES, 0, MOUNT_ATTR_NOSUID, NONE, true},
        {"nodev", ON_ALL & ~ON_DEVPTS, MOUNT_ATTR_NODEV, 0, NONE, true},
        {"dev", ON_BIND | ON_DEVPTS, 0, MOUNT_ATTR_NODEV, NONE, true},
        {"noexec", ON_ALL, MOUNT_ATTR_NOEXEC, 0, NONE, true},
        {"exec", ON_FILES, 0, MOUNT_ATTR_NOEXEC, NONE, true},
        {"nosymfollow", ON_FILES, MOUNT_ATTR_NOSYMFOLLOW, 0, NONE, true},
        {"symfollow", ON_FILES, 0, MOUNT_ATTR_NOSYMFOLLOW, NONE, true},
        {"noatime", ON_ALL, MOUNT_ATTR_NOATIME, MOUNT_ATTR__ATIME, NONE, true},
        {"strictatime", ON_ALL, MOUNT_ATTR_STRICTATIME, MOUNT_ATTR__ATIME, NONE, true},
        {"relatime", ON_ALL, MOUNT_ATTR_RELATIME, MOUNT_ATTR__ATIME, NONE, true},
        {"atime", ON_ALL, MOUNT_ATTR_RELATIME, MOUNT_ATTR__ATIME, NONE, true},
        {"norelatime", ON_ALL, MOUNT_ATTR_STRICTATIME, MOUNT_ATTR__ATIME, NONE, true},
        {"nostrictatime", ON_ALL, MOUNT_ATTR_RELATIME, MOUNT_ATTR__ATIME, NONE, true},
        {"nodiratime", ON_ALL, MOUNT_ATTR_NODIRATIME, 0, NONE, true},
        {"diratime", ON_ALL, 0, MOUNT_ATTR_NODIRATIME, NONE, true},
        {"defaults", ON_ALL, 0, 0, NONE, false},
        {"async", ON_ALL, 0, 0, NONE, false},
        {"silent", ON_ALL, 0, 0, NONE, false},
        {"loud", ON_ALL, 0, 0, NONE, false},
        {"bind", ON_BIND, 0, 0, NONE, false}, /* mounts.c looks at it */
        {"rbind", ON_BIND, 0, 0, NONE, false},
        {"idmap", ON_BIND, 0, 0, OWNER, false}, /* mount_owners.c reads it */
        {"ridmap", ON_BIND, 0, 0, OWNER, false},
        {"private", ON_ALL, 0, 0, NONE, false},
        {"rprivate", ON_ALL, 0, 0, NONE, false},
        {"size", ON_TMPFS, 0, 0, SIZE, false},
        {"nr_inodes", ON_TMPFS, 0, 0, COUNT, false},
        {"mode", ON_TMPFS, 0, 0, MODE, false},
        {"hidepid", ON_PROC, 0, 0, HIDEPID, false},
        {"subset", ON_PROC, 0, 0, SUBSET, false},
        {"newinstance", ON_DEVPTS, 0, 0, NONE, false},
        {"mode", ON_DEVPTS, 0, 0, BITS, false},
        {"ptmxmode", ON_DEVPTS, 0, 0, BITS, false},
        {"gid", ON_DEVPTS, 0, 0, NUMBER, false},
        {"max", ON_DEVPTS, 0, 0, NUMBER, false},
};

/* What others know, and why it is not for us. */
static const struct {
        const char *name, *reason;
} refused[] = {
        {"shared", "no mount event crosses the border"},
        {"rshared", "no mount event crosses the border"},
        {"slave", "no mount event crosses the border"},
        {"rslave", "no mount event crosses the border"},
        {"unbindable", "mounts are private"},
        {"runbindable", "mounts are private"},
        {"remount", "a mount is made once"},
        {"tmpcopyup", "a tmpfs begins empty"},
};

static const struct plan_parameter proc_parameters[] = {{(char *)"hidepid", (char *)"ptraceable"}};
static const struct plan_parameter devpts_parameters[] = {{(char *)"ptmxmode", (char *)"0666"},
                                                          {(char *)"mode", (char *)"0620"}};

const char *mount_kind_name(unsigned kind)
{
        static const char *const names[PLAN_ENTRY_KINDS] = {
                [PLAN_BIND] = "bind",     [PLAN_TMPFS] = "tmpfs",   [PLAN_PROC] = "proc",
                [PLAN_DEVPTS] = "devpts", [PLAN_MQUEUE] = "mqueue",
        };

        return kind < PLAN_ENTRY_KINDS ? names[kind] : NULL;
}

struct plan_entry mount_defaults(enum plan_entry_kind kind, const char *target)
{
        struct plan_entry entry = {
                .kind = kind,
                .target = (char *)target,
                .attributes = MOUNT_ATTR_NOSUID,
        };

        if (kind != PLAN_DEVPTS)
                entry.attributes |= MOUNT_ATTR_NODEV;
        if (kind == PLAN_BIND || kind == PLAN_PROC)
                entry.attributes |= MOUNT_ATTR_RDONLY;
        if (kind != PLAN_BIND)
                entry.attributes |= MOUNT_ATTR_NOEXEC;
        if (kind == PLAN_TMPFS) {
                entry.size = TMPFS_SIZE;
                entry.inodes = TMPFS_INODES;
                entry.mode = TMPFS_MODE;
        }
        /* Nobody writes to these: whoever changes one has made a copy (set_parameter). */
        if (kind == PLAN_PROC) {
                entry.parameters = (struct plan_parameter *)proc_parameters;
                entry.parameter_count = ARRAY_SIZE(proc_parameters);
        }
        if (kind == PLAN_DEVPTS) {
                entry.parameters = (struct plan_parameter *)devpts_parameters;
                entry.parameter_count = ARRAY_SIZE(devpts_parameters);
        }
        return entry;
}

static int refuse_unknown(const struct plan_entry *entry, const char *name, size_t length,
                          struct error *error)
{
        char known[ERROR_REMEDY_SIZE - 64] = "";
        size_t used = 0;

        error_say(error, EINVAL, "unknown option \"%.*s\" for a mount of type %s",
                  (int)(length < VALUE_SIZE ? length : VALUE_SIZE), name,
                  mount_kind_name(entry->kind));
        for (size_t i = 0; i < ARRAY_SIZE(refused); i++)
                if (strlen(refused[i].name) == length &&
                    strncmp(refused[i].name, name, length) == 0)
                        return error_remedy(error, "leave it out: %s", refused[i].reason);
        for (size_t i = ARRAY_SIZE(rules); i-- > 0;) { /* the kind's own are last */
                int n;

                if (!(rules[i].kinds & 1u << entry->kind))
                        continue;
                n = snprintf(known + used, sizeof(known) - used, "%s%s%s", used ? ", " : "",
                             rules[i].name, rules[i].argument == NONE ? "" : "=");
                if (n < 0 || (size_t)n >= sizeof(known) - used)
                        break;
                used += (size_t)n;
        }
        return error_remedy(error, "known are %s", known);
}

/* "64M": digits and at most one of k, m, g. */
static bool parse_amount(const char *text, uint64_t limit, uint64_t *ret_amount)
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
        if (errno || *end || amount == 0 || amount > limit >> shift)
                return false;
        *ret_amount = amount << shift;
        return true;
}

static bool parse_mode(const char *text, uint32_t *ret_mode)
{
        unsigned long mode;
        char *end;

        mode = strtoul(text, &end, 8);
        if (!isdigit((unsigned char)text[0]) || *end || mode > 07777)
                return false;
        *ret_mode = (uint32_t)mode;
        return true;
}

static bool one_of(const char *value, const char *const *words, size_t count)
{
        for (size_t i = 0; i < count; i++)
                if (strcmp(value, words[i]) == 0)
                        return true;
        return false;
}

/* In place of what is there by that key, in a copy: the defaults are shared. */
static int set_parameter(struct arena *arena, struct plan_entry *entry, const char *key,
                         const char *value, struct error *error)
{
        struct plan_parameter *list =
                arena_alloc(arena, (entry->parameter_count + 1) * sizeof(*list));
        size_t at = 0;

        if (!list)
                return error_set(error, ENOMEM, "mount options");
        for (size_t i = 0; i < entry->parameter_count; i++)
                list[i] = entry->parameters[i];
        while (at < entry->parameter_count && strcmp(list[at].key, key) != 0)
                at++;
        list[at] = (struct plan_parameter){arena_strdup(arena, key), arena_strdup(arena, value)};
        if (!list[at].key || !list[at].value)
                return error_set(error, ENOMEM, "mount options");
        entry->parameter_count += at == entry->parameter_count;
        entry->parameters = list;
        return 0;
}

static int take_argument(struct arena *arena, enum argument argument, const char *name,
                         const char *value, struct plan_entry *entry, struct error *error)
{
        static const char *const hidepid[] = {"off", "noaccess", "invisible", "ptraceable",
                                              "0",   "1",        "2",         "4"};
        const char *expected;
        uint64_t number;
        uint32_t mode;
        bool good;

        switch (argument) {
        case SIZE:
                expected = "bytes such as 512k, 64m or 1g, at most 1024g";
                if (parse_amount(value, SIZE_LIMIT, &entry->size))
                        return 0;
                return error_say(error, EINVAL, "option \"%s=%s\": expected %s", name, value,
                                 expected);
        case COUNT:
                expected = "a number such as 4096 or 16k, at most 2g";
                if (parse_amount(value, INODES_LIMIT, &entry->inodes))
                        return 0;
                return error_say(error, EINVAL, "option \"%s=%s\": expected %s", name, value,
                                 expected);
        case MODE:
        case BITS:
                expected = "permission bits in octal, such as 0755";
                good = parse_mode(value, argument == MODE ? &entry->mode : &mode);
                break;
        case HIDEPID:
                expected = "off, noaccess, invisible or ptraceable";
                good = one_of(value, hidepid, ARRAY_SIZE(hidepid));
                break;
        case SUBSET:
                expected = "pid";
                good = strcmp(value, "pid") == 0;
                break;
        default:
                expected = "a number from 0 to 4294967294";
                good = strcmp(value, "0") == 0 || (parse_amount(value, ID_LAST, &number) &&
                                                   strspn(value, "0123456789") == strlen(value));
                break;
        }
        if (!good)
                return error_say(error, EINVAL, "option \"%s=%s\": expected %s", name, value,
                                 expected);
        return argument == MODE ? 0 : set_parameter(arena, entry, name, value, error);
}

static const struct option_rule *find_rule(const struct plan_entry *entry, const char *name,
                                           size_t length, bool recursive)
{
        for (size_t i = 0; i < ARRAY_SIZE(rules); i++)
                if (strlen(rules[i].name) == length && strncmp(rules[i].name, name, length) == 0 &&
                    rules[i].kinds & 1u << entry->kind && (rules[i].recursive || !recursive))
                        return &rules[i];
        return NULL;
}

static int take_option(struct arena *arena, const char *name, size_t name_length, const char *value,
                       size_t value_length, struct plan_entry *entry, struct error *error)
{
        const struct option_rule *rule = find_rule(entry, name, name_length, false);
        char text[VALUE_SIZE];

        if (!rule && name_length > 1 && name[0] == 'r')
                rule = find_rule(entry, name + 1, name_length - 1, true);
        if (!rule)
                return refuse_unknown(entry, name, name_length, error);
        if (rule->argument == OWNER)
                return 0;
        if (rule->argument == NONE && value)
                return error_say(error, EINVAL, "option \"%s\" takes no value", rule->name);
        if (rule->argument != NONE && (!value || value_length >= sizeof(text)))
                return error_say(error, EINVAL, "option \"%s\" needs a value: \"%s=...\"",
                                 rule->name, rule->name);
        entry->attributes = (entry->attributes & ~rule->clear) | rule->set;
        if (rule->clear & MOUNT_ATTR__ATIME)
                entry->access_times = true;
        if (rule->argument == NONE)
                return 0;
        snprintf(text, sizeof(text), "%.*s", (int)value_length, value);
        return take_argument(arena, rule->argument, rule->name, text, entry, error);
}

int mount_options(struct arena *arena, char *const *options, struct plan_entry *entry,
                  struct error *error)
{
        for (; options && *options; options++) {
                char *at = *options, *name, *value;
                size_t name_length, value_length;
                int r;

                /* One string may hold several, as in fstab(5); libmount knows how they are quoted. */
                while ((r = mnt_optstr_next_option(&at, &name, &name_length, &value,
                                                   &value_length)) == 0) {
                        r = take_option(arena, name, name_length, value, value_length, entry,
                                        error);
                        if (r < 0)
                                return r;
                }
                if (r < 0)
                        return error_say(error, EINVAL, "\"%s\" does not read as mount options",
                                         *options);
        }
        return 0;
}

bool mount_options_name(char *const *options, const char *name)
{
        for (; options && *options; options++)
                if (mnt_optstr_get_option(*options, name, NULL, NULL) == 0)
                        return true;
        return false;
}
