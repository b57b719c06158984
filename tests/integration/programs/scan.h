/* Looking for something in one's own memory without having it.
 *
 * Not even in pieces: what is left over in the slack of a buffer, or in a vector register that the dynamic
 * loader put on the stack, lies beside the next variable, and the pieces are whole again. So what is looked for
 * is told veiled, each byte inverted and as two hexadecimal digits, and is never unveiled. */
#pragma once

#include <stdint.h>

struct scan {
        unsigned found;   /* how often, apart from what has been read in order to look at it */
        uint64_t scanned; /* bytes */
        char places
                [4096]; /* for each, as many as fit: a line "ADDRESS BYTES MAPPING" with the bytes around
                            * it in hexadecimal digits, and the mapping as in /proc/self/maps */
};

/* 0, or -1 and errno. */
int scan_memory(const char *veiled, struct scan *ret);
