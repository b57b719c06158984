#include "runtime/supervisor/backoff.h"

uint64_t backoff_after(struct backoff *backoff, uint64_t lived_us, bool blame)
{
        uint64_t delay = BACKOFF_FIRST_US;

        if (lived_us >= BACKOFF_HEALTHY_US)
                backoff->failures = 0;
        if (!blame && lived_us >= BACKOFF_EARLY_US)
                return 0;
        for (unsigned i = 0; i < backoff->failures && delay < BACKOFF_LONGEST_US; i++)
                delay *= 2;
        backoff->failures++;
        return delay < BACKOFF_LONGEST_US ? delay : BACKOFF_LONGEST_US;
}
