/* Where in a text a JSON pointer leads.
 *
 * jansson keeps no positions of values, so a second pass over the text finds them: a scanner that
 * knows just enough of JSON to follow keys and indices. All places that are wanted are found in one
 * pass, so a large file with many errors stays cheap.
 *
 * Lines and columns count from 1. A column counts characters (Unicode code points), as jansson's do:
 * a tab is one, and so is a letter of several bytes.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

struct locate_query {
        const char *pointer;   /* RFC 6901, "~" and "/" in keys escaped; "" is the whole text */
        bool key;              /* where the key stands, rather than the value */
        unsigned line, column; /* the answer; 0 where there is no such value */
};

/* Answers all queries. The text must be JSON that a parser has accepted; from the first thing on that
 * is none, nothing is found. 0 or -ENOMEM. */
int locate(const char *text, size_t size, struct locate_query *queries, size_t count);

struct locate_open {
        char *pointer;         /* the caller frees it */
        unsigned line, column; /* of its key, or of the element or whole value where it has none */
        unsigned end_line, end_column; /* of the first byte behind the text */
};

/* The innermost value that has begun, and not been left for the next one, where the text ends or stops
 * being JSON: given the text up to a parser's error, what the parser was reading. 0 or -ENOMEM. */
int locate_open(const char *text, size_t size, struct locate_open *ret_open);
