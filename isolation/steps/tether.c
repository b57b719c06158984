/* We die with our supervisor. As pid 1 of its namespace the prototype then takes everything below with
 * it. The signal is asked for here, after the exec: changes of credentials and set-id execs forget it. The
 * parent might have died before that, and getppid() is 0 in a new pid namespace; so what is looked at is
 * the pipe whose other end only the supervisor has. */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>

#include "isolation/steps/steps.h"

int tether_apply(struct isolation *isolation, struct error *error)
{
        struct pollfd tether = {.fd = isolation->tether};

        if (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) < 0)
                return error_set(error, errno, "prctl(PR_SET_PDEATHSIG)");
        if (isolation->tether < 0)
                return 0;
        if (poll(&tether, 1, 0) < 0)
                return error_set(error, errno, "poll of the supervisor's pipe");
        if (tether.revents & (POLLHUP | POLLERR | POLLNVAL))
                return error_set(error, EPIPE, "the supervisor is gone");
        return 0;
}

void tether_describe(const struct plan *plan, const struct isolation_report *report)
{
        (void)plan;
        report_call(report, "prctl", "PR_SET_PDEATHSIG, SIGKILL");
}
