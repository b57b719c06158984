/* Memory that is given back all at once.
 *
 * A plan consists of many small strings and arrays with one owner and one end. They are carved out of
 * chunks here; nothing is freed singly. What arena_finish gives back is overwritten first: an
 * application's environment is among it. */
#pragma once

#include <stddef.h>

struct arena_chunk;

struct arena {
        struct arena_chunk *chunks;
};

/* Each returns NULL when memory is gone. arena_alloc's memory is zeroed and aligned for anything. */
void *arena_alloc(struct arena *arena, size_t size);
char *arena_strdup(struct arena *arena, const char *text);
char *arena_printf(struct arena *arena, const char *format, ...)
        __attribute__((format(printf, 2, 3)));

/* A copy of a list of strings that ends with NULL; NULL is copied as an empty list. */
char **arena_strings(struct arena *arena, char *const *strings);

/* Room for one more element behind `count` of `size` bytes: `array` itself while there is room, otherwise
 * a larger copy. `room` starts at 0 together with a NULL array. */
void *arena_grow(struct arena *arena, void *array, size_t count, size_t *room, size_t size);

/* Takes a zeroed struct too. */
void arena_finish(struct arena *arena);
