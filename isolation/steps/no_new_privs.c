/* No exec gains anything from here on: no set-uid, no file capabilities. */
#include <errno.h>
#include <sys/prctl.h>

#include "isolation/steps/steps.h"

int no_new_privs_apply(struct isolation *isolation, struct error *error)
{
        (void)isolation;
        if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
                return error_set(error, errno, "prctl(PR_SET_NO_NEW_PRIVS)");
        return 0;
}

void no_new_privs_describe(const struct plan *plan, const struct isolation_report *report)
{
        (void)plan;
        report_call(report, "prctl", "PR_SET_NO_NEW_PRIVS, 1");
}
