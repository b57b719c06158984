/* The finished programs, handed to the kernel as they are; and what the kernel can do of their work itself. */
#include <errno.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/missing.h"
#include "isolation/steps/steps.h"

int seccomp_install(const struct plan_filter *filter, struct error *error)
{
        struct sock_fprog program = {
                .len = (unsigned short)filter->length,
                .filter = filter->program,
        };

        if (filter->length == 0)
                return 0;
        if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, filter->flags, &program) < 0)
                return error_set(error, errno, "seccomp filter \"%s\" of %zu instructions",
                                 filter->name ? filter->name : "?", filter->length);
        return 0;
}

/* Where it is asked for and the kernel cannot do it, the filters do. It outlives fork and exec. */
static int deny_write_execute(struct error *error)
{
        if (prctl(PR_SET_MDWE, PR_MDWE_REFUSE_EXEC_GAIN, 0, 0, 0) == 0)
                return 0;
        error_set(error, errno, "prctl(PR_SET_MDWE)");
        return error_remedy(error,
                            "the kernel could do it when the plan was made: start clade again");
}

int seccomp_apply(struct isolation *isolation, struct error *error)
{
        const struct plan *plan = isolation->plan;

        if (plan->deny_write_execute && deny_write_execute(error) < 0)
                return -error->code;
        for (size_t i = 0; i < plan->prototype_filter_count; i++) {
                int r = seccomp_install(&plan->prototype_filters[i], error);

                if (r < 0)
                        return r;
        }
        return 0;
}

void seccomp_describe(const struct plan *plan, const struct isolation_report *report)
{
        if (plan->deny_write_execute)
                report_call(report, "prctl", "PR_SET_MDWE, PR_MDWE_REFUSE_EXEC_GAIN");
        for (size_t i = 0; i < plan->prototype_filter_count; i++)
                report_call(report, "seccomp", "SECCOMP_SET_MODE_FILTER, 0, %zu instructions (%s)",
                            plan->prototype_filters[i].length, plan->prototype_filters[i].name);
}
