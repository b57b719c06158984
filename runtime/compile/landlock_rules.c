/* isolation.landlock: a domain within the one that follows from the mounts, so that what it allows is never
 * more. Files that it does not name are refused, if it names any; so are ports. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/missing.h"
#include "runtime/compile/landlock.h"

#define FILE_RIGHTS                                                                                \
        (LANDLOCK_ACCESS_FS_EXECUTE | LANDLOCK_ACCESS_FS_WRITE_FILE |                              \
         LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_TRUNCATE |                              \
         LANDLOCK_ACCESS_FS_IOCTL_DEV)

/* Which kernel brought what. */
static const struct {
        int abi;
        const char *linux_version;
} kernels[] = {
        {LANDLOCK_TRUNCATE_ABI, "6.2"}, {LANDLOCK_NETWORK_ABI, "6.7"}, {LANDLOCK_IOCTL_ABI, "6.10"},
        {LANDLOCK_SCOPES_ABI, "6.12"},  {LANDLOCK_AUDIT_ABI, "6.15"},
};

/* What is asked for in words is enforced, or there is no start. */
static int need(struct compilation *compilation, int abi, int needed, const char *key,
                const char *what, struct error *error)
{
        const char *version = "";

        if (abi >= needed)
                return 0;
        for (size_t i = 0; i < sizeof(kernels) / sizeof(kernels[0]); i++)
                if (kernels[i].abi == needed)
                        version = kernels[i].linux_version;
        error_set(error, EOPNOTSUPP,
                  "%s needs Landlock ABI %d (Linux %s), and this kernel has ABI %d", what, needed,
                  version, abi);
        error_remedy(error, "use a newer kernel, or remove isolation.landlock.%s", key);
        return error_at(error, compilation, "/isolation/landlock/%s", key);
}

static int check_abi(struct compilation *compilation, int abi, struct error *error)
{
        const struct config_landlock *wanted = &compilation->application->isolation.landlock;
        int r = 0;

        if (wanted->has_paths)
                r = need(compilation, abi, LANDLOCK_TRUNCATE_ABI, "paths",
                         "to keep files from being truncated", error);
        for (size_t i = 0; i < wanted->path_count && r == 0; i++)
                if (wanted->paths[i].rights & LANDLOCK_ACCESS_FS_IOCTL_DEV)
                        r = need(compilation, abi, LANDLOCK_IOCTL_ABI, "paths",
                                 "the right ioctl_dev", error);
        if (r == 0 && wanted->bind.given)
                r = need(compilation, abi, LANDLOCK_NETWORK_ABI, "bind", "a list of ports to bind",
                         error);
        if (r == 0 && wanted->connect.given)
                r = need(compilation, abi, LANDLOCK_NETWORK_ABI, "connect",
                         "a list of ports to connect to", error);
        if (r == 0 && wanted->scopes)
                r = need(compilation, abi, LANDLOCK_SCOPES_ABI, "scopes", "a scope", error);
        if (r == 0 && wanted->audit)
                r = need(compilation, abi, LANDLOCK_AUDIT_ABI, "audit",
                         "to send refusals to the audit log", error);
        return r;
}

/* Where the path leads once its symlinks are followed: in the new root as it will be, else on the host. */
static int resolve(struct compilation *compilation, const char *path, char *ret_real,
                   bool *ret_directory, struct error *error)
{
        struct root_place place;
        struct stat st;
        int r;

        if (!compilation->plan->root || compilation->host_paths) {
                r = source_look(&compilation->root, path, ret_real, &st, error);
                if (r == 0)
                        *ret_directory = S_ISDIR(st.st_mode);
                return r;
        }
        r = root_walk(&compilation->root, path, true, &place, error);
        if (r < 0)
                return r;
        if (place.rest[0] || place.kind == ROOT_ABSENT ||
            (place.kind == ROOT_PROC && strcmp(place.path, path) != 0)) {
                error_set(error, ENOENT, "%s inside the root", path);
                return error_remedy(error, "name a path that is there when the application starts, "
                                           "or a directory above it");
        }
        snprintf(ret_real, PATH_MAX, "%s", place.path);
        *ret_directory = place.kind != ROOT_FILE;
        return 0;
}

static int add_path(struct compilation *compilation, const struct config_landlock_path *wanted,
                    struct plan_landlock *domain, struct error *error)
{
        struct plan_landlock_rule *rule = &domain->rules[domain->rule_count];
        bool directory = true;
        char real[PATH_MAX];
        uint64_t rights = wanted->rights & domain->handled_fs;
        int r = resolve(compilation, wanted->path, real, &directory, error);

        if (r < 0)
                return r;
        if (!directory && !(rights & FILE_RIGHTS)) {
                error_set(error, ENOTDIR, "%s: these rights mean nothing for a file", wanted->path);
                return error_remedy(error, "name its directory, or add a right such as read");
        }
        *rule = (struct plan_landlock_rule){arena_strdup(compilation->arena, real), rights};
        if (!rule->path)
                return error_set(error, ENOMEM, "Landlock rules");
        domain->rule_count += rights != 0;
        return 0;
}

static int add_paths(struct compilation *compilation, int abi, struct plan_landlock *domain,
                     struct error *error)
{
        const struct config_landlock *wanted = &compilation->application->isolation.landlock;

        if (!wanted->has_paths)
                return 0;
        domain->handled_fs = landlock_fs_rights(abi);
        domain->rules =
                arena_alloc(compilation->arena, (wanted->path_count + 1) * sizeof(*domain->rules));
        if (!domain->rules)
                return error_set(error, ENOMEM, "Landlock rules");
        for (size_t i = 0; i < wanted->path_count; i++) {
                int r = add_path(compilation, &wanted->paths[i], domain, error);

                if (r < 0)
                        return error_at(error, compilation, "/isolation/landlock/paths/%zu/path",
                                        i);
        }
        if (abi < LANDLOCK_IOCTL_ABI)
                compile_notice(compilation, "this kernel's Landlock does not know ioctl(2) of "
                                            "devices (Linux 6.10): isolation.landlock.paths does "
                                            "not restrict it");
        return 0;
}

static void add_ports(const struct config_ports *wanted, uint64_t right,
                      struct plan_landlock *domain)
{
        if (!wanted->given)
                return;
        domain->handled_net |= right;
        for (size_t i = 0; i < wanted->count; i++)
                domain->ports[domain->port_count++] =
                        (struct plan_landlock_port){.port = wanted->list[i], .allowed = right};
}

int landlock_configured(struct compilation *compilation, int abi, struct plan_landlock *domain,
                        struct error *error)
{
        const struct config_landlock *wanted = &compilation->application->isolation.landlock;
        int r = check_abi(compilation, abi, error);

        if (r == 0)
                r = add_paths(compilation, abi, domain, error);
        if (r < 0)
                return r;
        domain->ports =
                arena_alloc(compilation->arena, (wanted->bind.count + wanted->connect.count + 1) *
                                                        sizeof(*domain->ports));
        if (!domain->ports)
                return error_set(error, ENOMEM, "Landlock rules");
        add_ports(&wanted->bind, LANDLOCK_ACCESS_NET_BIND_TCP, domain);
        add_ports(&wanted->connect, LANDLOCK_ACCESS_NET_CONNECT_TCP, domain);
        return 0;
}
