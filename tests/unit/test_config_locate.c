/* Where a JSON pointer leads, counted by hand. */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "base/own.h"
#include "runtime/config/locate.h"

struct place {
        const char *pointer;
        bool key;
        unsigned line, column;
};

static void expect_places(const char *text, const struct place *places, size_t count)
{
        cleanup_free struct locate_query *queries = calloc(count, sizeof(*queries));

        for (size_t i = 0; i < count; i++)
                queries[i] =
                        (struct locate_query){.pointer = places[i].pointer, .key = places[i].key};
        cr_assert_eq(locate(text, strlen(text), queries, count), 0);
        for (size_t i = 0; i < count; i++) {
                cr_expect_eq(queries[i].line, places[i].line, "%s: line %u, not %u",
                             places[i].pointer, queries[i].line, places[i].line);
                cr_expect_eq(queries[i].column, places[i].column, "%s: column %u, not %u",
                             places[i].pointer, queries[i].column, places[i].column);
        }
}

#define EXPECT_PLACES(text, ...)                                                                   \
        do {                                                                                       \
                static const struct place places_[] = {__VA_ARGS__};                               \
                expect_places((text), places_, ARRAY_SIZE(places_));                               \
        } while (0)

Test(locate, keys_values_and_elements)
{
        EXPECT_PLACES("{ \"a\" :\n  [ 1, \"x\",\n    {\"b\":true} ], \"c\" : null }",
                      {"", false, 1, 1}, {"", true, 1, 1}, {"/a", true, 1, 3}, {"/a", false, 2, 3},
                      {"/a/0", false, 2, 5}, {"/a/0", true, 2, 5}, {"/a/1", false, 2, 8},
                      {"/a/2", false, 3, 5}, {"/a/2/b", true, 3, 6}, {"/a/2/b", false, 3, 10},
                      {"/c", true, 3, 19}, {"/c", false, 3, 25});
}

Test(locate, what_is_not_there_has_no_place)
{
        EXPECT_PLACES("{\"a\": [1], \"b\": {}, \"d\": []}", {"/c", false, 0, 0},
                      {"/a/1", false, 0, 0}, {"/a/00", false, 0, 0}, {"/b/", false, 0, 0},
                      {"/d/0", false, 0, 0}, {"a", false, 0, 0}, {"/", false, 0, 0});
}

Test(locate, the_same_place_asked_for_twice)
{
        EXPECT_PLACES("{\"a\": 1}", {"/a", false, 1, 7}, {"/a", true, 1, 2}, {"/a", false, 1, 7});
}

Test(locate, escapes_of_pointers_and_of_json_meet)
{
        EXPECT_PLACES("{\"a/b\": 1, \"m~n\": 2, \"\\u0061\\/\\u007e\": 3, \"\": 4, \"~1\": 5,"
                      "\"\\\"\\\\\\b\\f\\n\\r\\t\": 6}",
                      {"/a~1b", false, 1, 9}, {"/m~0n", false, 1, 19}, {"/a~1~0", false, 1, 40},
                      {"/", false, 1, 47}, {"/~01", false, 1, 56},
                      {"/\"\\\b\f\n\r\t", false, 1, 76});
}

Test(locate, columns_count_characters)
{
        EXPECT_PLACES("{\"ä\": 1,\t\"日本\": 2, \"\\ud83d\\ude00\": 3, \"😀x\": 4}",
                      {"/ä", false, 1, 7}, {"/日本", true, 1, 10}, {"/日本", false, 1, 16},
                      {"/😀", false, 1, 35}, {"/😀x", false, 1, 44});
}

Test(locate, strings_hide_what_looks_like_structure)
{
        EXPECT_PLACES("{\"a\": \"}]{[,:\\\"\\\\\", \"b\": [\"\\\\\", \"\\\"\"], \"c\": -1.5e+3}",
                      {"/b", false, 1, 26}, {"/b/1", false, 1, 33}, {"/c", false, 1, 45});
}

Test(locate, carriage_returns_are_characters_and_no_lines)
{
        EXPECT_PLACES("{\r\n\"a\":\r\n1}", {"/a", true, 2, 1}, {"/a", false, 3, 1});
}

Test(locate, empty_containers_and_neighbours)
{
        EXPECT_PLACES("[[], {}, [[ ]], {\"a\": []}]", {"/0", false, 1, 2}, {"/1", false, 1, 6},
                      {"/2/0", false, 1, 11}, {"/3/a", false, 1, 23}, {"/2/0/0", false, 0, 0});
}

Test(locate, nothing_is_found_behind_what_is_no_json)
{
        EXPECT_PLACES("{\"a\": 1 \"b\": 2}", {"/a", false, 1, 7}, {"/b", false, 0, 0});
        EXPECT_PLACES("", {"", false, 0, 0});
        EXPECT_PLACES("[\"\\ud800\", 1]", {"/0", false, 1, 2}, {"/1", false, 1, 12});
        EXPECT_PLACES("{\"\\ud800\": 1}", {"", false, 1, 1}, {"/", false, 0, 0});
}

Test(locate, deep_nesting_needs_no_deep_stack)
{
        enum { DEPTH = 200000 };
        cleanup_free char *text = malloc(DEPTH + 2), *pointer = malloc(2 * DEPTH + 1);
        struct locate_query query = {.pointer = pointer};

        memset(text, '[', DEPTH);
        strcpy(text + DEPTH, "1");
        for (int i = 0; i < DEPTH; i++)
                memcpy(pointer + 2 * i, "/0", 2);
        pointer[2 * DEPTH] = '\0';
        cr_assert_eq(locate(text, DEPTH + 1, &query, 1), 0);
        cr_expect_eq(query.line, 1);
        cr_expect_eq(query.column, DEPTH + 1);
}

static void expect_open(const char *text, const char *pointer, unsigned line, unsigned column)
{
        struct locate_open open;

        cr_assert_eq(locate_open(text, strlen(text), &open), 0);
        cr_expect_str_eq(open.pointer, pointer, "in %s: %s", text, open.pointer);
        cr_expect_eq(open.line, line, "in %s: line %u", text, open.line);
        cr_expect_eq(open.column, column, "in %s: column %u", text, open.column);
        cr_expect_eq(open.end_line, strchr(text, '\n') ? 2 : 1, "in %s: to line %u", text,
                     open.end_line);
        cr_expect_eq(open.end_column,
                     strlen(strchr(text, '\n') ? strchr(text, '\n') + 1 : text) + 1,
                     "in %s: to column %u", text, open.end_column);
        free(open.pointer);
}

Test(locate, what_was_open_where_a_text_ends)
{
        expect_open("", "", 1, 1);
        expect_open("  {", "", 1, 3);
        expect_open("{\"a\"", "/a", 1, 2);
        expect_open("{\"a\": {\"b\": [1, 2", "/a/b/1", 1, 17);
        expect_open("{\"a\": {\"b\": [1, 2]", "/a/b", 1, 8);
        expect_open("{\"a\": {\"b\": 1,", "/a", 1, 2);
        expect_open("{\"a\": {\"b\": 1},", "", 1, 1);
        expect_open("{\"a\": tr", "/a", 1, 2);
        expect_open("{\"a\": 1,\n \"b", "/b", 2, 2);
        expect_open("{\"a\" 1}", "/a", 1, 2);
        expect_open("{\"a\": 1 \"b\": 2}", "/a", 1, 2);
}
