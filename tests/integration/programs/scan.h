/* Looking for something in one's own memory. */
#pragma once

#include <stdint.h>

struct scan {
        unsigned found;   /* how often */
        uint64_t scanned; /* bytes */
};

/* How often `first` followed at once by `second` is in our memory. The caller never holds the two side by
 * side, nor does anything here, apart from what has been read, which is not looked at. 0, or -1 and errno. */
int scan_memory(const char *first, const char *second, struct scan *ret);
