/* The new root: a small tmpfs, mounted over "/" itself. That place always exists and hides nothing from
 * this process, whose root is still the mount below; it is reached by the descriptor alone until the pivot.
 * What a tenant prepared on disk is never the root: it appears below, entry by entry. */
#include <errno.h>
#include <fcntl.h>
#include <sys/mount.h>
#include <unistd.h>

#include "base/own.h"
#include "isolation/steps/mount.h"
#include "isolation/steps/steps.h"

/* What the application may write it cannot execute. */
static uint64_t root_attributes(const struct plan *plan)
{
        return MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | (plan->root_writable ? MOUNT_ATTR_NOEXEC : 0);
}

int root_apply(struct isolation *isolation, struct error *error)
{
        const struct plan *plan = isolation->plan;
        cleanup_fd int tree = -1;

        if (!plan->root)
                return 0;
        tree = mount_tmpfs(plan->root_size, plan->root_inodes, 0755, root_attributes(plan), error);
        if (tree < 0)
                return error_prefix(error, "the new root");
        if (move_mount(tree, "", AT_FDCWD, "/", MOVE_MOUNT_F_EMPTY_PATH) < 0)
                return error_set(error, errno, "move_mount of the new root over /");
        isolation->root = TAKE_FD(tree);
        return 0;
}

void root_describe(const struct plan *plan, const struct isolation_report *report)
{
        if (!plan->root)
                return;
        mount_tmpfs_describe(plan->root_size, plan->root_inodes, 0755, root_attributes(plan),
                             report);
        report_call(report, "move_mount", "new root, \"/\"");
}
