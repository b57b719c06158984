/* Writing JSON to a stream: just what the demo needs. "<" is escaped, so the text can stand in a
 * <script> element. Errors stick to the stream; ask ferror(3) at the end. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

struct json {
        FILE *out;
        bool comma; /* something stands before in this object or array */
};

/* `key` is NULL within an array and for the outermost value. `bracket` is '{' or '['. */
void json_open(struct json *json, const char *key, char bracket);
void json_close(struct json *json, char bracket);
/* A NULL text is null. Bytes beyond ASCII become U+FFFD. */
void json_text(struct json *json, const char *key, const char *text);
void json_number(struct json *json, const char *key, int64_t number);
/* `text` is JSON already. */
void json_raw(struct json *json, const char *key, const char *text);
