/* The nearest known word to a misspelt one.
 *
 *     struct suggestion near = {.word = key};
 *     suggest_offer(&near, "processes");
 *     suggest_offer(&near, "environment");
 *     if (near.best) ... did you mean near.best?
 *
 * Near is: few letters added, lost, changed or swapped with their neighbour (a third of the word at
 * most), capitals aside; or an abbreviation of three letters or more ("env", "mnt").
 */
#pragma once

struct suggestion {
        const char *word;
        const char *best; /* the nearest so far, one of those offered; NULL: none is near */
        unsigned distance;
};

#define SUGGEST_WORD_MAX 64 /* bytes; longer words are near to nothing */

void suggest_offer(struct suggestion *suggestion, const char *candidate);

/* How many letters must be added, removed, changed or swapped with their neighbour to make one of the
 * other, capitals aside (optimal string alignment). Both at most SUGGEST_WORD_MAX bytes. */
unsigned suggest_distance(const char *a, const char *b);
