/* The Landlock domains (landlock(7)): two around the application, one more around each worker.
 *
 * The application's own keeps it to the files that its root shows, should anything be wrong with a mount;
 * from TCP where its network is empty, since a socket that was inherited or accepted is of the host's
 * network namespace; and from signals and abstract sockets beyond the application, where only ids would
 * stand between. Whatever of this the kernel does not know yet is left out, and the plan shows it.
 * The second is what isolation.landlock says.
 *
 * A worker's has another purpose: whoever is in a domain can neither trace nor read the memory of a
 * process outside, whatever the ids say. So any domain will do.
 *
 * From ABI 7 on refusals go to the host's audit log unless one says otherwise. They are the tenant's doing, as
 * many as it likes, so they go there only where the configuration asks for them. */
#include "runtime/compile/landlock.h"

#include <errno.h>

#include "base/missing.h"

uint64_t landlock_fs_rights(int abi)
{
        uint64_t rights = LANDLOCK_ACCESS_FS_MAKE_SYM | (LANDLOCK_ACCESS_FS_MAKE_SYM - 1);

        if (abi >= LANDLOCK_REFER_ABI)
                rights |= LANDLOCK_ACCESS_FS_REFER;
        if (abi >= LANDLOCK_TRUNCATE_ABI)
                rights |= LANDLOCK_ACCESS_FS_TRUNCATE;
        if (abi >= LANDLOCK_IOCTL_ABI)
                rights |= LANDLOCK_ACCESS_FS_IOCTL_DEV;
        return rights;
}

static int refuse_old_kernel(struct compilation *compilation, int abi, struct error *error)
{
        const struct config_isolation *isolation = &compilation->application->isolation;

        if (abi <= 0 && isolation->minimum > LADDER_FILTER) {
                error_say(error, EOPNOTSUPP,
                          "this kernel has no Landlock, and without it workers could read their "
                          "prototype and each other");
                error_remedy(error,
                             "use Linux 5.13 or newer, built with it, and name landlock among "
                             "the security modules (boot with lsm=landlock,...)");
                return error_at(error, compilation, "%s", "");
        }
        if (isolation->unix_clients && isolation->network == CONFIG_NETWORK_NONE &&
            compilation->level <= LADDER_FILTER) {
                error_say(error, EOPNOTSUPP,
                          "at the level \"%s\" there is no Landlock to refuse TCP connections, and "
                          "without it connect() cannot be allowed",
                          ladder_level_name(compilation->level));
                error_remedy(error, "remove unix_clients, or set isolation.network to \"host\", or "
                                    "raise isolation.maximum");
                return error_at(error, compilation, "/isolation/unix_clients");
        }
        if (isolation->unix_clients && isolation->network == CONFIG_NETWORK_NONE &&
            abi < LANDLOCK_NETWORK_ABI) {
                error_set(error, EOPNOTSUPP,
                          "connect() to unix sockets needs a kernel whose Landlock refuses TCP "
                          "(ABI %d, Linux 6.7), and this one has ABI %d",
                          LANDLOCK_NETWORK_ABI, abi);
                error_remedy(error, "remove unix_clients, or set isolation.network to \"host\", or "
                                    "use a newer kernel");
                return error_at(error, compilation, "/isolation/unix_clients");
        }
        return 0;
}

static int application_domain(struct compilation *compilation, int abi, struct error *error)
{
        struct plan_landlock *domain = &compilation->plan->prototype_domain;

        if (abi >= LANDLOCK_NETWORK_ABI &&
            compilation->application->isolation.network == CONFIG_NETWORK_NONE)
                domain->handled_net =
                        LANDLOCK_ACCESS_NET_BIND_TCP | LANDLOCK_ACCESS_NET_CONNECT_TCP;
        if (abi >= LANDLOCK_SCOPES_ABI)
                domain->scoped = LANDLOCK_SCOPE_ABSTRACT_UNIX_SOCKET | LANDLOCK_SCOPE_SIGNAL;
        /* Before ABI 2 whatever is in a domain for files moves none between directories, allowed or not. */
        if (!compilation->plan->root || (abi < LANDLOCK_REFER_ABI && !compilation->host_paths))
                return 0;
        domain->handled_fs = landlock_fs_rights(abi);
        return landlock_derive(compilation, domain, error);
}

/* Moving files between directories is refused by every domain that does not allow it, whether it handles that
 * right or not: up to Linux 6.12 also by one that handles nothing of files, once another one does. */
static int allow_refer(struct compilation *compilation, struct plan_landlock *domain,
                       struct error *error)
{
        domain->handled_fs = LANDLOCK_ACCESS_FS_REFER;
        domain->rules = arena_alloc(compilation->arena, sizeof(*domain->rules));
        if (!domain->rules)
                return error_set(error, ENOMEM, "Landlock rules");
        domain->rules->path = arena_strdup(compilation->arena, "/");
        domain->rules->allowed = LANDLOCK_ACCESS_FS_REFER;
        domain->rule_count = 1;
        return domain->rules->path ? 0 : error_set(error, ENOMEM, "Landlock rules");
}

static int configured_domain(struct compilation *compilation, int abi, struct error *error)
{
        struct plan_landlock *domain = &compilation->plan->configured_domain;
        int r = landlock_configured(compilation, abi, domain, error);

        if (r < 0 || !domain->handled_net || domain->handled_fs)
                return r;
        return allow_refer(compilation, domain, error);
}

static int worker_domain(struct compilation *compilation, int abi, struct error *error)
{
        struct plan_landlock *domain = &compilation->plan->worker_domain;

        domain->handled_net = compilation->plan->prototype_domain.handled_net;
        domain->scoped = compilation->plan->prototype_domain.scoped;
        if (abi >= LANDLOCK_REFER_ABI)
                return allow_refer(compilation, domain, error);
        /* Block devices cannot be made without capabilities anyway. ABI 1 cannot allow moving files between
         * directories: link and rename across them answer EXDEV here. */
        domain->handled_fs = LANDLOCK_ACCESS_FS_MAKE_BLOCK;
        return 0;
}

/* Domains that a tenant makes for itself are silenced by the innermost of ours. */
static void audit(struct compilation *compilation, int abi)
{
        bool wanted = compilation->application->isolation.landlock.audit;
        uint32_t flags = wanted ? LANDLOCK_RESTRICT_SELF_LOG_NEW_EXEC_ON
                                : LANDLOCK_RESTRICT_SELF_LOG_SAME_EXEC_OFF;
        struct plan *plan = compilation->plan;

        if (abi < LANDLOCK_AUDIT_ABI)
                return;
        plan->prototype_domain.flags = plan->configured_domain.flags = flags;
        plan->worker_domain.flags = flags | LANDLOCK_RESTRICT_SELF_LOG_SUBDOMAINS_OFF;
}

int compile_landlock(struct compilation *compilation, int abi, struct error *error)
{
        int r = refuse_old_kernel(compilation, abi, error);

        /* The configuration says in so many words that it can do without. */
        if (r == 0 && (abi <= 0 || compilation->level <= LADDER_FILTER)) {
                compilation->plan->undumpable = true; /* see steps/capabilities.c */
                return landlock_configured(compilation, 0, &compilation->plan->configured_domain,
                                           error);
        }
        compilation->plan->landlock_abi = abi > 0 ? (uint32_t)abi : 0;
        if (r == 0)
                r = application_domain(compilation, abi, error);
        if (r == 0)
                r = configured_domain(compilation, abi, error);
        if (r == 0)
                r = worker_domain(compilation, abi, error);
        audit(compilation, abi);
        return r;
}
