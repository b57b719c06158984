#include "runtime/supervisor/image.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/own.h"

#ifndef MFD_EXEC
#define MFD_EXEC 0x0010U /* 6.3; with sysctl vm.memfd_noexec it has to be said */
#endif

static int memfd_executable(const char *name)
{
        int fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_EXEC);

        if (fd < 0 && errno == EINVAL)
                fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
        return fd;
}

int image_copy(int fd, const char *name, struct error *error)
{
        cleanup_fd int image = memfd_executable(name);
        off_t offset = 0;
        struct stat st;
        int r;

        if (image < 0)
                return error_set(error, errno, "memfd for %s", name);
        if (fstat(fd, &st) < 0)
                return error_set(error, errno, "fstat of %s", name);
        while (offset < st.st_size) {
                ssize_t n = sendfile(image, fd, &offset, (size_t)(st.st_size - offset));

                if (n < 0)
                        return error_set(error, errno, "copy of %s", name);
                if (n == 0)
                        return error_set(error, EIO, "%s became shorter while it was copied", name);
        }
        if (fchmod(image, 0555) < 0)
                return error_set(error, errno, "chmod of the copy of %s", name);
        r = fd_seal(image, F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL);
        if (r < 0)
                return error_set(error, -r, "sealing the copy of %s", name);
        return TAKE_FD(image);
}

int image_open(const char *path, const char *name, struct error *error)
{
        cleanup_fd int fd = open(path, O_RDONLY | O_CLOEXEC);

        if (fd < 0) {
                error_set(error, errno, "open of %s", path);
                return error_remedy(error, "clade is not completely installed: this binary of its "
                                           "own belongs there");
        }
        return image_copy(fd, name, error);
}
