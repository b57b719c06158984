/* Texts for messages: what a file says, shown so that it cannot be mistaken for our own words. */
#pragma once

#include <jansson.h>
#include <stddef.h>

#define TEXT_QUOTED_SIZE 128 /* bytes, with the final NUL */

struct quoted {
        char text[TEXT_QUOTED_SIZE];
};

/* The string in double quotes, escaped as in JSON; longer ones are cut and end with "...". The result
 * lies in *quoted. */
const char *text_quote(struct quoted *quoted, const char *string);

/* "the string \"abc\"", "the number 3.0", "an array", "an empty object", "true". */
const char *text_describe(struct quoted *quoted, const json_t *json);

/* A copy, which the caller frees, in which control characters (C0, C1, DEL) are written as \uXXXX and
 * what is no UTF-8 (a cut character) as "?", so that it can be printed to a terminal. NULL: no memory. */
char *text_printable(const char *text);
