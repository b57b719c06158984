#include "runtime/config/text.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* How many bytes the character at `text` has, and its code point; 0 where it is not UTF-8. */
static size_t character(const char *text, uint32_t *ret_code)
{
        static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
        unsigned char first = (unsigned char)text[0];
        size_t length = first < 0x80             ? 1
                        : (first & 0xe0) == 0xc0 ? 2
                        : (first & 0xf0) == 0xe0 ? 3
                        : (first & 0xf8) == 0xf0 ? 4
                                                 : 0;
        uint32_t code = length == 1 ? first : first & (0x7fu >> length);

        for (size_t i = 1; i < length; i++) {
                unsigned char byte = (unsigned char)text[i];

                if ((byte & 0xc0) != 0x80)
                        return 0;
                code = code << 6 | (byte & 0x3f);
        }
        if (code < least[length] || code > 0x10ffff)
                return 0;
        *ret_code = code;
        return length;
}

static bool is_control(uint32_t code)
{
        return code < 0x20 || (code >= 0x7f && code <= 0x9f);
}

/* One character as a message shows it, at most six bytes and a NUL. How many bytes of text it was. */
static size_t shown(const char *text, bool quote, char ret_shown[8])
{
        uint32_t code;
        size_t length = character(text, &code);

        if (length == 0) {
                strcpy(ret_shown, "?");
                return 1;
        }
        if (is_control(code))
                snprintf(ret_shown, 8, "\\u%04x", (unsigned)code);
        else if (quote && (code == '"' || code == '\\'))
                snprintf(ret_shown, 8, "\\%c", (char)code);
        else
                snprintf(ret_shown, 8, "%.*s", (int)length, text);
        return length;
}

/* Quotes behind what `quoted` holds already. */
static void append_quoted(struct quoted *quoted, const char *string)
{
        size_t used = strlen(quoted->text), limit = sizeof(quoted->text) - sizeof("\"...");
        char piece[8];

        quoted->text[used++] = '"';
        while (*string) {
                size_t taken = shown(string, true, piece), length = strlen(piece);

                if (used + length > limit) {
                        strcpy(quoted->text + used, "\"...");
                        return;
                }
                memcpy(quoted->text + used, piece, length);
                used += length;
                string += taken;
        }
        strcpy(quoted->text + used, "\"");
}

const char *text_quote(struct quoted *quoted, const char *string)
{
        quoted->text[0] = '\0';
        append_quoted(quoted, string);
        return quoted->text;
}

static void describe_number(struct quoted *quoted, const json_t *json)
{
        char digits[40];
        size_t length = json_dumpb(json, digits, sizeof(digits) - 1,
                                   JSON_ENCODE_ANY | JSON_REAL_PRECISION(15));

        digits[length < sizeof(digits) ? length : 0] = '\0';
        snprintf(quoted->text, sizeof(quoted->text), "the number %s", digits);
}

const char *text_describe(struct quoted *quoted, const json_t *json)
{
        switch (json_typeof(json)) {
        case JSON_STRING:
                strcpy(quoted->text, "the string ");
                append_quoted(quoted, json_string_value(json));
                break;
        case JSON_INTEGER:
        case JSON_REAL:
                describe_number(quoted, json);
                break;
        case JSON_TRUE:
                return "true";
        case JSON_FALSE:
                return "false";
        case JSON_NULL:
                return "null";
        case JSON_ARRAY:
                return json_array_size(json) ? "an array" : "an empty array";
        case JSON_OBJECT:
                return json_object_size(json) ? "an object" : "an empty object";
        }
        return quoted->text;
}

char *text_printable(const char *text)
{
        char *copy = malloc(strlen(text) * 6 + 1), *end = copy;

        if (!copy)
                return NULL;
        while (*text) {
                char piece[8];

                text += shown(text, false, piece);
                end = stpcpy(end, piece);
        }
        *end = '\0';
        return copy;
}
