/* The Landlock domains (landlock(7)): one around the application, one more around each worker.
 *
 * The prototype's keeps the application from TCP where it has no network of the host's, since a socket
 * that was inherited or accepted is of the host's network namespace; and from signals and abstract
 * sockets beyond the application, where only ids would stand between.
 *
 * A worker's has another purpose: whoever is in a domain can neither trace nor read the memory of a
 * process outside, whatever the ids say. So any domain will do, and where the kernel has no scopes yet,
 * it handles a right that nobody misses. */
#include <errno.h>

#include "base/missing.h"
#include "runtime/compile/compilation.h"

#define NETWORK_ABI 4
#define SCOPES_ABI  6

int compile_landlock(struct compilation *compilation, int abi, struct error *error)
{
        const struct config_isolation *isolation = &compilation->application->isolation;
        struct plan *plan = compilation->plan;
        struct plan_landlock *prototype = &plan->prototype_domain;
        struct plan_landlock *worker = &plan->worker_domain;
        bool own_network = isolation->network != CONFIG_NETWORK_HOST;

        plan->landlock_abi = abi > 0 ? (uint32_t)abi : 0;
        if (abi <= 0) {
                error_say(error, EOPNOTSUPP,
                          "this kernel has no Landlock, and without it workers could read their "
                          "prototype and each other");
                error_remedy(error,
                             "use Linux 5.13 or newer, built with it, and name landlock among "
                             "the security modules (boot with lsm=landlock,...)");
                return error_at(error, compilation, "%s", "");
        }
        if (isolation->unix_clients && own_network && abi < NETWORK_ABI) {
                error_set(
                        error, EOPNOTSUPP,
                        "connect() to unix sockets needs a kernel whose Landlock refuses TCP (ABI "
                        "%d, Linux 6.7), and this one has ABI %u",
                        NETWORK_ABI, plan->landlock_abi);
                error_remedy(error, "remove unix_clients, or set isolation.network to \"host\", or "
                                    "use a newer kernel");
                return error_at(error, compilation, "/isolation/unix_clients");
        }
        if (abi >= NETWORK_ABI && own_network)
                prototype->handled_net =
                        LANDLOCK_ACCESS_NET_BIND_TCP | LANDLOCK_ACCESS_NET_CONNECT_TCP;
        if (abi >= SCOPES_ABI)
                prototype->scoped = LANDLOCK_SCOPE_ABSTRACT_UNIX_SOCKET | LANDLOCK_SCOPE_SIGNAL;
        worker->handled_net = prototype->handled_net;
        worker->scoped = prototype->scoped;
        if (abi >= SCOPES_ABI)
                return 0;
        if (abi >= 2) {
                /* Files may be moved between directories as before: allowed beneath "/". */
                worker->handled_fs = LANDLOCK_ACCESS_FS_REFER;
                worker->rules = arena_alloc(compilation->arena, sizeof(*worker->rules));
                if (!worker->rules ||
                    !(worker->rules->path = arena_strdup(compilation->arena, "/")))
                        return error_set(error, ENOMEM, "Landlock rules");
                worker->rules->allowed = LANDLOCK_ACCESS_FS_REFER;
                worker->rule_count = 1;
        } else {
                /* Block devices cannot be made without capabilities anyway. ABI 1 cannot allow moving
                 * files between directories: link and rename across them answer EXDEV here. */
                worker->handled_fs = LANDLOCK_ACCESS_FS_MAKE_BLOCK;
        }
        return 0;
}
