#include "modules/http/date.h"

#include <stdio.h>

const struct date *date_now(struct date *date)
{
        static const char days[] = "SunMonTueWedThuFriSat";
        static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
        struct timespec now;
        struct tm utc;

        clock_gettime(CLOCK_REALTIME_COARSE, &now);
        if (now.tv_sec == date->second && date->length > 0)
                return date;
        date->second = now.tv_sec;
        gmtime_r(&now.tv_sec, &utc);
        /* strftime would take the names from the locale. */
        date->length = (size_t)snprintf(
                date->text, sizeof(date->text), "Date: %.3s, %02d %.3s %04d %02d:%02d:%02d GMT\r\n",
                days + utc.tm_wday * 3, utc.tm_mday, months + utc.tm_mon * 3,
                (utc.tm_year + 1900) % 10000, utc.tm_hour, utc.tm_min, utc.tm_sec);
        return date;
}
