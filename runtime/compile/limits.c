/* Resource limits (getrlimit(2)). They bound what one uid can use up of what namespaces do not divide. */
#include <errno.h>
#include <sys/resource.h>

#include "runtime/compile/compilation.h"
#include "runtime/protocol/descriptors.h"

#define DESCRIPTORS_SOFT  1024u /* beyond it select(2) breaks; who can do with more raises it */
#define DESCRIPTORS_HARD  65536u
#define DESCRIPTORS_SPARE 512u  /* for what the application opens while it loads */
#define DESCRIPTORS_LEAST 16u   /* and with fewer not even the prototype's own work is done */
#define TASKS             1024u /* and what the workers need */
#define TASKS_PER_WORKER  16u   /* runtimes keep a pool of threads each: Node.js 11, a JVM more */

/* Memory with secrets does not end on a disk. 1 rather than 0: a dump to a file is too large for it as well,
 * and it is the one value at which the kernel starts no program that core_pattern names, for which this
 * limit counts for nothing otherwise (core(5)). */
#define CORE_NEVER 1

static const struct {
        uint32_t resource;
        uint64_t soft, hard;
} fixed[] = {
        {RLIMIT_CORE, CORE_NEVER, CORE_NEVER},
        {RLIMIT_MEMLOCK, 64u << 10, 64u << 10},
        {RLIMIT_MSGQUEUE, 0, 0}, /* POSIX queues count per user of the host */
        {RLIMIT_NICE, 0, 0},
        {RLIMIT_RTPRIO, 0, 0},
};

#define FIXED_COUNT (sizeof(fixed) / sizeof(fixed[0]))

static uint64_t hard_limit(uint32_t resource)
{
        struct rlimit limit;

        return getrlimit((int)resource, &limit) == 0 ? limit.rlim_max : RLIM_INFINITY;
}

static void add(struct plan *plan, uint32_t resource, uint64_t soft, uint64_t hard)
{
        uint64_t most = hard_limit(resource);

        hard = hard < most ? hard : most;
        plan->rlimits[plan->rlimit_count++] = (struct plan_rlimit){
                .resource = resource,
                .soft = soft < hard ? soft : hard,
                .hard = hard,
        };
}

/* What the prototype holds while it loads the application: every slot's two pipes are among it. */
static uint64_t prototype_descriptors(const struct launch *launch)
{
        return PROTOTYPE_FD_FIRST + launch->plan.source_count + launch->listener_count +
               2ull * launch->slot_count;
}

static int refuse(struct compilation *compilation, const char *what, const char *option,
                  uint64_t needed, uint64_t most, struct error *error)
{
        error_say(error, EINVAL, "%u processes need %llu %s, and the limit is %llu",
                  compilation->launch->slot_count, (unsigned long long)needed, what,
                  (unsigned long long)most);
        error_remedy(error,
                     "raise the limit of the shell or service that starts clade (ulimit -H%s "
                     "%llu), or configure fewer processes",
                     option, (unsigned long long)needed);
        return error_at(error, compilation, "/processes");
}

/* What the prototype cannot do without. */
static int check_configured(struct compilation *compilation, const struct config_rlimit *wanted,
                            struct error *error)
{
        uint64_t most = hard_limit(wanted->resource), least = 0;

        if (wanted->hard > most) {
                error_say(error, EPERM, "%s of %llu is above clade's own hard limit of %llu",
                          wanted->name, (unsigned long long)wanted->hard, (unsigned long long)most);
                error_remedy(error, "lower it, or raise the limit of the shell or service that "
                                    "starts clade");
                return error_at(error, compilation, "/limits/rlimits/%zu/hard", wanted->index);
        }
        if (wanted->resource == RLIMIT_NOFILE)
                least = prototype_descriptors(compilation->launch) + DESCRIPTORS_LEAST;
        if (wanted->resource == RLIMIT_NPROC)
                least = compilation->launch->slot_count + 1ull;
        if (wanted->soft < least) {
                error_say(error, EINVAL, "%s of %llu is too low: %u processes need %llu",
                          wanted->name, (unsigned long long)wanted->soft,
                          compilation->launch->slot_count, (unsigned long long)least);
                error_remedy(error, "raise it, or configure fewer processes");
                return error_at(error, compilation, "/limits/rlimits/%zu/soft", wanted->index);
        }
        return 0;
}

/* In place of the default, where there is one. */
static int add_configured(struct compilation *compilation, const struct config_rlimit *wanted,
                          struct error *error)
{
        struct plan *plan = compilation->plan;
        int r = check_configured(compilation, wanted, error);
        size_t i = 0;

        if (r < 0)
                return r;
        while (i < plan->rlimit_count && plan->rlimits[i].resource != wanted->resource)
                i++;
        plan->rlimit_count += i == plan->rlimit_count;
        plan->rlimits[i] = (struct plan_rlimit){wanted->resource, wanted->soft, wanted->hard};
        return 0;
}

int compile_limits(struct compilation *compilation, struct error *error)
{
        const struct config_limits *limits = &compilation->application->limits;
        struct plan *plan = compilation->plan;
        uint64_t slots = compilation->launch->slot_count;
        uint64_t descriptors = prototype_descriptors(compilation->launch) + DESCRIPTORS_SPARE;
        uint64_t tasks = TASKS > slots * TASKS_PER_WORKER ? TASKS : slots * TASKS_PER_WORKER;

        if (limits->resources.tasks != CONFIG_UNLIMITED &&
            (plan->cgroup.tasks == PLAN_UNLIMITED || limits->resources.tasks > tasks))
                tasks = limits->resources.tasks;
        if (descriptors > hard_limit(RLIMIT_NOFILE))
                return refuse(compilation, "descriptors", "n", descriptors,
                              hard_limit(RLIMIT_NOFILE), error);
        if (slots + 1 > hard_limit(RLIMIT_NPROC))
                return refuse(compilation, "tasks", "u", slots + 1, hard_limit(RLIMIT_NPROC),
                              error);
        plan->rlimits = arena_alloc(compilation->arena, (FIXED_COUNT + 2 + limits->rlimit_count) *
                                                                sizeof(*plan->rlimits));
        if (!plan->rlimits)
                return error_set(error, ENOMEM, "limits");
        add(plan, RLIMIT_NOFILE, descriptors > DESCRIPTORS_SOFT ? descriptors : DESCRIPTORS_SOFT,
            DESCRIPTORS_HARD);
        add(plan, RLIMIT_NPROC, tasks, tasks);
        for (size_t i = 0; i < FIXED_COUNT; i++)
                add(plan, fixed[i].resource, fixed[i].soft, fixed[i].hard);
        for (size_t i = 0; i < limits->rlimit_count; i++) {
                int r = add_configured(compilation, &limits->rlimits[i], error);

                if (r < 0)
                        return r;
        }
        return 0;
}
