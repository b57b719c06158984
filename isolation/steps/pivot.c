/* The new root becomes the root, and the old one, stacked below it by pivot_root's "." and ".", is let go.
 * A chroot would leave the old root within reach of any descriptor; this leaves nothing to reach. */
#include <errno.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/fd.h"
#include "isolation/steps/steps.h"

int pivot_apply(struct isolation *isolation, struct error *error)
{
        if (!isolation->plan->root)
                return 0;
        if (fchdir(isolation->root) < 0)
                return error_set(error, errno, "fchdir to the new root");
        if (syscall(SYS_pivot_root, ".", ".") < 0) {
                error_set(error, errno, "pivot_root");
                return error_remedy(error, "the root of this mount namespace cannot be left: on an "
                                           "initramfs, switch_root to a tmpfs first");
        }
        if (umount2(".", MNT_DETACH) < 0)
                return error_set(error, errno, "umount of the old root");
        if (chdir("/") < 0)
                return error_set(error, errno, "chdir to /");
        fd_close(isolation->root);
        isolation->root = -1;
        return 0;
}

void pivot_describe(const struct plan *plan, const struct isolation_report *report)
{
        if (!plan->root)
                return;
        report_call(report, "pivot_root", "\".\", \".\"");
        report_call(report, "umount2", "\".\", MNT_DETACH");
}
