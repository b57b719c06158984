/* What workers share of the heap, and go on sharing.
 *
 * After an import the heap is full of holes: blocks that were in use for a moment. Python fills holes first, so each
 * worker would write its short-lived objects all over the pages that it shares, and have its own copy of most of
 * them after a few requests. So the holes are filled here, once, with blocks that nobody ever frees: what workers
 * allocate is then in pages of their own, and close together. It costs the prototype what the holes were. */
#include <malloc.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "modules/python/python.h"

#ifndef MADV_COLLAPSE /* Linux 6.1 */
#define MADV_COLLAPSE 25
#endif

#define SMALL_STEP 16  /* bytes: what Python rounds small requests up to */
#define SMALL_MAX  512 /* ... and the largest that come from its pools; others go to malloc */
#define CHUNK_MAX  (64 << 10) /* what is larger has pages of its own */
#define CHUNK_MIN  24
#define HEAP_MAX   ((ptrdiff_t)1 << 30)
#define HUGE       (2ul << 20)
#define PAGE       4096
#define ATTEMPTS                                                                                   \
        200000 /* for each size: some megabytes, in case that Python's allocator is not as we know it */

/* Takes blocks of a size until they come in order, one next to the other for more than a page: from a pool that
 * nobody has used. Those of that last run are given back. */
static void fill_size(size_t size)
{
        char *run[PAGE / SMALL_STEP + 2], *before = NULL;
        size_t length = 0, wanted = PAGE / size + 2;

        for (int i = 0; i < ATTEMPTS && length < wanted; i++) {
                char *block = PyObject_Malloc(size);

                if (!block)
                        break;
                if (before && block != before + size)
                        length = 0; /* what came before stays */
                run[length++] = block;
                before = block;
        }
        while (length > 0)
                PyObject_Free(run[--length]);
}

#ifdef __GLIBC__
/* The same below it: chunks of malloc's in order of their size, until what comes is from its top. */
static void fill_chunks(void)
{
        char *top = (char *)sbrk(0) - mallinfo2().keepcost;

        for (size_t size = CHUNK_MAX; size >= CHUNK_MIN; size -= size > 8192 ? 4096 : SMALL_STEP)
                for (int i = 0; i < ATTEMPTS; i++) {
                        char *chunk = malloc(size);

                        if (!chunk || chunk >= top || chunk < top - HEAP_MAX) {
                                free(chunk);
                                break;
                        }
                }
}
#else
static void fill_chunks(void)
{
}
#endif

/* Cloning copies page tables, and a huge page has none: measured with Flask loaded, four of them make a clone
 * cheaper by a sixth, and workers pay nothing for it later: what they write to is split and copied by 4 KiB. Whole
 * parts of the heap are collapsed now that nothing moves in them any more; a kernel that cannot (before 6.1, or
 * without memory to spare) leaves them as they are. Address space that is merely reserved, by the terabyte in a
 * build with AddressSanitizer, is passed over. Without /proc nobody knows where the heap is. */
static void collapse(void)
{
        FILE *maps = fopen("/proc/self/maps", "re");
        char line[512], rights[8];
        unsigned long inode;
        void *from, *to;

        while (maps && fgets(line, sizeof(line), maps)) {
                if (sscanf(line, "%p-%p %7s %*s %*s %lu", &from, &to, rights, &inode) != 4 ||
                    inode != 0 || strcmp(rights, "rw-p") != 0 || strstr(line, "[stack") ||
                    (char *)to - (char *)from > HEAP_MAX)
                        continue;
                for (char *part = (char *)from + (-(uintptr_t)from & (HUGE - 1));
                     part + HUGE <= (char *)to; part += HUGE)
                        madvise(part, HUGE, MADV_COLLAPSE);
        }
        if (maps)
                fclose(maps);
}

void heap_settle(void)
{
        fill_chunks();
        for (size_t size = SMALL_STEP; size <= SMALL_MAX; size += SMALL_STEP)
                fill_size(size);
        collapse();
}
