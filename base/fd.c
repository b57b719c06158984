#include "base/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "base/own.h"

void fd_close(int fd)
{
        int saved = errno;

        if (fd >= 0)
                close(fd);
        errno = saved;
}

int fd_cloexec(int fd, bool on)
{
        return fcntl(fd, F_SETFD, on ? FD_CLOEXEC : 0) < 0 ? -errno : 0;
}

int fd_nonblock(int fd, bool on)
{
        int before = fcntl(fd, F_GETFL), flags;

        if (before < 0)
                return -errno;
        flags = on ? before | O_NONBLOCK : before & ~O_NONBLOCK;
        if (flags == before)
                return 0;
        return fcntl(fd, F_SETFL, flags) < 0 ? -errno : 0;
}

/* In a fresh clone each page touched is a fault: what is usual fits on the stack, which has been touched. */
#define FEW 64

int fd_arrange_some(const int *fds, size_t count, int first, size_t inherited)
{
        cleanup_free int *many = count > FEW ? calloc(count, sizeof(*many)) : NULL;
        int few[FEW], *high = count > FEW ? many : few;
        int above = first + (int)count;

        if (!high)
                return -ENOMEM;
        for (size_t i = 0; i < count; i++) {
                high[i] = fds[i] < 0 ? -1 : fcntl(fds[i], F_DUPFD_CLOEXEC, above);
                if (fds[i] >= 0 && high[i] < 0)
                        return -errno;
        }
        for (size_t i = 0; i < count; i++) {
                int number = first + (int)i;

                if (high[i] < 0)
                        close(number);
                else if (dup3(high[i], number, i < inherited ? 0 : O_CLOEXEC) < 0)
                        return -errno;
        }
        return fd_close_from(above);
}

int fd_arrange(const int *fds, size_t count, int first)
{
        return fd_arrange_some(fds, count, first, count);
}

int fd_close_from(int first)
{
        return close_range((unsigned)first, ~0U, 0) < 0 ? -errno : 0;
}

int fd_write_full(int fd, const void *data, size_t size)
{
        const char *at = data;

        while (size > 0) {
                ssize_t n = write(fd, at, size);

                if (n < 0 && errno == EINTR)
                        continue;
                if (n < 0)
                        return -errno;
                at += n;
                size -= (size_t)n;
        }
        return 0;
}

ssize_t fd_read_full(int fd, void *data, size_t size)
{
        char *at = data;
        size_t got = 0;

        while (got < size) {
                ssize_t n = read(fd, at + got, size - got);

                if (n < 0 && errno == EINTR)
                        continue;
                if (n < 0)
                        return -errno;
                if (n == 0)
                        break;
                got += (size_t)n;
        }
        return (ssize_t)got;
}

int fd_read_file(int fd, size_t limit, char **ret_data, size_t *ret_size)
{
        cleanup_free char *data = NULL;
        size_t room = 0, size = 0;

        for (;;) {
                ssize_t n;

                if (size + 1 >= room) {
                        size_t more = room ? room * 2 : 4096;
                        char *grown = realloc(data, more);

                        if (!grown)
                                return -ENOMEM;
                        data = grown;
                        room = more;
                }
                n = fd_read_full(fd, data + size, room - size - 1);
                if (n < 0)
                        return (int)n;
                size += (size_t)n;
                if (size > limit)
                        return -EFBIG;
                if (size + 1 < room)
                        break;
        }
        data[size] = '\0';
        *ret_data = TAKE_PTR(data);
        *ret_size = size;
        return 0;
}

/* For writing it is sealed only when nobody else holds a page of it, be it the kernel for a moment: it waits 150 ms
 * for that by itself, which a busy machine may need more of. */
int fd_seal(int fd, int seals)
{
        const struct timespec moment = {.tv_nsec = 10000000};

        for (int i = 0; i < 10; i++) {
                if (fcntl(fd, F_ADD_SEALS, seals) == 0)
                        return 0;
                if (errno != EBUSY)
                        break;
                nanosleep(&moment, NULL);
        }
        return -errno;
}

int fd_sealed(const char *name, const void *data, size_t size)
{
        cleanup_fd int fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
        int r;

        if (fd < 0)
                return -errno;
        r = fd_write_full(fd, data, size);
        if (r < 0)
                return r;
        r = fd_seal(fd, F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL);
        if (r < 0)
                return r;
        if (lseek(fd, 0, SEEK_SET) < 0)
                return -errno;
        return TAKE_FD(fd);
}
