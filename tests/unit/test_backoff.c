/* The back-off's promise, as the documents give it: 100 ms, doubling, 30 s at most, forgotten after a minute. */
#include <criterion/criterion.h>

#include "runtime/supervisor/backoff.h"

#define MS UINT64_C(1000)
#define S  UINT64_C(1000000)

Test(backoff, early_deaths_wait_twice_as_long_each_time)
{
        const uint64_t expected_ms[] = {100,  200,   400,   800,   1600, 3200,
                                        6400, 12800, 25600, 30000, 30000};
        struct backoff backoff = {.failures = 0};

        for (size_t i = 0; i < sizeof(expected_ms) / sizeof(expected_ms[0]); i++)
                cr_expect_eq(backoff_after(&backoff, 10 * MS, false), expected_ms[i] * MS,
                             "death %zu", i);
}

Test(backoff, a_life_of_a_second_is_replaced_at_once_but_not_forgiven)
{
        struct backoff backoff = {.failures = 0};

        cr_expect_eq(backoff_after(&backoff, 999 * MS, false), 100 * MS);
        cr_expect_eq(backoff_after(&backoff, 1 * S, false), 0);
        cr_expect_eq(backoff_after(&backoff, 59 * S, false), 0);
        cr_expect_eq(backoff_after(&backoff, 1 * MS, false), 200 * MS);
}

Test(backoff, a_healthy_minute_clears_the_record)
{
        struct backoff backoff = {.failures = 9};

        cr_expect_eq(backoff_after(&backoff, 60 * S, false), 0);
        cr_expect_eq(backoff_after(&backoff, 1 * MS, false), 100 * MS);
}

Test(backoff, blame_counts_whatever_the_age)
{
        struct backoff backoff = {.failures = 0};

        cr_expect_eq(backoff_after(&backoff, 30 * S, true), 100 * MS);
        cr_expect_eq(backoff_after(&backoff, 30 * S, true), 200 * MS);
        cr_expect_eq(backoff_after(&backoff, 3600 * S, true), 100 * MS,
                     "after an hour it starts anew");
}

Test(backoff, many_failures_do_not_overflow)
{
        struct backoff backoff = {.failures = 4000000000u};

        cr_expect_eq(backoff_after(&backoff, 0, true), 30 * S);
}
