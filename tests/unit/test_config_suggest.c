/* Which words are near. */
#include <criterion/criterion.h>
#include <string.h>

#include "base/own.h"
#include "runtime/config/suggest.h"

Test(suggest, distance_counts_edits)
{
        static const struct {
                const char *a, *b;
                unsigned distance;
        } rows[] = {
                {"", "", 0},
                {"abc", "abc", 0},
                {"ABC", "abc", 0},
                {"", "abc", 3},
                {"abc", "", 3},
                {"abc", "abd", 1},
                {"abc", "abcd", 1},
                {"abc", "ac", 1},
                {"abc", "acb", 1},
                {"abcd", "badc", 2},
                {"ca", "abc", 3}, /* a swapped pair is not taken apart again: 3, not 2 */
                {"kitten", "sitting", 3},
                {"procceses", "processes", 2},
        };

        for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
                cr_expect_eq(suggest_distance(rows[i].a, rows[i].b), rows[i].distance,
                             "%s to %s: %u", rows[i].a, rows[i].b,
                             suggest_distance(rows[i].a, rows[i].b));
                cr_expect_eq(suggest_distance(rows[i].b, rows[i].a), rows[i].distance,
                             "%s to %s: %u", rows[i].b, rows[i].a,
                             suggest_distance(rows[i].b, rows[i].a));
        }
}

Test(suggest, the_longest_words_fit)
{
        char a[SUGGEST_WORD_MAX + 1], b[SUGGEST_WORD_MAX + 1];

        memset(a, 'a', SUGGEST_WORD_MAX);
        memset(b, 'b', SUGGEST_WORD_MAX);
        a[SUGGEST_WORD_MAX] = b[SUGGEST_WORD_MAX] = '\0';
        cr_expect_eq(suggest_distance(a, b), SUGGEST_WORD_MAX);
}

static const char *nearest(const char *word)
{
        static const char *const words[] = {
                "type", "processes", "environment", "working_directory", "stdout",         "stderr",
                "user", "group",     "mount",       "isolation",         "state_directory"};
        struct suggestion near = {.word = word};

        for (size_t i = 0; i < ARRAY_SIZE(words); i++)
                suggest_offer(&near, words[i]);
        return near.best ? near.best : "nothing";
}

Test(suggest, the_nearest_word)
{
        static const struct {
                const char *word, *near;
        } rows[] = {
                {"procceses", "processes"},
                {"process", "processes"},
                {"Environment", "environment"},
                {"enviroment", "environment"},
                {"env", "environment"},
                {"statedir", "state_directory"},
                {"working-directory", "working_directory"},
                {"mnt", "mount"},
                {"sdtout", "stdout"},
                {"stdoutt", "stdout"},
                {"uesr", "user"},
                {"usr", "user"},
                {"grp", "group"},
                {"tpye", "type"},
                {"cwd", "nothing"},
                {"xyzzy", "nothing"},
                {"a", "nothing"},
                {"", "nothing"},
                {"limits", "nothing"},
        };

        for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
                cr_expect_str_eq(nearest(rows[i].word), rows[i].near, "%s: %s, not %s",
                                 rows[i].word, nearest(rows[i].word), rows[i].near);
}

Test(suggest, a_misspelling_beats_an_abbreviation_and_the_first_of_equals_stays)
{
        struct suggestion near = {.word = "stdot"};

        suggest_offer(&near, "started_on_time");
        suggest_offer(&near, "stdout");
        cr_expect_str_eq(near.best, "stdout");
        near = (struct suggestion){.word = "bat"};
        suggest_offer(&near, "cat");
        suggest_offer(&near, "hat");
        cr_expect_str_eq(near.best, "cat");
}

Test(suggest, overlong_words_are_near_to_nothing)
{
        char word[SUGGEST_WORD_MAX + 2];
        struct suggestion near = {.word = word};

        memset(word, 'x', sizeof(word) - 1);
        word[sizeof(word) - 1] = '\0';
        suggest_offer(&near, word);
        cr_expect_null(near.best);
        near.word = "x";
        suggest_offer(&near, word);
        cr_expect_null(near.best);
}
