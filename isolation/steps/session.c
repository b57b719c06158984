/* A session of its own: no controlling terminal, and the terminal's Ctrl-C is the supervisor's. */
#include <errno.h>
#include <unistd.h>

#include "isolation/steps/steps.h"

int session_apply(struct isolation *isolation, struct error *error)
{
        (void)isolation;
        if (setsid() < 0)
                return error_set(error, errno, "setsid");
        return 0;
}

void session_describe(const struct plan *plan, const struct isolation_report *report)
{
        (void)plan;
        report_call(report, "setsid", "%s", "");
}
