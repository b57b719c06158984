/* The application's name as the hostname, where it has a UTS namespace of its own. */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "isolation/steps/steps.h"

int hostname_apply(struct isolation *isolation, struct error *error)
{
        const char *name = isolation->plan->hostname;

        if (name && sethostname(name, strlen(name)) < 0)
                return error_set(error, errno, "sethostname to %s", name);
        return 0;
}

void hostname_describe(const struct plan *plan, const struct isolation_report *report)
{
        if (plan->hostname)
                report_call(report, "sethostname", "\"%s\"", plan->hostname);
}
