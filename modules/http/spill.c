#include "modules/http/spill.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdbool.h>
#include <sys/mman.h>
#include <sys/vfs.h>
#include <unistd.h>

#define DIRECTORY "/tmp"

static bool is_on_disk(void)
{
        struct statfs buffer;

        return statfs(DIRECTORY, &buffer) == 0 && buffer.f_type != TMPFS_MAGIC &&
               buffer.f_type != RAMFS_MAGIC;
}

static int open_file(void)
{
        int fd = open(DIRECTORY, O_TMPFILE | O_RDWR | O_CLOEXEC | O_EXCL, 0600);

        return fd < 0 ? -errno : fd;
}

int spill_open(void)
{
        bool disk = is_on_disk();
        int fd = disk ? open_file() : -ENOENT;

        if (fd >= 0)
                return fd;
        fd = memfd_create("spilled", MFD_CLOEXEC);
        if (fd >= 0)
                return fd;
        return disk ? -errno : open_file();
}

int spill_write(int fd, const void *data, size_t size, uint64_t offset)
{
        const char *at = data;

        while (size > 0) {
                ssize_t n = pwrite(fd, at, size, (off_t)offset);

                if (n < 0 && errno == EINTR)
                        continue;
                if (n <= 0)
                        return n < 0 ? -errno : -ENOSPC;
                at += n;
                offset += (uint64_t)n;
                size -= (size_t)n;
        }
        return 0;
}
