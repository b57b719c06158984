#include "modules/http/date.h"

#include <string.h>

#define DAY 86400

/* The Gregorian calendar, counted from the first of March: then the leap day is a year's last. Not gmtime_r, which
 * looks for the host's time zone first, and would do so anew in each worker. */
static void civil(long days, int *ret_year, int *ret_month, int *ret_day)
{
        long since = days + 719468; /* from 0000-03-01 to 1970-01-01 */
        long era = since / 146097, of_era = since % 146097;
        long year = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
        long of_year = of_era - (365 * year + year / 4 - year / 100);
        long month = (5 * of_year + 2) / 153; /* 0: March */

        *ret_day = (int)(of_year - (153 * month + 2) / 5 + 1);
        *ret_month = (int)(month < 10 ? month + 3 : month - 9);
        *ret_year = (int)(era * 400 + year + (*ret_month <= 2));
}

static char *two_digits(char *at, int number)
{
        *at++ = (char)('0' + number / 10 % 10);
        *at++ = (char)('0' + number % 10);
        return at;
}

void date_print(struct date *date, time_t second)
{
        static const char names_of_days[] = "ThuFriSatSunMonTueWed"; /* 1970-01-01 was a Thursday */
        static const char names_of_months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
        long days = second / DAY;
        int of_day = (int)(second % DAY), year, month, day;
        char *at = date->text;

        civil(days, &year, &month, &day);
        at = mempcpy(at, "Date: ", 6);
        at = mempcpy(at, names_of_days + days % 7 * 3, 3);
        at = mempcpy(at, ", ", 2);
        at = two_digits(at, day);
        *at++ = ' ';
        at = mempcpy(at, names_of_months + (month - 1) * 3, 3);
        *at++ = ' ';
        at = two_digits(at, year / 100);
        at = two_digits(at, year);
        *at++ = ' ';
        at = two_digits(at, of_day / 3600);
        *at++ = ':';
        at = two_digits(at, of_day / 60 % 60);
        *at++ = ':';
        at = two_digits(at, of_day % 60);
        at = mempcpy(at, " GMT\r\n", 7); /* the NUL as well */
        date->length = (size_t)(at - date->text) - 1;
        date->second = second;
}

const struct date *date_now(struct date *date)
{
        struct timespec now;

        clock_gettime(CLOCK_REALTIME_COARSE, &now);
        if (now.tv_sec != date->second || date->length == 0)
                date_print(date, now.tv_sec > 0 ? now.tv_sec : 0);
        return date;
}
