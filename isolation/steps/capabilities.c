/* All five sets emptied, and the ways back locked: not even a uid 0 of this user namespace gains anything
 * by an exec. Raw system calls, as each of these lines is what the kernel documents (capabilities(7)) and
 * the prototype links nothing but libc. */
#include <errno.h>
#include <linux/capability.h>
#include <linux/securebits.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "isolation/steps/steps.h"

#define LOCKED_BITS                                                                                \
        (SECBIT_NOROOT | SECBIT_NOROOT_LOCKED | SECBIT_NO_SETUID_FIXUP |                           \
         SECBIT_NO_SETUID_FIXUP_LOCKED | SECBIT_KEEP_CAPS_LOCKED | SECBIT_NO_CAP_AMBIENT_RAISE |   \
         SECBIT_NO_CAP_AMBIENT_RAISE_LOCKED)

static int drop_bounding_set(struct error *error)
{
        /* The kernel knows its own last capability: the first it does not know is EINVAL. */
        for (unsigned long capability = 0; capability < 64; capability++) {
                if (prctl(PR_CAPBSET_DROP, capability, 0, 0, 0) == 0)
                        continue;
                if (errno == EINVAL && capability > CAP_MAC_ADMIN)
                        return 0;
                return error_set(error, errno, "dropping capability %lu from the bounding set",
                                 capability);
        }
        return 0;
}

int capabilities_apply(struct isolation *isolation, struct error *error)
{
        struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
        struct __user_cap_data_struct none[2] = {{0}};
        int r;

        if (!(isolation->plan->namespaces & CLONE_NEWUSER) && !isolation->plan->privileged)
                return 0; /* there are none to begin with, and none to lock with */
        r = drop_bounding_set(error);
        if (r < 0)
                return r;
        if (prctl(PR_SET_SECUREBITS, LOCKED_BITS, 0, 0, 0) < 0)
                return error_set(error, errno, "prctl(PR_SET_SECUREBITS)");
        if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) < 0)
                return error_set(error, errno, "prctl(PR_CAP_AMBIENT_CLEAR_ALL)");
        if (syscall(SYS_capset, &header, none) < 0)
                return error_set(error, errno, "capset to nothing");
        return 0;
}

void capabilities_describe(const struct plan *plan, const struct isolation_report *report)
{
        if (!(plan->namespaces & CLONE_NEWUSER) && !plan->privileged)
                return;
        report_call(report, "prctl", "PR_CAPBSET_DROP, every capability");
        report_call(report, "prctl", "PR_SET_SECUREBITS, all locked");
        report_call(report, "prctl", "PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL");
        report_call(report, "capset", "effective 0, permitted 0, inheritable 0");
}
