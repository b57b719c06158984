/* When to try again. What dies early again and again waits 100 ms, then twice as long each time, up to 30 s;
 * a life of a minute makes it forgotten. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#define BACKOFF_FIRST_US   UINT64_C(100000)
#define BACKOFF_LONGEST_US UINT64_C(30000000)
#define BACKOFF_EARLY_US   UINT64_C(1000000)  /* a life shorter than this is an early death */
#define BACKOFF_HEALTHY_US UINT64_C(60000000) /* one longer than this clears the record */

struct backoff {
        unsigned failures; /* early deaths since the record was last cleared */
};

/* How long to wait, in µs, after a life of `lived_us`. `blame`: count it as an early death however long it
 * was (a broken protocol, a start that failed). */
uint64_t backoff_after(struct backoff *backoff, uint64_t lived_us, bool blame);
