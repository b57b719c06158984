/* Landlock (landlock(7)). Three domains, one within the other: what follows from the plan and what was
 * configured besides, entered here by the prototype; and one for each worker, whose ruleset is made here,
 * so that entering it costs a worker next to nothing. Workers share an id with their prototype and with
 * each other: a domain of one's own is what keeps them from reading, tracing and (from ABI 6) signalling
 * one another. */
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <sys/stat.h>

#include "base/missing.h"
#include "base/own.h"
#include "isolation/steps/steps.h"

/* Those that the kernel takes for something that is no directory. */
#define FILE_RIGHTS                                                                                \
        (LANDLOCK_ACCESS_FS_EXECUTE | LANDLOCK_ACCESS_FS_WRITE_FILE |                              \
         LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_TRUNCATE |                              \
         LANDLOCK_ACCESS_FS_IOCTL_DEV)

static bool domain_exists(const struct plan_landlock *domain)
{
        return domain->handled_fs || domain->handled_net || domain->scoped;
}

/* The struct's size is part of the call: an older kernel refuses a longer one whose tail is not zero. */
static size_t attribute_size(const struct plan_landlock *domain)
{
        if (domain->scoped)
                return sizeof(struct landlock_ruleset_attr_6);
        if (domain->handled_net)
                return offsetof(struct landlock_ruleset_attr_6, scoped);
        return offsetof(struct landlock_ruleset_attr_6, handled_access_net);
}

static int rule_add(int ruleset, const struct plan_landlock_rule *rule, struct error *error)
{
        struct open_how how = {
                .flags = O_PATH | O_CLOEXEC,
                .resolve = RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS,
        };
        cleanup_fd int fd = (int)syscall(SYS_openat2, AT_FDCWD, rule->path, &how, sizeof(how));
        struct landlock_path_beneath_attr beneath = {.allowed_access = rule->allowed};
        struct stat st;

        if (fd < 0) {
                error_set(error, errno, "open of %s for a Landlock rule", rule->path);
                if (errno == ELOOP)
                        error_remedy(error, "a symlink has come to be on that path since the plan "
                                            "was made: restart clade if it is meant to be there");
                return -error->code;
        }
        if (fstat(fd, &st) < 0)
                return error_set(error, errno, "stat of %s for a Landlock rule", rule->path);
        if (!S_ISDIR(st.st_mode))
                beneath.allowed_access &= FILE_RIGHTS;
        if (!beneath.allowed_access) {
                error_say(error, ENOTDIR,
                          "%s is no directory, and the rights of its Landlock rule "
                          "mean nothing for a file",
                          rule->path);
                return error_remedy(error, "name a directory, or a right such as read or write");
        }
        beneath.parent_fd = fd;
        if (syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &beneath, 0) < 0)
                return error_set(error, errno, "landlock_add_rule for %s", rule->path);
        return 0;
}

static int port_add(int ruleset, const struct plan_landlock_port *port, struct error *error)
{
        const struct landlock_net_port_attr_4 attribute = {
                .allowed_access = port->allowed,
                .port = port->port,
        };

        if (syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_NET_PORT_4, &attribute, 0) < 0)
                return error_set(error, errno, "landlock_add_rule for TCP port %u", port->port);
        return 0;
}

static int ruleset_create(const struct plan_landlock *domain, struct error *error)
{
        struct landlock_ruleset_attr_6 attributes = {
                .handled_access_fs = domain->handled_fs,
                .handled_access_net = domain->handled_net,
                .scoped = domain->scoped,
        };
        cleanup_fd int ruleset =
                (int)syscall(SYS_landlock_create_ruleset, &attributes, attribute_size(domain), 0);
        int r = 0;

        if (ruleset < 0) {
                error_set(error, errno, "landlock_create_ruleset");
                return error_remedy(error, "the kernel that the plan was made for had a newer "
                                           "Landlock, or its Landlock lacks parts");
        }
        for (size_t i = 0; i < domain->rule_count && r == 0; i++)
                r = rule_add(ruleset, &domain->rules[i], error);
        for (size_t i = 0; i < domain->port_count && r == 0; i++)
                r = port_add(ruleset, &domain->ports[i], error);
        return r < 0 ? r : TAKE_FD(ruleset);
}

int landlock_enter(int ruleset, uint32_t flags, struct error *error)
{
        if (syscall(SYS_landlock_restrict_self, ruleset, flags) < 0)
                return error_set(error, errno, "landlock_restrict_self");
        return 0;
}

static int domain_enter(const struct plan_landlock *domain, const char *what, struct error *error)
{
        cleanup_fd int ruleset = -1;

        if (!domain_exists(domain))
                return 0;
        ruleset = ruleset_create(domain, error);
        if (ruleset < 0)
                return error_prefix(error, "%s", what);
        return landlock_enter(ruleset, domain->flags, error);
}

int landlock_apply(struct isolation *isolation, struct error *error)
{
        const struct plan *plan = isolation->plan;
        int r;

        r = domain_enter(&plan->prototype_domain, "the application's domain", error);
        if (r == 0)
                r = domain_enter(&plan->configured_domain, "isolation.landlock", error);
        if (r < 0 || !domain_exists(&plan->worker_domain))
                return r;
        r = ruleset_create(&plan->worker_domain, error);
        if (r < 0)
                return error_prefix(error, "the workers' domain");
        isolation->worker_ruleset = r;
        isolation->worker_flags = plan->worker_domain.flags;
        return 0;
}

static void ruleset_describe(const struct plan_landlock *domain,
                             const struct isolation_report *report)
{
        if (!domain_exists(domain))
                return;
        report_call(report, "landlock_create_ruleset", "fs 0x%llx, net 0x%llx, scoped 0x%llx",
                    (unsigned long long)domain->handled_fs, (unsigned long long)domain->handled_net,
                    (unsigned long long)domain->scoped);
        for (size_t i = 0; i < domain->rule_count; i++)
                report_call(report, "landlock_add_rule", "\"%s\", 0x%llx", domain->rules[i].path,
                            (unsigned long long)domain->rules[i].allowed);
        for (size_t i = 0; i < domain->port_count; i++)
                report_call(report, "landlock_add_rule", "port %u, 0x%llx", domain->ports[i].port,
                            (unsigned long long)domain->ports[i].allowed);
}

void landlock_describe_enter(const struct plan_landlock *domain,
                             const struct isolation_report *report)
{
        if (domain_exists(domain))
                report_call(report, "landlock_restrict_self", "ruleset, 0x%x", domain->flags);
}

void landlock_describe(const struct plan *plan, const struct isolation_report *report)
{
        ruleset_describe(&plan->prototype_domain, report);
        landlock_describe_enter(&plan->prototype_domain, report);
        ruleset_describe(&plan->configured_domain, report);
        landlock_describe_enter(&plan->configured_domain, report);
        ruleset_describe(&plan->worker_domain, report);
}
