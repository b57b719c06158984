/* The date that answers carry, against the C library's. */
#include <criterion/criterion.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "modules/http/date.h"

static void expect(time_t second)
{
        char expected[64];
        struct date date = {.length = 0};
        struct tm utc;

        gmtime_r(&second, &utc);
        strftime(expected, sizeof(expected), "Date: %a, %d %b %Y %H:%M:%S GMT\r\n", &utc);
        date_print(&date, second);
        cr_assert_str_eq(date.text, expected);
        cr_assert_eq(date.length, strlen(expected));
}

Test(http_date, every_day_of_many_years)
{
        /* 1970 to 2400, at a time of day that wanders: each leap year's rule is among them. */
        for (time_t day = 0; day < 157000; day++)
                expect(day * 86400 + day * 7919 % 86400);
}

Test(http_date, the_edges)
{
        expect(0);
        expect(784111777); /* RFC 9110's own: Sun, 06 Nov 1994 08:49:37 GMT */
        expect(951782400); /* 2000-02-29 */
        expect(4107542399);
        expect(4107542400); /* 2100-03-01: 2100 has no leap day */
        expect(253402300799);
}

Test(http_date, printed_once_a_second)
{
        struct date date = {.length = 0};
        const struct date *now = date_now(&date);

        cr_assert_eq(now, &date);
        cr_assert(strncmp(date.text, "Date: ", 6) == 0);
        cr_assert_leq(labs((long)(date.second - time(NULL))), 1);
}
