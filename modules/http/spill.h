/* Where bytes go that are too many to be held in memory: a body that a client sends, an answer that it does not take.
 *
 * Where /tmp is on a disk they go to a file without a name there, since memory is what a worker has least of. In a
 * root of clade's own /tmp is a tmpfs, which is memory as well, but small and shared by all workers; then a memfd
 * is better, which only the worker's memory limit bounds. The seccomp profile "strict" refuses that one, and /tmp
 * is used after all. */
#pragma once

#include <stddef.h>
#include <stdint.h>

/* A descriptor of an empty file that nobody else has, close-on-exec; or a negative errno. */
int spill_open(void);

/* All of it, at that offset. 0 or a negative errno; a limit on file sizes is -EFBIG and no signal. */
int spill_write(int fd, const void *data, size_t size, uint64_t offset);
