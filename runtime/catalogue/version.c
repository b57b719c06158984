/* Versions as people write them: numbers separated by dots, compared part by part. */
#include <string.h>

#include "runtime/catalogue/catalogue.h"

/* Takes the next part off *text. Its digits without leading zeros; length 0 for "0" and for nothing. */
static size_t next_part(const char **text, const char **ret_digits)
{
        const char *digits = *text;
        size_t length = strcspn(digits, ".");

        *text = digits + length + (digits[length] == '.');
        while (length > 0 && *digits == '0')
                digits++, length--;
        *ret_digits = digits;
        return length;
}

/* Numbers of any length: the longer one is the larger one. */
static int part_compare(const char **a, const char **b)
{
        const char *x, *y;
        size_t x_length = next_part(a, &x), y_length = next_part(b, &y);

        if (x_length != y_length)
                return x_length < y_length ? -1 : 1;
        return memcmp(x, y, x_length);
}

int version_compare(const char *a, const char *b)
{
        while (*a && *b) {
                int order = part_compare(&a, &b);

                if (order)
                        return order;
        }
        /* 3.11 stands before 3.11.0: what says more is the later one. */
        return (*a != 0) - (*b != 0);
}

bool version_matches(const char *wanted, const char *version)
{
        while (*wanted) {
                if (!*version || part_compare(&wanted, &version))
                        return false;
        }
        return true;
}

bool version_valid(const char *text)
{
        for (;;) {
                size_t digits = strspn(text, "0123456789");

                if (!digits)
                        return false;
                text += digits;
                if (!*text)
                        return true;
                if (*text++ != '.')
                        return false;
        }
}
