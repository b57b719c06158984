/* Texts that come from a module: checked before anything shows or uses them. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

/* A type or an alias: lower case letters, digits and "-", a letter first. */
bool text_is_type(const char *text);

/* An option's name, a key of the configuration: lower case letters, digits, underscores. */
bool text_is_key(const char *text);

/* UTF-8 without control characters: may be shown to people and printed as JSON. */
bool text_is_plain(const char *text);

/* A copy that may be shown, of at most `length` bytes of `text`, less if it ends there. Plain text that
 * fits stays as it is; otherwise what is not printable ASCII becomes "?", and the last character "~"
 * where `size` bytes were not enough. */
void text_show(const char *text, size_t length, char *copy, size_t size);
