/* The Date field, printed once a second. */
#pragma once

#include <stddef.h>
#include <time.h>

struct date {
        time_t second;
        char text[48]; /* "Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n" */
        size_t length;
};

/* Of any second since 1970, until the year 9999. */
void date_print(struct date *date, time_t second);
const struct date *date_now(struct date *date);
