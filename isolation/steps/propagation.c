/* No mount of ours is seen outside, none from outside appears here. A mount namespace below a new user
 * namespace starts with slaves of the host's mounts; without one, with peers of them. */
#include <errno.h>
#include <sched.h>
#include <sys/mount.h>

#include "isolation/steps/steps.h"

int propagation_apply(struct isolation *isolation, struct error *error)
{
        if (!(isolation->plan->namespaces & CLONE_NEWNS))
                return 0;
        if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
                return error_set(error, errno, "making / private");
        return 0;
}

void propagation_describe(const struct plan *plan, const struct isolation_report *report)
{
        if (plan->namespaces & CLONE_NEWNS)
                report_call(report, "mount", "\"/\", MS_REC|MS_PRIVATE");
}
