/* Ownership that shows in the declaration.
 *
 *     cleanup_fd int fd = open(...);          closed when it leaves scope
 *     cleanup_free char *text = strdup(...);  freed when it leaves scope
 *     return TAKE_FD(fd);                     ... unless it is handed on
 *
 * A variable marked so owns what it holds from its first line to its last, so no error path needs a
 * close or a free of its own. Things with more than one resource have a pair of functions instead:
 * x_init / x_finish for what the caller holds, x_create / x_destroy for what it owns by pointer.
 * Every destroy takes NULL.
 */
#pragma once

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/fd.h"

static inline void cleanup_fd_(int *fd)
{
        fd_close(*fd);
}

static inline void cleanup_free_(void *slot)
{
        free(*(void **)slot);
}

static inline void cleanup_dir_(DIR **dir)
{
        if (*dir)
                closedir(*dir);
}

static inline void cleanup_file_(FILE **file)
{
        if (*file)
                fclose(*file);
}

#define cleanup(function) __attribute__((cleanup(function)))
#define cleanup_fd        cleanup(cleanup_fd_)
#define cleanup_free      cleanup(cleanup_free_)
#define cleanup_dir       cleanup(cleanup_dir_)
#define cleanup_file      cleanup(cleanup_file_)

/* The value of an owning variable, which owns nothing any more. */
#define TAKE_FD(fd)                                                                                \
        ({                                                                                         \
                int take_fd_ = (fd);                                                               \
                (fd) = -1;                                                                         \
                take_fd_;                                                                          \
        })

#define TAKE_PTR(pointer)                                                                          \
        ({                                                                                         \
                __typeof__(pointer) take_ptr_ = (pointer);                                         \
                (pointer) = NULL;                                                                  \
                take_ptr_;                                                                         \
        })

#define ARRAY_SIZE(array) (sizeof(array) / sizeof((array)[0]))
