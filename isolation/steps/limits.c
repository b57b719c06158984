/* Resource limits (setrlimit(2)). The compiler has seen to it that none is above what we have. */
#include <errno.h>
#include <inttypes.h>
#include <sys/resource.h>

#include "base/own.h"
#include "isolation/steps/steps.h"

static const char *const names[RLIM_NLIMITS] = {
        [RLIMIT_CPU] = "RLIMIT_CPU",           [RLIMIT_FSIZE] = "RLIMIT_FSIZE",
        [RLIMIT_DATA] = "RLIMIT_DATA",         [RLIMIT_STACK] = "RLIMIT_STACK",
        [RLIMIT_CORE] = "RLIMIT_CORE",         [RLIMIT_RSS] = "RLIMIT_RSS",
        [RLIMIT_NPROC] = "RLIMIT_NPROC",       [RLIMIT_NOFILE] = "RLIMIT_NOFILE",
        [RLIMIT_MEMLOCK] = "RLIMIT_MEMLOCK",   [RLIMIT_AS] = "RLIMIT_AS",
        [RLIMIT_LOCKS] = "RLIMIT_LOCKS",       [RLIMIT_SIGPENDING] = "RLIMIT_SIGPENDING",
        [RLIMIT_MSGQUEUE] = "RLIMIT_MSGQUEUE", [RLIMIT_NICE] = "RLIMIT_NICE",
        [RLIMIT_RTPRIO] = "RLIMIT_RTPRIO",     [RLIMIT_RTTIME] = "RLIMIT_RTTIME",
};

static const char *limit_name(uint32_t resource)
{
        return resource < ARRAY_SIZE(names) && names[resource] ? names[resource] : "RLIMIT_?";
}

int limits_apply(struct isolation *isolation, struct error *error)
{
        const struct plan *plan = isolation->plan;

        for (size_t i = 0; i < plan->rlimit_count; i++) {
                const struct plan_rlimit *limit = &plan->rlimits[i];
                struct rlimit value = {limit->soft, limit->hard};

                if (setrlimit((__rlimit_resource_t)limit->resource, &value) < 0)
                        return error_set(error, errno, "setrlimit %s to %" PRIu64 "/%" PRIu64,
                                         limit_name(limit->resource), limit->soft, limit->hard);
        }
        return 0;
}

void limits_describe(const struct plan *plan, const struct isolation_report *report)
{
        for (size_t i = 0; i < plan->rlimit_count; i++)
                report_call(report, "prlimit64", "%s, %" PRIu64 ", %" PRIu64,
                            limit_name(plan->rlimits[i].resource), plan->rlimits[i].soft,
                            plan->rlimits[i].hard);
}
