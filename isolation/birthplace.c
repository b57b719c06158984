#include "isolation/birthplace.h"

#include <errno.h>
#include <sched.h>

#include "isolation/cgroup.h"
#include "isolation/report.h"

uint64_t birthplace_clone_flags(const struct plan *plan, uint64_t flags)
{
        return plan->cgroup.present ? flags & ~(uint64_t)CLONE_NEWCGROUP : flags;
}

void birthplace_arguments(const struct plan *plan, int cgroup, struct clone_args *args)
{
        if (!plan->cgroup.present)
                return;
        args->flags |= CLONE_INTO_CGROUP;
        args->cgroup = (uint64_t)cgroup;
}

bool birthplace_explain(const struct plan *plan, int code, struct error *error)
{
        if (!plan->cgroup.present || (code != EACCES && code != EBUSY && code != ENODEV))
                return false;
        error_set(error, code, "clone3 into the application's control group");
        if (code == EACCES)
                error_remedy(error,
                             "cgroup.procs of the control group above both clade's and the "
                             "application's must be writable for clade: start clade inside of the "
                             "one that is delegated to it");
        return true;
}

int birthplace_move(const struct plan *plan, int cgroup, pid_t pid, struct error *error)
{
        return plan->cgroup.present ? cgroup_move(cgroup, pid, error) : 0;
}

static bool late_namespace(const struct plan *plan)
{
        return plan->cgroup.present && (plan->namespaces & CLONE_NEWCGROUP);
}

int birthplace_apply(const struct plan *plan, struct error *error)
{
        if (late_namespace(plan) && unshare(CLONE_NEWCGROUP) < 0)
                return error_set(error, errno, "unshare of the cgroup namespace");
        return 0;
}

void birthplace_describe(const struct plan *plan, const struct isolation_report *report)
{
        if (late_namespace(plan))
                report_call(report, "unshare", "CLONE_NEWCGROUP");
}
