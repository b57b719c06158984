/* Flags and numbers of a plan in words. */
#include <linux/landlock.h>
#include <sched.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "base/missing.h"
#include "runtime/cli/describe.h"

struct word {
        uint64_t flag;
        const char *word;
};

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* Flags without a word are shown as one number, so that nothing is left out. */
static json_t *words(uint64_t flags, const struct word *table, size_t count)
{
        json_t *list = json_array();
        char rest[24];

        for (size_t i = 0; i < count; i++) {
                if (!(flags & table[i].flag))
                        continue;
                json_array_append_new(list, json_string(table[i].word));
                flags &= ~table[i].flag;
        }
        if (flags) {
                snprintf(rest, sizeof(rest), "0x%llx", (unsigned long long)flags);
                json_array_append_new(list, json_string(rest));
        }
        return list;
}

json_t *describe_namespaces(uint64_t flags)
{
        static const struct word table[] = {
                {CLONE_NEWUSER, "user"},     {CLONE_NEWNS, "mount"},  {CLONE_NEWPID, "pid"},
                {CLONE_NEWNET, "network"},   {CLONE_NEWIPC, "ipc"},   {CLONE_NEWUTS, "uts"},
                {CLONE_NEWCGROUP, "cgroup"}, {CLONE_NEWTIME, "time"},
        };

        return words(flags, table, COUNT(table));
}

json_t *describe_attributes(uint64_t attributes)
{
        static const struct word table[] = {
                {MOUNT_ATTR_RDONLY, "ro"},
                {MOUNT_ATTR_NOSUID, "nosuid"},
                {MOUNT_ATTR_NODEV, "nodev"},
                {MOUNT_ATTR_NOEXEC, "noexec"},
                {MOUNT_ATTR_NOSYMFOLLOW, "nosymfollow"},
                {MOUNT_ATTR_NOATIME, "noatime"},
                {MOUNT_ATTR_STRICTATIME, "strictatime"},
                {MOUNT_ATTR_NODIRATIME, "nodiratime"},
        };

        return words(attributes, table, COUNT(table));
}

static const struct word landlock_fs[] = {
        {LANDLOCK_ACCESS_FS_EXECUTE, "execute"},
        {LANDLOCK_ACCESS_FS_WRITE_FILE, "write_file"},
        {LANDLOCK_ACCESS_FS_READ_FILE, "read_file"},
        {LANDLOCK_ACCESS_FS_READ_DIR, "read_dir"},
        {LANDLOCK_ACCESS_FS_REMOVE_DIR, "remove_dir"},
        {LANDLOCK_ACCESS_FS_REMOVE_FILE, "remove_file"},
        {LANDLOCK_ACCESS_FS_MAKE_CHAR, "make_char"},
        {LANDLOCK_ACCESS_FS_MAKE_DIR, "make_dir"},
        {LANDLOCK_ACCESS_FS_MAKE_REG, "make_reg"},
        {LANDLOCK_ACCESS_FS_MAKE_SOCK, "make_sock"},
        {LANDLOCK_ACCESS_FS_MAKE_FIFO, "make_fifo"},
        {LANDLOCK_ACCESS_FS_MAKE_BLOCK, "make_block"},
        {LANDLOCK_ACCESS_FS_MAKE_SYM, "make_sym"},
        {LANDLOCK_ACCESS_FS_REFER, "refer"},
        {LANDLOCK_ACCESS_FS_TRUNCATE, "truncate"},
        {LANDLOCK_ACCESS_FS_IOCTL_DEV, "ioctl_dev"},
};

static const struct word landlock_net[] = {
        {LANDLOCK_ACCESS_NET_BIND_TCP, "bind"},
        {LANDLOCK_ACCESS_NET_CONNECT_TCP, "connect"},
};

json_t *describe_landlock(const struct plan_landlock *domain)
{
        static const struct word scopes[] = {
                {LANDLOCK_SCOPE_ABSTRACT_UNIX_SOCKET, "abstract_unix"},
                {LANDLOCK_SCOPE_SIGNAL, "signal"},
        };
        static const struct word flags[] = {
                {LANDLOCK_RESTRICT_SELF_LOG_SAME_EXEC_OFF, "log_same_exec_off"},
                {LANDLOCK_RESTRICT_SELF_LOG_NEW_EXEC_ON, "log_new_exec_on"},
                {LANDLOCK_RESTRICT_SELF_LOG_SUBDOMAINS_OFF, "log_subdomains_off"},
        };
        json_t *rules = json_array(), *ports = json_array();

        for (size_t i = 0; i < domain->rule_count; i++)
                json_array_append_new(rules, json_pack("{s:s, s:o}", "path", domain->rules[i].path,
                                                       "allowed",
                                                       words(domain->rules[i].allowed, landlock_fs,
                                                             COUNT(landlock_fs))));
        for (size_t i = 0; i < domain->port_count; i++)
                json_array_append_new(ports, json_pack("{s:I, s:o}", "port",
                                                       (json_int_t)domain->ports[i].port, "allowed",
                                                       words(domain->ports[i].allowed, landlock_net,
                                                             COUNT(landlock_net))));
        return json_pack("{s:o, s:o, s:o, s:o, s:o, s:o}", "handled_fs",
                         words(domain->handled_fs, landlock_fs, COUNT(landlock_fs)), "rules", rules,
                         "handled_net",
                         words(domain->handled_net, landlock_net, COUNT(landlock_net)), "ports",
                         ports, "scoped", words(domain->scoped, scopes, COUNT(scopes)), "flags",
                         words(domain->flags, flags, COUNT(flags)));
}

static json_t *limit(uint64_t value)
{
        return value == RLIM_INFINITY ? json_string("unlimited") : json_integer((json_int_t)value);
}

json_t *describe_rlimit(const struct plan_rlimit *rlimit)
{
        static const char *const names[] = {
                [RLIMIT_CPU] = "cpu",       [RLIMIT_FSIZE] = "fsize",
                [RLIMIT_DATA] = "data",     [RLIMIT_STACK] = "stack",
                [RLIMIT_CORE] = "core",     [RLIMIT_RSS] = "rss",
                [RLIMIT_NOFILE] = "nofile", [RLIMIT_AS] = "as",
                [RLIMIT_NPROC] = "nproc",   [RLIMIT_MEMLOCK] = "memlock",
                [RLIMIT_LOCKS] = "locks",   [RLIMIT_SIGPENDING] = "sigpending",
                [RLIMIT_NICE] = "nice",     [RLIMIT_MSGQUEUE] = "msgqueue",
                [RLIMIT_RTPRIO] = "rtprio", [RLIMIT_RTTIME] = "rttime",
        };
        const char *name = rlimit->resource < COUNT(names) ? names[rlimit->resource] : NULL;

        return json_pack("{s:s, s:o, s:o}", "resource", name ? name : "unknown", "soft",
                         limit(rlimit->soft), "hard", limit(rlimit->hard));
}

json_t *describe_mode(uint32_t mode)
{
        char text[16];

        snprintf(text, sizeof(text), "%04o", mode);
        return json_string(text);
}

const char *describe_file_type(uint32_t type)
{
        switch (type) {
        case S_IFDIR:
                return "directory";
        case S_IFREG:
                return "file";
        case S_IFCHR:
                return "character device";
        case S_IFBLK:
                return "block device";
        case S_IFIFO:
                return "fifo";
        case S_IFSOCK:
                return "socket";
        default:
                return "other";
        }
}
