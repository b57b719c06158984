#include "runtime/config/suggest.h"

#include <stdbool.h>
#include <string.h>

static char lower(char c)
{
        return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

static unsigned least(unsigned a, unsigned b)
{
        return a < b ? a : b;
}

/* Three rows of the table are alive at a time: the one being filled, the one before it, and, for
 * swaps, the one before that. */
unsigned suggest_distance(const char *a, const char *b)
{
        unsigned rows[3][SUGGEST_WORD_MAX + 1];
        size_t a_length = strlen(a), b_length = strlen(b);

        for (size_t j = 0; j <= b_length; j++)
                rows[0][j] = (unsigned)j;
        for (size_t i = 1; i <= a_length; i++) {
                unsigned *row = rows[i % 3], *above = rows[(i + 2) % 3];
                const unsigned *above_that = rows[(i + 1) % 3];

                row[0] = (unsigned)i;
                for (size_t j = 1; j <= b_length; j++) {
                        char x = lower(a[i - 1]), y = lower(b[j - 1]);

                        row[j] = least(above[j], row[j - 1]) + 1;
                        row[j] = least(row[j], above[j - 1] + (x != y));
                        if (i > 1 && j > 1 && x == lower(b[j - 2]) && lower(a[i - 2]) == y)
                                row[j] = least(row[j], above_that[j - 2] + 1);
                }
        }
        return rows[a_length % 3][b_length];
}

/* Whether all letters of `word`, the first at the beginning, come in this order in `whole`: "env" or
 * "envmt" in "environment", "statedir" in "state_directory". */
static bool abbreviates(const char *word, const char *whole)
{
        if (strlen(word) < 3 || lower(*word) != lower(*whole))
                return false;
        for (; *word && *whole; whole++)
                if (lower(*word) == lower(*whole))
                        word++;
        return !*word;
}

void suggest_offer(struct suggestion *suggestion, const char *candidate)
{
        size_t length = strlen(suggestion->word), other = strlen(candidate);
        unsigned limit = length < 3 ? 1 : (unsigned)length / 3, distance;

        if (length == 0 || length > SUGGEST_WORD_MAX || other > SUGGEST_WORD_MAX)
                return;
        distance = suggest_distance(suggestion->word, candidate);
        if (distance > limit || distance >= length) {
                if (!abbreviates(suggestion->word, candidate))
                        return;
                /* farther away than any misspelling */
                distance += SUGGEST_WORD_MAX;
        }
        if (suggestion->best && suggestion->distance <= distance)
                return;
        suggestion->best = candidate;
        suggestion->distance = distance;
}
