#include "isolation/apply.h"

#include "base/own.h"
#include "isolation/steps/steps.h"

static const struct isolation_step steps[] = {
        {STEP_TETHER, "tether", tether_apply, tether_describe},
        {STEP_SESSION, "session", session_apply, session_describe},
        {STEP_HOSTNAME, "hostname", hostname_apply, hostname_describe},
        {STEP_PROPAGATION, "propagation", propagation_apply, propagation_describe},
        {STEP_ROOT, "root", root_apply, root_describe},
        {STEP_ENTRIES, "entries", entries_apply, entries_describe},
        {STEP_SEAL, "seal", seal_apply, seal_describe},
        {STEP_PIVOT, "pivot", pivot_apply, pivot_describe},
        {STEP_LIMITS, "limits", limits_apply, limits_describe},
        {STEP_CAPABILITIES, "capabilities", capabilities_apply, capabilities_describe},
        {STEP_NO_NEW_PRIVS, "no-new-privs", no_new_privs_apply, no_new_privs_describe},
        {STEP_LANDLOCK, "landlock", landlock_apply, landlock_describe},
        {STEP_SECCOMP, "seccomp", seccomp_apply, seccomp_describe},
};

/* Those of isolation_clone, which have no functions of their own here. */
static const char *const clone_names[] = {
        [STEP_NAMESPACES - STEP_NAMESPACES] = "namespaces",
        [STEP_ID_MAPS - STEP_NAMESPACES] = "id-maps",
        [STEP_SOURCES - STEP_NAMESPACES] = "sources",
        [STEP_IDENTITY - STEP_NAMESPACES] = "identity",
        [STEP_EXEC - STEP_NAMESPACES] = "exec",
};

int isolation_apply(struct isolation *isolation, enum isolation_step_id *ret_step,
                    struct error *error)
{
        isolation->root = -1;
        isolation->worker_ruleset = -1;
        for (size_t i = 0; i < ARRAY_SIZE(steps); i++) {
                int r = steps[i].apply(isolation, error);

                if (r < 0) {
                        *ret_step = steps[i].id;
                        return r;
                }
                if (isolation->passed)
                        isolation->passed(isolation->context, steps[i].id);
        }
        return 0;
}

void isolation_describe(const struct plan *plan, const struct isolation_report *report)
{
        clone_describe(plan, report);
        for (size_t i = 0; i < ARRAY_SIZE(steps); i++) {
                report_step(report, steps[i].name);
                steps[i].describe(plan, report);
        }
}

int isolation_confine_worker(const struct plan_filter *difference, int worker_ruleset,
                             uint32_t worker_flags, enum isolation_step_id *ret_step,
                             struct error *error)
{
        int r;

        *ret_step = STEP_LANDLOCK;
        if (worker_ruleset >= 0) {
                r = landlock_enter(worker_ruleset, worker_flags, error);
                if (r < 0)
                        return r;
        }
        *ret_step = STEP_SECCOMP;
        return seccomp_install(difference, error);
}

void isolation_describe_worker(const struct plan *plan, const struct isolation_report *report)
{
        report_step(report, "landlock");
        landlock_describe_enter(&plan->worker_domain, report);
        report_step(report, "seccomp");
        if (plan->worker_filter.length > 0)
                report_call(report, "seccomp", "SECCOMP_SET_MODE_FILTER, 0, %zu instructions (%s)",
                            plan->worker_filter.length, plan->worker_filter.name);
}

const char *isolation_step_name(unsigned id)
{
        if (id >= STEP_NAMESPACES && id - STEP_NAMESPACES < ARRAY_SIZE(clone_names))
                return clone_names[id - STEP_NAMESPACES];
        for (size_t i = 0; i < ARRAY_SIZE(steps); i++)
                if (steps[i].id == id)
                        return steps[i].name;
        return NULL;
}
