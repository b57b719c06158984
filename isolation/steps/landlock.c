/* Landlock (landlock(7)). Two domains: the prototype's, entered here; and one for each worker, whose ruleset
 * is made here, so that entering it costs a worker next to nothing. Workers share an id with their
 * prototype and with each other: a domain of one's own is what keeps them from reading, tracing and (from
 * ABI 6) signalling one another. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>

#include "base/missing.h"
#include "base/own.h"
#include "isolation/steps/steps.h"

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

static int ruleset_create(const struct plan_landlock *domain, struct error *error)
{
        struct landlock_ruleset_attr_6 attributes = {
                .handled_access_fs = domain->handled_fs,
                .handled_access_net = domain->handled_net,
                .scoped = domain->scoped,
        };
        cleanup_fd int ruleset =
                (int)syscall(SYS_landlock_create_ruleset, &attributes, attribute_size(domain), 0);

        if (ruleset < 0) {
                error_set(error, errno, "landlock_create_ruleset");
                return error_remedy(error, "the kernel that the plan was made for had a newer "
                                           "Landlock, or its Landlock lacks parts");
        }
        if (domain->root_allowed) {
                struct landlock_path_beneath_attr beneath = {
                        .allowed_access = domain->root_allowed,
                };
                cleanup_fd int root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);

                if (root < 0)
                        return error_set(error, errno, "open of / for Landlock");
                beneath.parent_fd = root;
                if (syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &beneath,
                            0) < 0)
                        return error_set(error, errno, "landlock_add_rule for /");
        }
        return TAKE_FD(ruleset);
}

int landlock_enter(int ruleset, struct error *error)
{
        if (syscall(SYS_landlock_restrict_self, ruleset, 0) < 0)
                return error_set(error, errno, "landlock_restrict_self");
        return 0;
}

int landlock_apply(struct isolation *isolation, struct error *error)
{
        const struct plan *plan = isolation->plan;
        int r;

        if (domain_exists(&plan->prototype_domain)) {
                cleanup_fd int ruleset = ruleset_create(&plan->prototype_domain, error);

                if (ruleset < 0)
                        return ruleset;
                r = landlock_enter(ruleset, error);
                if (r < 0)
                        return r;
        }
        if (domain_exists(&plan->worker_domain)) {
                r = ruleset_create(&plan->worker_domain, error);
                if (r < 0)
                        return error_prefix(error, "the workers' domain");
                isolation->worker_ruleset = r;
        }
        return 0;
}

static void ruleset_describe(const struct plan_landlock *domain,
                             const struct isolation_report *report)
{
        report_call(report, "landlock_create_ruleset", "fs 0x%llx, net 0x%llx, scoped 0x%llx",
                    (unsigned long long)domain->handled_fs, (unsigned long long)domain->handled_net,
                    (unsigned long long)domain->scoped);
        if (domain->root_allowed)
                report_call(report, "landlock_add_rule", "\"/\", 0x%llx",
                            (unsigned long long)domain->root_allowed);
}

void landlock_describe(const struct plan *plan, const struct isolation_report *report)
{
        if (domain_exists(&plan->prototype_domain)) {
                ruleset_describe(&plan->prototype_domain, report);
                report_call(report, "landlock_restrict_self", "ruleset");
        }
        if (domain_exists(&plan->worker_domain))
                ruleset_describe(&plan->worker_domain, report);
}
