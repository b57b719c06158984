#include "isolation/clocks.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/missing.h"
#include "base/own.h"

#define OFFSETS  "/proc/self/timens_offsets"
#define CHILDREN "/proc/self/ns/time_for_children"

uint64_t clocks_clone_flags(const struct plan *plan)
{
        return plan->clocks.set ? plan->namespaces & ~(uint64_t)CLONE_NEWTIME : plan->namespaces;
}

static int offsets_text(const struct plan_clocks *clocks, char *text, size_t size)
{
        return snprintf(text, size, "monotonic %" PRId64 " 0\nboottime %" PRId64 " 0\n",
                        (int64_t)clocks->monotonic, (int64_t)clocks->boottime);
}

/* Both in one write, as the kernel takes one only. */
static int write_offsets(const struct plan_clocks *clocks, struct error *error)
{
        cleanup_fd int fd = open(OFFSETS, O_WRONLY | O_CLOEXEC);
        char text[96];
        int length = offsets_text(clocks, text, sizeof(text));

        if (fd < 0)
                return error_set(error, errno, "open of " OFFSETS);
        if (write(fd, text, (size_t)length) < 0) {
                error_set(error, errno, "write to " OFFSETS);
                if (errno == ERANGE)
                        error_remedy(error, "a clock would be negative, or beyond what the kernel "
                                            "can count: isolation.time_offsets must not take more "
                                            "than the host has been up");
                return -error->code;
        }
        return 0;
}

int clocks_apply(const struct plan_clocks *clocks, struct error *error)
{
        cleanup_fd int children = -1;
        int r;

        if (!clocks->set)
                return 0;
        if (unshare(CLONE_NEWTIME) < 0)
                return error_set(error, errno, "unshare of a time namespace");
        r = write_offsets(clocks, error);
        if (r < 0)
                return r;
        children = open(CHILDREN, O_RDONLY | O_CLOEXEC);
        if (children < 0)
                return error_set(error, errno, "open of " CHILDREN);
        if (setns(children, CLONE_NEWTIME) < 0)
                return error_set(error, errno, "setns to the time namespace");
        return 0;
}

void clocks_describe(const struct plan_clocks *clocks, const struct isolation_report *report)
{
        if (!clocks->set)
                return;
        report_step(report, "namespaces");
        report_call(report, "unshare", "CLONE_NEWTIME");
        report_call(report, "write",
                    "timens_offsets, \"monotonic %" PRId64 " 0\\nboottime %" PRId64 " 0\\n\"",
                    (int64_t)clocks->monotonic, (int64_t)clocks->boottime);
        report_call(report, "setns", "time_for_children, CLONE_NEWTIME");
}
