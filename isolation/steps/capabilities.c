/* All five sets down to what the plan keeps, which by default is nothing, and the ways back locked: not even
 * a uid 0 of this user namespace gains anything by an exec. What is kept are capabilities over our own
 * namespaces only. Raw system calls, as each of these lines is what the kernel documents (capabilities(7))
 * and the prototype links nothing but libc. */
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

#define CAPABILITIES_MAX 64

static bool has(uint64_t set, unsigned long capability)
{
        return set >> capability & 1;
}

static int drop_bounding_set(uint64_t kept, struct error *error)
{
        /* The kernel knows its own last capability: the first it does not know is EINVAL. */
        for (unsigned long capability = 0; capability < CAPABILITIES_MAX; capability++) {
                if (has(kept, capability) || prctl(PR_CAPBSET_DROP, capability, 0, 0, 0) == 0)
                        continue;
                if (errno == EINVAL && capability > CAP_MAC_ADMIN)
                        return 0;
                return error_set(error, errno, "dropping capability %lu from the bounding set",
                                 capability);
        }
        return 0;
}

/* The clone raised all of them, to get them over its exec. */
static int set_ambient(uint64_t kept, struct error *error)
{
        if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) < 0)
                return error_set(error, errno, "prctl(PR_CAP_AMBIENT_CLEAR_ALL)");
        for (unsigned long capability = 0; capability < CAPABILITIES_MAX; capability++)
                if (has(kept, capability) &&
                    prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, capability, 0, 0) < 0)
                        return error_set(error, errno, "raising ambient capability %lu",
                                         capability);
        return 0;
}

/* Permitted and effective are what a program gets of the ambient set, so that an application has the same
 * whether it is exec'd or called. */
static int set_others(const struct plan_capabilities *kept, struct error *error)
{
        struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
        struct __user_cap_data_struct sets[2];

        for (unsigned i = 0; i < 2; i++) {
                sets[i].effective = sets[i].permitted = (uint32_t)(kept->ambient >> 32 * i);
                sets[i].inheritable = (uint32_t)(kept->inheritable >> 32 * i);
        }
        if (syscall(SYS_capset, &header, sets) < 0)
                return error_set(error, errno, "capset to 0x%llx",
                                 (unsigned long long)kept->ambient);
        return 0;
}

int capabilities_apply(struct isolation *isolation, struct error *error)
{
        const struct plan *plan = isolation->plan;
        const struct plan_capabilities *kept = &plan->capabilities;
        int r;

        /* Memory and environment of a process that cannot be dumped are root's in /proc. It lasts over
         * clones, not over an exec; and an application finds parts of its own /proc/self closed. So it is
         * for where no Landlock domain keeps workers apart. */
        if (plan->undumpable && prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0)
                return error_set(error, errno, "prctl(PR_SET_DUMPABLE)");
        if (!(plan->namespaces & CLONE_NEWUSER) && !plan->privileged)
                return 0; /* there are none to begin with, and none to lock with */
        r = drop_bounding_set(kept->bounding, error);
        if (r == 0)
                r = set_ambient(kept->ambient, error);
        if (r < 0)
                return r;
        if (prctl(PR_SET_SECUREBITS, LOCKED_BITS, 0, 0, 0) < 0)
                return error_set(error, errno, "prctl(PR_SET_SECUREBITS)");
        return set_others(kept, error);
}

void capabilities_describe(const struct plan *plan, const struct isolation_report *report)
{
        const struct plan_capabilities *kept = &plan->capabilities;

        if (plan->undumpable)
                report_call(report, "prctl", "PR_SET_DUMPABLE, 0");
        if (!(plan->namespaces & CLONE_NEWUSER) && !plan->privileged)
                return;
        if (kept->bounding)
                report_call(report, "prctl", "PR_CAPBSET_DROP, all but 0x%llx",
                            (unsigned long long)kept->bounding);
        else
                report_call(report, "prctl", "PR_CAPBSET_DROP, every capability");
        report_call(report, "prctl", "PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL");
        if (kept->ambient)
                report_call(report, "prctl", "PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, 0x%llx",
                            (unsigned long long)kept->ambient);
        report_call(report, "prctl", "PR_SET_SECUREBITS, all locked");
        if (kept->ambient || kept->inheritable)
                report_call(report, "capset",
                            "effective 0x%llx, permitted 0x%llx, inheritable 0x%llx",
                            (unsigned long long)kept->ambient, (unsigned long long)kept->ambient,
                            (unsigned long long)kept->inheritable);
        else
                report_call(report, "capset", "effective 0, permitted 0, inheritable 0");
}
