#include "runtime/compile/arena.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CHUNK_SIZE 16384

struct arena_chunk {
        struct arena_chunk *next;
        size_t size, used;
        _Alignas(max_align_t) char memory[];
};

void *arena_alloc(struct arena *arena, size_t size)
{
        const size_t unit = _Alignof(max_align_t);
        struct arena_chunk *chunk = arena->chunks;
        size_t rounded;
        void *at;

        if (size > SIZE_MAX / 2)
                return NULL;
        rounded = (size + unit - 1) / unit * unit;
        if (!chunk || rounded > chunk->size - chunk->used) {
                size_t room = rounded > CHUNK_SIZE ? rounded : CHUNK_SIZE;

                chunk = calloc(1, sizeof(*chunk) + room);
                if (!chunk)
                        return NULL;
                chunk->size = room;
                chunk->next = arena->chunks;
                arena->chunks = chunk;
        }
        at = chunk->memory + chunk->used;
        chunk->used += rounded;
        return at;
}

char *arena_strdup(struct arena *arena, const char *text)
{
        size_t size = strlen(text) + 1;
        char *copy = arena_alloc(arena, size);

        return copy ? memcpy(copy, text, size) : NULL;
}

char *arena_printf(struct arena *arena, const char *format, ...)
{
        va_list args, again;
        char *text = NULL;
        int n;

        va_start(args, format);
        va_copy(again, args);
        n = vsnprintf(NULL, 0, format, args);
        if (n >= 0)
                text = arena_alloc(arena, (size_t)n + 1);
        if (text)
                vsnprintf(text, (size_t)n + 1, format, again);
        va_end(again);
        va_end(args);
        return text;
}

char **arena_strings(struct arena *arena, char *const *strings)
{
        size_t count = 0;
        char **copy;

        while (strings && strings[count])
                count++;
        copy = arena_alloc(arena, (count + 1) * sizeof(*copy));
        for (size_t i = 0; copy && i < count; i++) {
                copy[i] = arena_strdup(arena, strings[i]);
                if (!copy[i])
                        return NULL;
        }
        return copy;
}

void *arena_grow(struct arena *arena, void *array, size_t count, size_t *room, size_t size)
{
        void *larger;

        if (count < *room)
                return array;
        larger = arena_alloc(arena, (*room * 2 + 8) * size);
        if (!larger)
                return NULL;
        if (count > 0)
                memcpy(larger, array, count * size);
        *room = *room * 2 + 8;
        return larger;
}

void arena_finish(struct arena *arena)
{
        struct arena_chunk *chunk = arena->chunks;

        while (chunk) {
                struct arena_chunk *next = chunk->next;

                explicit_bzero(chunk->memory, chunk->used);
                free(chunk);
                chunk = next;
        }
        arena->chunks = NULL;
}
