#include <criterion/criterion.h>

#include "base/message.h"

#define SECOND 1000000u

Test(base_budget, a_burst_and_no_more)
{
        struct budget budget;

        budget_init(&budget, 3, 1, 500);
        cr_expect(budget_spend(&budget, 2, 500));
        cr_expect(budget_spend(&budget, 1, 500));
        cr_expect_not(budget_spend(&budget, 1, 500));
        cr_expect(budget_spend(&budget, 0, 500));
}

Test(base_budget, a_refusal_takes_nothing)
{
        struct budget budget;

        budget_init(&budget, 3, 1, 0);
        cr_expect_not(budget_spend(&budget, 4, 0));
        cr_expect(budget_spend(&budget, 3, 0));
}

Test(base_budget, refills_to_the_microsecond)
{
        struct budget budget;

        budget_init(&budget, 1, 4, 0);
        cr_expect(budget_spend(&budget, 1, 0));
        cr_expect_eq(budget_wait(&budget, 1, 0), SECOND / 4);
        cr_expect_not(budget_spend(&budget, 1, SECOND / 4 - 1));
        cr_expect_eq(budget_wait(&budget, 1, SECOND / 4 - 1), 1);
        cr_expect(budget_spend(&budget, 1, SECOND / 4));
}

/* Asking often must not lose the fractions. */
Test(base_budget, small_steps_add_up)
{
        struct budget budget;
        unsigned spent = 0;

        budget_init(&budget, 2, 3, 0);
        for (uint64_t now = 0; now < 11 * SECOND; now += 7)
                spent += budget_spend(&budget, 1, now);
        cr_expect_eq(spent, 2 + 32, "%u", spent);
}

Test(base_budget, never_more_than_its_capacity)
{
        struct budget budget;

        budget_init(&budget, 5, UINT32_MAX, 1);
        cr_expect(budget_spend(&budget, 5, 1));
        cr_expect(budget_spend(&budget, 5, UINT64_MAX), "a pause without end fills it");
        cr_expect_not(budget_spend(&budget, 1, UINT64_MAX), "but only once");
}

Test(base_budget, the_largest_figures)
{
        struct budget budget;

        budget_init(&budget, UINT32_MAX, UINT32_MAX, 0);
        cr_expect(budget_spend(&budget, UINT32_MAX, 0));
        cr_expect_eq(budget_wait(&budget, UINT32_MAX, 0), SECOND);
        cr_expect_not(budget_spend(&budget, UINT32_MAX, SECOND - 1));
        cr_expect(budget_spend(&budget, UINT32_MAX, SECOND));
        budget_init(&budget, UINT32_MAX, 1, 0);
        cr_expect(budget_spend(&budget, UINT32_MAX, 0));
        cr_expect(budget_spend(&budget, UINT32_MAX, UINT64_MAX));
}

Test(base_budget, a_clock_that_stands_or_goes_back_brings_nothing)
{
        struct budget budget;

        budget_init(&budget, 1, 1, 10 * SECOND);
        cr_expect(budget_spend(&budget, 1, 10 * SECOND));
        cr_expect_not(budget_spend(&budget, 1, 0));
        cr_expect_not(budget_spend(&budget, 1, 10 * SECOND), "the ten seconds back are not new");
        cr_expect(budget_spend(&budget, 1, 11 * SECOND));
}

Test(base_budget, what_will_never_be_there)
{
        struct budget budget;

        budget_init(&budget, 2, 1, 0);
        cr_expect_eq(budget_wait(&budget, 2, 0), 0);
        cr_expect_eq(budget_wait(&budget, 3, 0), UINT64_MAX);
        budget_init(&budget, 1, 0, 0);
        cr_expect(budget_spend(&budget, 1, 0));
        cr_expect_not(budget_spend(&budget, 1, UINT64_MAX));
        cr_expect_eq(budget_wait(&budget, 1, 0), UINT64_MAX);
}

Test(base_budget, what_is_granted_is_there_at_once_and_never_more_than_the_capacity)
{
        struct budget budget;

        budget_init(&budget, 10, 1, 0);
        cr_assert(budget_spend(&budget, 10, 0));
        cr_expect_not(budget_spend(&budget, 1, 0));
        budget_grant(&budget, 4);
        cr_expect(budget_spend(&budget, 4, 0));
        cr_expect_not(budget_spend(&budget, 1, 0));
        budget_grant(&budget, UINT32_MAX);
        cr_expect(budget_spend(&budget, 10, 0));
        cr_expect_not(budget_spend(&budget, 1, 0));
}
