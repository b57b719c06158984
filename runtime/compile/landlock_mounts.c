/* The application's domain, as far as it follows from its root: a second line behind the mounts.
 *
 * Rules are by path, and hold beneath it across mounts. So "/" may only be listed (the root's own
 * directories and links hold nothing), and every mount and every generated file has a rule of its own:
 *
 *   what is shown from the host    read and executed as its options say; written where it is not read-only
 *   a tmpfs                        the same, and everything that one does in a directory of one's own
 *   a device                       read, written, asked for what it can do
 *   /proc, /dev/pts                read, and written to where they may be; nothing is made or removed there
 *
 * Where the root's own tmpfs is writable, new files may be anywhere in it, so "/" has all of that but
 * execution, and the mounts alone keep the rest read-only.
 *
 * A fifo on a read-only mount could be written to without Landlock, and cannot be with it. Sockets do not
 * matter: the kernel asks about the name of a unix socket from no version on that we know of. */
#include <errno.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include "base/missing.h"
#include "runtime/compile/landlock.h"

#define READ  (LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR)
#define WRITE (LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_TRUNCATE)
#define CHANGE                                                                                     \
        (LANDLOCK_ACCESS_FS_MAKE_REG | LANDLOCK_ACCESS_FS_MAKE_DIR | LANDLOCK_ACCESS_FS_MAKE_SYM | \
         LANDLOCK_ACCESS_FS_MAKE_FIFO | LANDLOCK_ACCESS_FS_MAKE_SOCK |                             \
         LANDLOCK_ACCESS_FS_REMOVE_FILE | LANDLOCK_ACCESS_FS_REMOVE_DIR |                          \
         LANDLOCK_ACCESS_FS_REFER)
#define DEVICE  (LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_IOCTL_DEV)
#define EXECUTE LANDLOCK_ACCESS_FS_EXECUTE

static uint64_t mount_rights(uint64_t attributes)
{
        uint64_t rights = READ;

        if (!(attributes & MOUNT_ATTR_NOEXEC))
                rights |= EXECUTE;
        if (!(attributes & MOUNT_ATTR_RDONLY))
                rights |= WRITE | CHANGE;
        /* Devices below it can be opened, and written to whether it is read-only or not. */
        if (!(attributes & MOUNT_ATTR_NODEV))
                rights |= DEVICE;
        return rights;
}

static uint64_t bind_rights(const struct plan_entry *entry, const struct plan_source *source)
{
        switch (source->type) {
        case S_IFCHR:
        case S_IFBLK:
                return READ | DEVICE;
        case S_IFIFO:
                return READ | WRITE;
        default:
                return mount_rights(entry->attributes);
        }
}

static uint64_t entry_rights(const struct compilation *compilation, const struct plan_entry *entry)
{
        switch ((enum plan_entry_kind)entry->kind) {
        case PLAN_FILE:
                return READ | (entry->mode & 0111 ? EXECUTE : 0);
        case PLAN_BIND:
                return bind_rights(entry, &compilation->plan->sources[entry->source]);
        case PLAN_TMPFS:
                return mount_rights(entry->attributes);
        case PLAN_MQUEUE:
                return mount_rights(entry->attributes);
        case PLAN_PROC:
                if (compilation->proc_read_only || compilation->host_paths ||
                    entry->attributes & MOUNT_ATTR_RDONLY)
                        return READ;
                return READ | WRITE;
        case PLAN_DEVPTS: /* terminals are written to, and asked, as devices are */
                return READ | DEVICE;
        case PLAN_DIRECTORY:
        case PLAN_SYMLINK:
        case PLAN_MASK: /* what lies over it is empty, and read by whoever may read there */
        case PLAN_READONLY:
        case PLAN_ENTRY_KINDS:
                break;
        }
        return 0;
}

/* Where a rule for the entry leads; NULL: there is no such thing. Without mounts everything is where the host
 * has it, /proc is the outer one, and what would be made for the application is not there. */
static const char *rule_path(const struct compilation *compilation, const struct plan_entry *entry)
{
        if (!compilation->host_paths)
                return entry->target;
        switch ((enum plan_entry_kind)entry->kind) {
        case PLAN_BIND:
                return compilation->plan->sources[entry->source].path;
        case PLAN_PROC:
                return "/proc";
        default:
                return NULL;
        }
}

/* Whether `path` is `top` or lies below it. */
static bool within(const char *path, const char *top)
{
        size_t length = strlen(top);

        return strncmp(path, top, length) == 0 && (path[length] == '\0' || path[length] == '/');
}

/* A later mount lies over it: whatever is at its path then is not it. */
static bool hidden(const struct plan *plan, size_t index)
{
        for (size_t i = index + 1; i < plan->entry_count; i++)
                if (plan_is_mount(plan->entries[i].kind) &&
                    within(plan->entries[index].target, plan->entries[i].target))
                        return true;
        return false;
}

static int add(struct compilation *compilation, struct plan_landlock *domain, const char *path,
               uint64_t rights, struct error *error)
{
        struct plan_landlock_rule *rule = &domain->rules[domain->rule_count];

        rights &= domain->handled_fs;
        if (!rights)
                return 0;
        rule->path = arena_strdup(compilation->arena, path);
        rule->allowed = rights;
        if (!rule->path)
                return error_set(error, ENOMEM, "Landlock rules");
        domain->rule_count++;
        return 0;
}

int landlock_derive(struct compilation *compilation, struct plan_landlock *domain,
                    struct error *error)
{
        const struct plan *plan = compilation->plan;
        int r;

        domain->rules =
                arena_alloc(compilation->arena, (plan->entry_count + 1) * sizeof(*domain->rules));
        if (!domain->rules)
                return error_set(error, ENOMEM, "Landlock rules");
        r = compilation->host_paths
                    ? 0
                    : add(compilation, domain, "/",
                          plan->root_writable ? READ | WRITE | CHANGE : LANDLOCK_ACCESS_FS_READ_DIR,
                          error);
        for (size_t i = 0; i < plan->entry_count && r == 0; i++) {
                const struct plan_entry *entry = &plan->entries[i];

                const char *path = rule_path(compilation, entry);

                if (path && !hidden(plan, i))
                        r = add(compilation, domain, path, entry_rights(compilation, entry), error);
        }
        return r;
}
