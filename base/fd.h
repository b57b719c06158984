/* Descriptors: close-on-exec from birth, moved to fixed numbers in two phases, never guessed. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/* Closes fd if it is one (>= 0) and keeps errno. */
void fd_close(int fd);

/* Switches close-on-exec or O_NONBLOCK. 0 or -errno. */
int fd_cloexec(int fd, bool on);
int fd_nonblock(int fd, bool on);

/* Moves fds[i] to the number first + i for each i, close-on-exec switched off, and closes every
 * other descriptor from `first` upwards. fds[i] of -1 leaves the number unused. What lies below
 * `first` and is not in the list stays as it is. The moving goes by way of numbers above all those
 * wanted, since dup2 onto oneself would leave close-on-exec as it was and dup2 onto another one's
 * source would lose that one. Meant for a child that is about to exec. 0 or -errno. */
int fd_arrange(const int *fds, size_t count, int first);
/* The same, but only the first `inherited` of them survive an exec. */
int fd_arrange_some(const int *fds, size_t count, int first, size_t inherited);

/* Closes every descriptor from `first` upwards. 0 or -errno. */
int fd_close_from(int first);

/* Writes or reads all of it, over short counts and EINTR. fd_read_full returns how many bytes came
 * before the end of the file; both return -errno on error. */
int fd_write_full(int fd, const void *data, size_t size);
ssize_t fd_read_full(int fd, void *data, size_t size);

/* A whole file of at most `limit` bytes, with a NUL added that ret_size does not count. The caller
 * frees it. -EFBIG when it is larger. */
int fd_read_file(int fd, size_t limit, char **ret_data, size_t *ret_size);

/* F_ADD_SEALS; a memfd's pages may be held for a moment by the kernel itself, which is waited for, a second or two
 * at most. 0 or -errno. */
int fd_seal(int fd, int seals);

/* A memfd that holds `size` bytes of data and that nobody can change any more: no write, no growing,
 * no shrinking, no further seals. Close-on-exec, read position 0. The descriptor or -errno. */
int fd_sealed(const char *name, const void *data, size_t size);
