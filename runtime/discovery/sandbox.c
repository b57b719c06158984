/* The supervisor has cloned us into namespaces of our own where the host allows that. The rest we do
 * ourselves, with the same steps that confine a prototype (isolation/apply.h): a plan without a root, made
 * here. We hold what our user namespace gave us, or what the supervisor has where there is none. */
#include "runtime/discovery/sandbox.h"

#include <errno.h>
#include <linux/capability.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/missing.h"
#include "base/own.h"
#include "isolation/apply.h"
#include "runtime/discovery/filter.h"
#include "runtime/protocol/discovery.h"

/* ASan maps terabytes of shadow. */
#ifdef __SANITIZE_ADDRESS__
#define ADDRESS_SPACE RLIM_INFINITY
#else
#define ADDRESS_SPACE (16ull << 30)
#endif

static const struct plan_rlimit wanted_limits[] = {
        {RLIMIT_AS, ADDRESS_SPACE, ADDRESS_SPACE},
        {RLIMIT_CPU, 60, 60}, /* s; the supervisor's deadline is shorter */
        {RLIMIT_CORE, 0, 0},
        {RLIMIT_FSIZE, 0, 0},
        {RLIMIT_NOFILE, 256, 256},
        {RLIMIT_MEMLOCK, 0, 0},
        {RLIMIT_MSGQUEUE, 0, 0},
};

/* A hard limit that is lower already stays. */
static void lower_limits(struct plan_rlimit *limits)
{
        for (size_t i = 0; i < ARRAY_SIZE(wanted_limits); i++) {
                struct rlimit now;

                limits[i] = wanted_limits[i];
                if (getrlimit((__rlimit_resource_t)limits[i].resource, &now) == 0 &&
                    now.rlim_max < limits[i].hard)
                        limits[i].soft = limits[i].hard = now.rlim_max;
        }
}

/* Every right that this kernel knows is refused, apart from reading, which `rule` allows; loading a
 * library needs no more. No rule for TCP means none at all. */
static struct plan_landlock read_only_domain(int abi, struct plan_landlock_rule *rule)
{
        struct plan_landlock domain = {.handled_fs = 0};
        unsigned rights = abi >= 5 ? 16 : abi >= 3 ? 15 : abi == 2 ? 14 : 13;

        if (abi < 1)
                return domain;
        /* They are numbered without gaps (linux/landlock.h). */
        domain.handled_fs = (1ull << rights) - 1;
        rule->allowed = LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR;
        domain.rules = rule;
        domain.rule_count = 1;
        if (abi >= 4)
                domain.handled_net = LANDLOCK_ACCESS_NET_BIND_TCP | LANDLOCK_ACCESS_NET_CONNECT_TCP;
        if (abi >= 6)
                domain.scoped = LANDLOCK_SCOPE_ABSTRACT_UNIX_SOCKET | LANDLOCK_SCOPE_SIGNAL;
        return domain;
}

/* The step `capabilities` also locks the ways back, and needs CAP_SETPCAP for it. Whoever has other
 * capabilities but not that one (root in a trimmed container) drops them here. */
static int drop_without_locking(bool *ret_can_lock, struct error *error)
{
        struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
        struct __user_cap_data_struct sets[2];

        if (syscall(SYS_capget, &header, sets) < 0)
                return error_set(error, errno, "capget");
        *ret_can_lock = sets[0].effective & (1u << CAP_SETPCAP);
        if (*ret_can_lock)
                return 0;
        for (size_t i = 0; i < ARRAY_SIZE(sets); i++)
                sets[i] = (struct __user_cap_data_struct){0};
        if (syscall(SYS_capset, &header, sets) < 0)
                return error_set(error, errno, "capset to nothing");
        return 0;
}

int sandbox_enter(struct error *error)
{
        struct sock_filter program[FILTER_ROOM];
        char name[] = "discovery";
        struct plan_filter filter = {
                .name = name,
                .program = program,
                .length = filter_build(program, getpid()),
        };
        struct plan_rlimit limits[ARRAY_SIZE(wanted_limits)];
        char root[] = "/";
        struct plan_landlock_rule beneath_root = {.path = root};
        struct plan plan = {
                .rlimits = limits,
                .rlimit_count = ARRAY_SIZE(limits),
                .prototype_domain = read_only_domain(landlock_abi(), &beneath_root),
                .prototype_filters = &filter,
                .prototype_filter_count = 1,
        };
        struct isolation isolation = {.plan = &plan, .tether = DISCOVERY_FD_CHANNEL};
        enum isolation_step_id step;
        int r;

        r = drop_without_locking(&plan.privileged, error);
        if (r < 0)
                return r;
        lower_limits(limits);
        r = isolation_apply(&isolation, &step, error);
        if (r < 0)
                return error_prefix(error, "sandbox of clade-discovery, step %s",
                                    isolation_step_name(step));
        return 0;
}
