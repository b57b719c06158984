#include "isolation/refusal.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/own.h"
#include "isolation/report.h"

/* The number in a file of /proc/sys, or -1 where there is no such file. */
static long read_sysctl(const char *path)
{
        cleanup_fd int fd = open(path, O_RDONLY | O_CLOEXEC);
        char text[32];
        ssize_t n;

        if (fd < 0)
                return -1;
        n = read(fd, text, sizeof(text) - 1);
        if (n <= 0)
                return -1;
        text[n] = '\0';
        return strtol(text, NULL, 10);
}

static void explain_eperm(struct error *error, uint64_t namespaces)
{
        if (!(namespaces & CLONE_NEWUSER)) {
                error_remedy(error,
                             "without a user namespace the others need CAP_SYS_ADMIN: switch "
                             "isolation.namespaces.credential on, or run as root");
                return;
        }
        if (read_sysctl("/proc/sys/kernel/unprivileged_userns_clone") == 0) {
                error_remedy(error, "this kernel keeps user namespaces from ordinary users: sysctl "
                                    "kernel.unprivileged_userns_clone=1, or run as root");
                return;
        }
        if (read_sysctl("/proc/sys/kernel/apparmor_restrict_unprivileged_userns") == 1) {
                error_remedy(error,
                             "AppArmor keeps user namespaces from programs without a profile: "
                             "give clade a profile with userns, or sysctl "
                             "kernel.apparmor_restrict_unprivileged_userns=0");
                return;
        }
        error_remedy(error,
                     "a seccomp filter or a chroot around clade forbids it (containers do by "
                     "default): allow clone3 and unshare with namespace flags in the "
                     "container's profile");
}

int refusal_explain(struct error *error, int code, uint64_t namespaces)
{
        char words[256];

        error_set(error, code, "clone3 into new namespaces (%s)",
                  report_namespaces(namespaces, words, sizeof(words)));
        switch (code) {
        case EPERM:
                explain_eperm(error, namespaces);
                break;
        case ENOSPC:
        case EUSERS:
                error_remedy(error,
                             "a limit on namespaces is reached or zero: look at "
                             "/proc/sys/user/max_*_namespaces (user namespaces: %ld)",
                             read_sysctl("/proc/sys/user/max_user_namespaces"));
                break;
        case EAGAIN:
                error_remedy(error, "too many processes: raise the limit on processes (ulimit -u), "
                                    "pids.max of the cgroup, or kernel.pid_max");
                break;
        case EINVAL:
                error_remedy(error, "this kernel lacks one of these kinds of namespaces");
                break;
        case ENOSYS:
                error_remedy(error, "clone3 is refused: the kernel is older than 5.3, or a "
                                    "container's seccomp profile hides it");
                break;
        default:
                break;
        }
        return -code;
}
