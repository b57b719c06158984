/* How many workers there should be, as a table. */
#include <criterion/criterion.h>

#include "runtime/supervisor/scaling.h"

struct row {
        const char *what;
        struct scaling_view view;
        int change;
};

static const struct row rows[] = {
        {"nothing is kept and nobody comes", {.max = 8, .free = 8}, 0},
        {"the first connection", {.max = 8, .free = 8, .waiting = 1}, 1},
        {"five at once", {.max = 8, .free = 8, .waiting = 5}, 5},
        {"more than there may be", {.max = 8, .free = 8, .waiting = 500}, 8},
        {"somebody is on the way for it",
         {.max = 8, .alive = 1, .coming = 1, .free = 7, .waiting = 1},
         0},
        {"not for all of them", {.max = 8, .alive = 1, .coming = 1, .free = 7, .waiting = 3}, 2},
        {"the spare ones at the start", {.max = 8, .spare = 3, .free = 8}, 3},
        {"they are there", {.max = 8, .spare = 3, .alive = 3, .idle = 3, .free = 5}, 0},
        {"one has got work", {.max = 8, .spare = 3, .alive = 3, .idle = 2, .free = 5}, 1},
        {"its substitute is on the way",
         {.max = 8, .spare = 3, .alive = 4, .idle = 2, .coming = 1, .free = 4},
         0},
        {"all are at work and nobody waits yet",
         {.max = 8, .alive = 2, .free = 6, .busy = true},
         1},
        {"all are at work, and all there may be",
         {.max = 2, .alive = 2, .busy = true, .waiting = 9},
         0},
        {"none is free: they rest", {.max = 8, .alive = 2, .busy = true, .waiting = 9}, 0},
        {"some are free", {.max = 8, .alive = 2, .free = 1, .busy = true, .waiting = 9}, 1},
        {"coroutines: at work, and could do more", {.max = 8, .alive = 1, .free = 7}, 0},
        {"idle, and not for long enough",
         {.max = 8, .spare = 1, .alive = 4, .idle = 4, .free = 4},
         0},
        {"idle for long",
         {.max = 8, .spare = 1, .alive = 4, .idle = 4, .overdue = 4, .free = 4},
         -3},
        {"some of them for long",
         {.max = 8, .spare = 1, .alive = 4, .idle = 4, .overdue = 2, .free = 4},
         -2},
        {"down to nothing", {.max = 8, .alive = 1, .idle = 1, .overdue = 1, .free = 7}, -1},
        {"the spare ones stay",
         {.max = 8, .spare = 2, .alive = 2, .idle = 2, .overdue = 2, .free = 6},
         0},
};

Test(scaling, every_row)
{
        for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
                cr_expect_eq(scaling_decide(&rows[i].view), rows[i].change, "%s: %d, not %d",
                             rows[i].what, scaling_decide(&rows[i].view), rows[i].change);
}

/* Whatever the figures: never beyond the bounds, and never both too many and too few. */
Test(scaling, within_bounds)
{
        for (uint32_t bits = 0; bits < 1u << 16; bits++) {
                struct scaling_view view = {
                        .max = 4,
                        .spare = bits & 3,
                        .idle = bits >> 2 & 3,
                        .coming = bits >> 4 & 3,
                        .overdue = bits >> 6 & 3,
                        .free = bits >> 8 & 7,
                        .waiting = bits >> 11 & 7,
                        .busy = bits >> 14 & 1,
                };
                int change;

                view.alive = view.idle + view.coming;
                if (view.alive > view.max || view.overdue > view.idle)
                        continue;
                change = scaling_decide(&view);
                cr_assert_leq((int)view.alive + change, (int)view.max);
                cr_assert_leq(change, (int)view.free);
                if (change < 0)
                        cr_assert_geq((int)view.idle + change, (int)view.spare);
        }
}
