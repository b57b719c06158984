/* A session of its own: no controlling terminal, and the terminal's Ctrl-C is the supervisor's. Likewise
 * with keys: keyrings know no namespaces, and a session's keyring goes over forks and execs, so whatever
 * the supervisor's login has in its own would come along. */
#include <errno.h>
#include <linux/keyctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "isolation/steps/steps.h"

static int join_keyring(struct error *error)
{
        if (syscall(SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, NULL) >= 0)
                return 0;
        error_set(error, errno, "keyctl(KEYCTL_JOIN_SESSION_KEYRING)");
        if (errno == EDQUOT)
                error_remedy(error, "this user id has as many keys as it may have: raise "
                                    "kernel.keys.maxkeys (sysctl)");
        return -error->code;
}

int session_apply(struct isolation *isolation, struct error *error)
{
        if (setsid() < 0)
                return error_set(error, errno, "setsid");
        return isolation->plan->keyring ? join_keyring(error) : 0;
}

void session_describe(const struct plan *plan, const struct isolation_report *report)
{
        report_call(report, "setsid", "%s", "");
        if (plan->keyring)
                report_call(report, "keyctl", "KEYCTL_JOIN_SESSION_KEYRING, NULL");
}
