/* The finished programs, handed to the kernel as they are. */
#include <errno.h>
#include <linux/seccomp.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "isolation/steps/steps.h"

int seccomp_install(const struct plan_filter *filter, struct error *error)
{
        struct sock_fprog program = {
                .len = (unsigned short)filter->length,
                .filter = filter->program,
        };

        if (filter->length == 0)
                return 0;
        if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program) < 0)
                return error_set(error, errno, "seccomp filter \"%s\" of %zu instructions",
                                 filter->name ? filter->name : "?", filter->length);
        return 0;
}

int seccomp_apply(struct isolation *isolation, struct error *error)
{
        const struct plan *plan = isolation->plan;

        for (size_t i = 0; i < plan->prototype_filter_count; i++) {
                int r = seccomp_install(&plan->prototype_filters[i], error);

                if (r < 0)
                        return r;
        }
        return 0;
}

void seccomp_describe(const struct plan *plan, const struct isolation_report *report)
{
        for (size_t i = 0; i < plan->prototype_filter_count; i++)
                report_call(report, "seccomp", "SECCOMP_SET_MODE_FILTER, 0, %zu instructions (%s)",
                            plan->prototype_filters[i].length, plan->prototype_filters[i].name);
}
