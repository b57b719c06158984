/* The body of a request: in memory as long as it is small, then in a spill (spill.h). */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define BODY_MEMORY_MAX (64 * 1024) /* bytes */

struct body {
        char *memory;
        size_t capacity; /* of memory */
        uint64_t size;
        uint64_t position; /* of the next read */
        int spill;         /* -1: all of it is in memory */
};

void body_init(struct body *body);
void body_finish(struct body *body);

/* Empties it. Memory of ordinary size is kept for the next one. */
void body_clear(struct body *body);

/* 0 or a negative errno: there is no room for it anywhere. */
int body_append(struct body *body, const void *data, size_t size);

/* The next bytes, 0 at the end, or a negative errno. */
ssize_t body_read(struct body *body, void *buffer, size_t size);
