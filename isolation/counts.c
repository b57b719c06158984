#include "isolation/counts.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

#include "base/own.h"

#define INSTANCES "/proc/sys/user/max_inotify_instances"
#define WATCHES   "/proc/sys/user/max_inotify_watches"

static int limit(const char *path, uint64_t most, struct error *error)
{
        cleanup_fd int fd = open(path, O_WRONLY | O_CLOEXEC);
        char text[24];
        int length = snprintf(text, sizeof(text), "%" PRIu64, most);

        if (fd < 0)
                return error_set(error, errno, "open of %s", path);
        if (write(fd, text, (size_t)length) < 0)
                return error_set(error, errno, "write of %s to %s", text, path);
        return 0;
}

int counts_apply(const struct plan_counts *counts, struct error *error)
{
        int r;

        if (!counts->set)
                return 0;
        r = limit(INSTANCES, counts->inotify_instances, error);
        return r < 0 ? r : limit(WATCHES, counts->inotify_watches, error);
}

void counts_describe(const struct plan_counts *counts, const struct isolation_report *report)
{
        if (!counts->set)
                return;
        report_step(report, "namespaces");
        report_call(report, "write", "max_inotify_instances, \"%" PRIu64 "\"",
                    counts->inotify_instances);
        report_call(report, "write", "max_inotify_watches, \"%" PRIu64 "\"",
                    counts->inotify_watches);
}
