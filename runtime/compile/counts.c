/* An application's share of what is counted for clade's user as well (isolation/counts.h). */
#include <fcntl.h>
#include <inttypes.h>
#include <sched.h>
#include <stdio.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/own.h"
#include "runtime/compile/compilation.h"

#define SHARE 4 /* a quarter: others can do with the rest, and no server needs that many */

/* A limit of the kernel's, or 0 where it cannot be known. */
static uint64_t share(const char *path)
{
        cleanup_fd int fd = open(path, O_RDONLY | O_CLOEXEC);
        char text[24] = "";
        uint64_t most = 0;

        if (fd < 0 || read(fd, text, sizeof(text) - 1) <= 0 || sscanf(text, "%" SCNu64, &most) != 1)
                return 0;
        return most > SHARE ? most / SHARE : 1;
}

void compile_counts(struct compilation *compilation)
{
        struct plan_counts *counts = &compilation->plan->counts;
        struct statvfs sysctls;

        if (!(compilation->plan->namespaces & CLONE_NEWUSER))
                return;
        counts->inotify_instances = share("/proc/sys/user/max_inotify_instances");
        counts->inotify_watches = share("/proc/sys/user/max_inotify_watches");
        counts->set = counts->inotify_instances > 0 && counts->inotify_watches > 0 &&
                      statvfs("/proc/sys/user", &sysctls) == 0 && !(sysctls.f_flag & ST_RDONLY);
        if (!counts->set)
                compile_notice(compilation,
                               "/proc/sys is read-only here, so the application can use "
                               "up the inotify instances of clade's user");
}
