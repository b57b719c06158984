/* What a plan holds beside namespaces, root, Landlock and seccomp. */
#include "runtime/cli/describe.h"

#include <sys/capability.h>

static json_t *describe_set(uint64_t set)
{
        json_t *list = json_array();

        for (int capability = 0; capability < 64; capability++) {
                char *name;

                if (!(set >> capability & 1))
                        continue;
                name = cap_to_name(capability); /* a number for one that libcap does not know */
                json_array_append_new(list, name ? json_string(name) : json_integer(capability));
                cap_free(name);
        }
        return list;
}

static json_t *describe_cpus(const struct plan_scheduling *scheduling)
{
        json_t *list = json_array();

        for (size_t cpu = 0; cpu < scheduling->cpu_words * 64; cpu++)
                if (scheduling->cpus[cpu / 64] >> cpu % 64 & 1)
                        json_array_append_new(list, json_integer((json_int_t)cpu));
        return list;
}

/* Null is what is left as clade has it. */
static json_t *describe_scheduling(const struct plan_scheduling *scheduling)
{
        return json_pack("{s:o, s:o, s:o}", "nice",
                         scheduling->set_nice ? json_integer((int32_t)scheduling->nice)
                                              : json_null(),
                         "cpus", scheduling->cpu_words ? describe_cpus(scheduling) : json_null(),
                         "oom_score_adj",
                         scheduling->set_oom_score ? json_integer((int32_t)scheduling->oom_score)
                                                   : json_null());
}

static json_t *describe_clocks(const struct plan_clocks *clocks)
{
        return json_pack("{s:I, s:I}", "monotonic", (json_int_t)clocks->monotonic, "boottime",
                         (json_int_t)clocks->boottime);
}

json_t *describe_locks(const struct plan *plan)
{
        const struct plan_capabilities *capabilities = &plan->capabilities;

        return json_pack("{s:{s:o, s:o, s:o}, s:o, s:o, s:b, s:b, s:b}", "capabilities",
                         "inheritable", describe_set(capabilities->inheritable), "ambient",
                         describe_set(capabilities->ambient), "bounding",
                         describe_set(capabilities->bounding), "scheduling",
                         describe_scheduling(&plan->scheduling), "time_offsets",
                         plan->clocks.set ? describe_clocks(&plan->clocks) : json_null(),
                         "loopback", plan->loopback, "keyring", plan->keyring, "undumpable",
                         plan->undumpable);
}
