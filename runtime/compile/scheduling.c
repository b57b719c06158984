/* Niceness, processors, and whom the kernel kills first: never better than what clade itself has, unless it
 * has the privilege to give more. */
#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/capability.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/own.h"
#include "runtime/compile/compilation.h"

#define NICE_LIMIT_ZERO 20 /* RLIMIT_NICE counts from 1 (nice 19) to 40 (nice -20) */

static bool holds(cap_value_t capability)
{
        cap_flag_value_t value = CAP_CLEAR;
        cap_t caps = cap_get_proc();

        if (caps)
                cap_get_flag(caps, capability, CAP_EFFECTIVE, &value);
        cap_free(caps);
        return value == CAP_SET;
}

static int nice_value(struct compilation *compilation, struct error *error)
{
        const struct config_limits *limits = &compilation->application->limits;
        struct plan_scheduling *scheduling = &compilation->plan->scheduling;
        int own = getpriority(PRIO_PROCESS, 0);
        struct rlimit limit = {.rlim_cur = 0};

        if (!limits->has_nice)
                return 0;
        getrlimit(RLIMIT_NICE, &limit);
        if (limits->nice < own && !holds(CAP_SYS_NICE) &&
            limit.rlim_cur < (rlim_t)(NICE_LIMIT_ZERO - limits->nice)) {
                error_say(error, EPERM, "a niceness of %d is below clade's own, which is %d",
                          limits->nice, own);
                error_remedy(error, "choose %d or more, or run clade as root (CAP_SYS_NICE)", own);
                return error_at(error, compilation, "/limits/nice");
        }
        scheduling->set_nice = true;
        scheduling->nice = (uint32_t)limits->nice;
        return 0;
}

/* The kernel would silently take what is left of a mask of which only some are there. */
static int processors(struct compilation *compilation, struct error *error)
{
        const struct config_limits *limits = &compilation->application->limits;
        struct plan_scheduling *scheduling = &compilation->plan->scheduling;
        uint64_t own[CONFIG_CPUS_MAX / 64] = {0};
        size_t size = limits->cpu_words * sizeof(*limits->cpus);

        if (limits->cpu_words == 0)
                return 0;
        if (syscall(SYS_sched_getaffinity, 0, sizeof(own), own) < 0)
                return error_set(error, errno, "sched_getaffinity");
        for (unsigned cpu = 0; cpu < limits->cpu_words * 64; cpu++) {
                uint64_t bit = 1ull << cpu % 64;

                if (!(limits->cpus[cpu / 64] & bit) || own[cpu / 64] & bit)
                        continue;
                error_say(error, EINVAL, "processor %u is not there, or not for clade", cpu);
                error_remedy(error, "name some of those that `taskset -cp $$` shows");
                return error_at(error, compilation, "/limits/cpus");
        }
        scheduling->cpus = arena_alloc(compilation->arena, size);
        if (!scheduling->cpus)
                return error_set(error, ENOMEM, "processors");
        memcpy(scheduling->cpus, limits->cpus, size);
        scheduling->cpu_words = limits->cpu_words;
        return 0;
}

static int own_oom_score(int *ret_score)
{
        cleanup_file FILE *file = fopen("/proc/self/oom_score_adj", "re");

        if (!file)
                return -errno;
        return fscanf(file, "%d", ret_score) == 1 ? 0 : -EBADMSG;
}

/* What was set by somebody with CAP_SYS_RESOURCE is also the least that a process can go back to. Set
 * without, it is not; then /proc becomes read-only (compile_landlock). */
static int oom_score(struct compilation *compilation, struct error *error)
{
        const struct config_limits *limits = &compilation->application->limits;
        struct plan_scheduling *scheduling = &compilation->plan->scheduling;
        int own, r;

        if (!limits->has_oom_score)
                return 0;
        r = own_oom_score(&own);
        if (r < 0) {
                error_set(error, -r, "reading of /proc/self/oom_score_adj");
                return error_at(error, compilation, "/limits/oom_score_adj");
        }
        if (limits->oom_score < own && !holds(CAP_SYS_RESOURCE)) {
                error_say(error, EPERM, "an oom_score_adj of %d is below clade's own, which is %d",
                          limits->oom_score, own);
                error_remedy(error, "choose %d or more, or run clade as root with CAP_SYS_RESOURCE",
                             own);
                return error_at(error, compilation, "/limits/oom_score_adj");
        }
        scheduling->set_oom_score = true;
        scheduling->oom_score = (uint32_t)limits->oom_score;
        compilation->proc_read_only = limits->oom_score > own && !holds(CAP_SYS_RESOURCE);
        if (compilation->proc_read_only && !compilation->plan->root)
                compile_notice(compilation,
                               "without CAP_SYS_RESOURCE and without a root of its own "
                               "the application can lower its oom_score_adj again");
        return 0;
}

int compile_scheduling(struct compilation *compilation, struct error *error)
{
        int r = nice_value(compilation, error);

        if (r == 0)
                r = processors(compilation, error);
        if (r == 0)
                r = oom_score(compilation, error);
        return r;
}
