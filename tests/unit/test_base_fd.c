#include <criterion/criterion.h>

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/own.h"

/* Descriptors that can be told apart by their content: one byte each, at most ten. */
static int marked(char mark)
{
        int fd = memfd_create("marked", MFD_CLOEXEC);

        cr_assert_geq(fd, 0);
        cr_assert_eq(pwrite(fd, &mark, 1, 0), 1);
        return fd;
}

static int at_number(int fd, int number)
{
        cr_assert_eq(dup3(fd, number, O_CLOEXEC), number);
        close(fd);
        return number;
}

/* '-' where there is none. */
static char mark_of(int number)
{
        char mark = '?';

        return pread(number, &mark, 1, 0) == 1 ? mark : '-';
}

/* Runs fd_arrange in a child (it closes what Criterion needs), which compares the outcome with `expected`,
 * one mark for each number from `first` on, and reports by its exit status. */
static int arranged(const int *fds, size_t count, int first, const char *expected)
{
        int status;
        pid_t pid = fork();

        if (pid == 0) {
                size_t numbers = strlen(expected);

                if (fd_arrange(fds, count, first) != 0)
                        _exit(100);
                for (size_t i = 0; i < numbers; i++) {
                        int number = first + (int)i;

                        if (mark_of(number) != expected[i])
                                _exit(1 + (int)i);
                        if (expected[i] != '-' && fcntl(number, F_GETFD) != 0)
                                _exit(50 + (int)i);
                }
                _exit(0);
        }
        cr_assert_eq(waitpid(pid, &status, 0), pid);
        return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

#define FIRST 20

Test(base_fd, arrange_in_order)
{
        const int fds[] = {marked('a'), marked('b'), marked('c')};

        cr_expect_eq(arranged(fds, 3, FIRST, "abc---"), 0);
}

Test(base_fd, arrange_what_is_there_already)
{
        const int fds[] = {at_number(marked('a'), FIRST), at_number(marked('b'), FIRST + 1)};

        cr_expect_eq(arranged(fds, 2, FIRST, "ab--"), 0, "close-on-exec must be off as well");
}

Test(base_fd, arrange_a_ring)
{
        const int fds[] = {
                at_number(marked('a'), FIRST + 1),
                at_number(marked('b'), FIRST + 2),
                at_number(marked('c'), FIRST),
        };

        cr_expect_eq(arranged(fds, 3, FIRST, "abc---"), 0);
}

Test(base_fd, arrange_one_twice)
{
        const int a = at_number(marked('a'), FIRST + 1);
        const int fds[] = {a, a, a};

        cr_expect_eq(arranged(fds, 3, FIRST, "aaa---"), 0);
}

Test(base_fd, arrange_with_gaps)
{
        const int fds[] = {
                -1, at_number(marked('b'), FIRST), -1, at_number(marked('d'), FIRST + 2), -1,
        };

        cr_expect_eq(arranged(fds, 5, FIRST, "-b-d----"), 0);
}

Test(base_fd, arrange_from_far_above)
{
        const int fds[] = {at_number(marked('a'), FIRST + 40), at_number(marked('b'), FIRST + 3)};

        cr_expect_eq(arranged(fds, 2, FIRST, "ab------------------------------------------"), 0);
}

Test(base_fd, arrange_nothing_closes_all)
{
        at_number(marked('x'), FIRST + 5);
        cr_expect_eq(arranged(NULL, 0, FIRST, "--------"), 0);
}

Test(base_fd, arrange_leaves_what_lies_below)
{
        at_number(marked('x'), FIRST - 1);
        cr_expect_eq(arranged((const int[]){marked('a')}, 1, FIRST, "a--"), 0);
        cr_expect_eq(mark_of(FIRST - 1), 'x');
}

Test(base_fd, arrange_says_when_it_cannot)
{
        const int fds[] = {marked('a'), 999};

        cr_expect_eq(fd_arrange(fds, 2, FIRST), -EBADF);
        cr_expect_eq(mark_of(fds[0]), 'a', "nothing was moved or closed");
}

Test(base_fd, flags)
{
        int fd = marked('a');

        cr_expect_eq(fd_cloexec(fd, false), 0);
        cr_expect_eq(fcntl(fd, F_GETFD), 0);
        cr_expect_eq(fd_cloexec(fd, true), 0);
        cr_expect_eq(fcntl(fd, F_GETFD), FD_CLOEXEC);
        cr_expect_eq(fd_nonblock(fd, true), 0);
        cr_expect(fcntl(fd, F_GETFL) & O_NONBLOCK);
        cr_expect_eq(fd_nonblock(fd, false), 0);
        cr_expect_not(fcntl(fd, F_GETFL) & O_NONBLOCK);
        close(fd);
        cr_expect_eq(fd_cloexec(fd, true), -EBADF);
        cr_expect_eq(fd_nonblock(fd, true), -EBADF);
        errno = ENOTTY;
        fd_close(fd);
        fd_close(-1);
        cr_expect_eq(errno, ENOTTY, "closing keeps errno");
}

Test(base_fd, sealed_against_everything)
{
        int fd = fd_sealed("sealed", "content", 7);
        char path[64], buffer[16];

        cr_assert_geq(fd, 0);
        cr_expect_eq(fcntl(fd, F_GETFD), FD_CLOEXEC);
        cr_expect_eq(fd_read_full(fd, buffer, sizeof(buffer)), 7, "read from the start");
        cr_expect_eq(memcmp(buffer, "content", 7), 0);
        errno = 0;
        cr_expect_eq(pwrite(fd, "x", 1, 0), -1);
        cr_expect_eq(errno, EPERM);
        cr_expect_eq(ftruncate(fd, 3), -1);
        cr_expect_eq(ftruncate(fd, 300), -1);
        cr_expect_eq(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 7), -1);
        cr_expect_eq(mmap(NULL, 7, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0), MAP_FAILED);
        cr_expect_eq(fcntl(fd, F_ADD_SEALS, F_SEAL_FUTURE_WRITE), -1, "no further seals");
        snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
        cleanup_fd int again = open(path, O_RDWR | O_CLOEXEC);
        if (again >= 0)
                cr_expect_eq(pwrite(again, "x", 1, 0), -1, "nor by opening it anew");
        cr_expect_eq(pread(fd, buffer, 7, 0), 7);
        cr_expect_eq(memcmp(buffer, "content", 7), 0);
}

Test(base_fd, sealed_and_empty)
{
        cleanup_fd int fd = fd_sealed("empty", NULL, 0);
        struct stat st;

        cr_assert_geq(fd, 0);
        cr_assert_eq(fstat(fd, &st), 0);
        cr_expect_eq(st.st_size, 0);
        cr_expect_eq(ftruncate(fd, 1), -1);
}

/* Sizes around those at which the buffer grows. */
Test(base_fd, read_file_of_every_size)
{
        static const size_t sizes[] = {0, 1, 4094, 4095, 4096, 4097, 8190, 8191, 8192, 100000};

        for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
                cleanup_free char *content = malloc(sizes[i] + 1);
                cleanup_free char *data = NULL;
                char *unused = NULL;
                cleanup_fd int fd = -1;
                size_t size = 4711;

                cr_assert(content);
                memset(content, 'a' + (int)i, sizes[i]);
                fd = fd_sealed("file", content, sizes[i]);
                cr_assert_geq(fd, 0);
                cr_expect_eq(fd_read_file(fd, sizes[i], &data, &size), 0, "a limit that fits");
                cr_assert_eq(size, sizes[i]);
                cr_expect_eq(memcmp(data, content, size), 0);
                cr_expect_eq(data[size], '\0');
                if (sizes[i] == 0)
                        continue;
                cr_assert_eq(lseek(fd, 0, SEEK_SET), 0);
                cr_expect_eq(fd_read_file(fd, sizes[i] - 1, &unused, &size), -EFBIG);
                cr_expect_null(unused, "on failure results stay as they were");
        }
}

Test(base_fd, read_file_without_end)
{
        cleanup_fd int zero = open("/dev/zero", O_RDONLY | O_CLOEXEC);
        char *data = NULL;
        size_t size;

        cr_assert_geq(zero, 0);
        cr_expect_eq(fd_read_file(zero, 10000, &data, &size), -EFBIG);
        cr_expect_eq(fd_read_file(-1, 10000, &data, &size), -EBADF);
}

/* A pipe gives and takes in pieces. */
Test(base_fd, full_over_short_counts)
{
        static char data[300000];
        size_t got = 0;
        int fds[2], status;
        pid_t pid;

        for (size_t i = 0; i < sizeof(data); i++)
                data[i] = (char)(i * 7);
        cr_assert_eq(pipe2(fds, O_CLOEXEC), 0);
        pid = fork();
        if (pid == 0) {
                close(fds[0]);
                _exit(fd_write_full(fds[1], data, sizeof(data)) == 0 ? 0 : 1);
        }
        close(fds[1]);
        cleanup_free char *copy = malloc(sizeof(data) + 1);
        cr_assert(copy);
        got = (size_t)fd_read_full(fds[0], copy, sizeof(data) + 1);
        cr_expect_eq(got, sizeof(data), "short at the end of the file");
        cr_expect_eq(memcmp(copy, data, sizeof(data)), 0);
        cr_assert_eq(waitpid(pid, &status, 0), pid);
        cr_expect_eq(status, 0);
}
