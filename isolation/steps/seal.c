/* The root's own tmpfs is finished: read-only from here on, unless it was asked to stay writable. Mounts below
 * it have their own say. */
#include <errno.h>
#include <fcntl.h>
#include <sys/mount.h>

#include "isolation/steps/steps.h"

int seal_apply(struct isolation *isolation, struct error *error)
{
        struct mount_attr attributes = {.attr_set = MOUNT_ATTR_RDONLY};

        if (!isolation->plan->root || isolation->plan->root_writable)
                return 0;
        if (mount_setattr(isolation->root, "", AT_EMPTY_PATH, &attributes, sizeof(attributes)) < 0)
                return error_set(error, errno, "making the new root read-only");
        return 0;
}

void seal_describe(const struct plan *plan, const struct isolation_report *report)
{
        if (plan->root && !plan->root_writable)
                report_call(report, "mount_setattr", "new root, MOUNT_ATTR_RDONLY");
}
