#include "runtime/config/syntax.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/own.h"
#include "runtime/config/locate.h"
#include "runtime/config/text.h"

/* What an editor may leave at the beginning of a file that is not plain UTF-8. */
static const struct encoding {
        const char *bytes;
        size_t size;
        const char *text;
} encodings[] = {
        {"\xef\xbb\xbf", 3, "the file begins with a byte order mark: save it as UTF-8 without one"},
        {"\xff\xfe", 2, "the file is UTF-16: save it as UTF-8"},
        {"\xfe\xff", 2, "the file is UTF-16: save it as UTF-8"},
};

/* Habits of other formats, known by what the parser trips over. */
static const struct habit {
        const char *text; /* of jansson's error, in part */
        const char *advice;
} habits[] = {
        {"string or '}' expected near '}'", "there must be no comma before the last brace"},
        {"unexpected token near ']'", "there must be no comma before the last bracket"},
        {"near '/'", "JSON has no comments"},
        {"near '#'", "JSON has no comments"},
        {"near '''", "strings are written in double quotes"},
        {"string or '}' expected", "keys are written in double quotes"},
        {"'}' expected near '\"", "there may be a comma missing before it"},
        {"']' expected near '\"", "there may be a comma missing before it"},
        {"unexpected newline near",
         "a string ends on the line that it began on: write \\n for a line break"},
        {"invalid token near '0'", "numbers have no leading zeros"},
        {"invalid token near '-0'", "numbers have no leading zeros"},
        {"near 'True'", "it is written true"},
        {"near 'False'", "it is written false"},
        {"near 'None'", "it is written null"},
        {"near 'NULL'", "it is written null"},
        {"end of file expected", "a configuration is one object"},
};

static const char *advice(const char *text)
{
        for (size_t i = 0; i < ARRAY_SIZE(habits); i++)
                if (strstr(text, habits[i].text))
                        return habits[i].advice;
        return NULL;
}

/* The last part of a pointer as the key that it stands for, in place. */
static const char *last_key(char *pointer)
{
        char *key = strrchr(pointer, '/'), *to;

        if (!key)
                return pointer;
        to = ++key;
        for (const char *from = key; *from; from++)
                if (*from == '~')
                        *to++ = *++from == '1' ? '/' : '~';
                else
                        *to++ = *from;
        *to = '\0';
        return key;
}

static int add_error(const char *file, const json_error_t *error, struct locate_open *open,
                     struct diagnostics *diagnostics)
{
        bool duplicate = json_error_code(error) == json_error_duplicate_key;
        cleanup_free char *text = text_printable(error->text);
        cleanup_free char *pointer = text_printable(open->pointer);
        const char *help = advice(error->text);
        unsigned line = error->line > 0 ? (unsigned)error->line : 1;
        unsigned column = error->column > 0 ? (unsigned)error->column : 1;
        struct quoted key;

        if (!text || !pointer)
                return -ENOMEM;
        /* jansson has read the second key when it notices: show where that begins */
        if (duplicate)
                return diagnostics_add(diagnostics, file, open->line, open->column, pointer,
                                       "duplicate key %s: expected every key of an object only "
                                       "once, and this one stood before",
                                       text_quote(&key, last_key(open->pointer)));
        return diagnostics_add(diagnostics, file, line, column, pointer, "not JSON: %s%s%s", text,
                               help ? "; " : "", help ? help : "");
}

static bool is_space(char c)
{
        return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* What can be said before parsing: 0 when it is nothing. */
static int check_bytes(const char *file, const char *text, size_t size,
                       struct diagnostics *diagnostics)
{
        size_t space = 0;
        int r;

        for (size_t i = 0; i < ARRAY_SIZE(encodings); i++)
                if (size >= encodings[i].size &&
                    memcmp(text, encodings[i].bytes, encodings[i].size) == 0) {
                        r = diagnostics_add(diagnostics, file, 1, 1, "", "%s", encodings[i].text);
                        return r < 0 ? r : -EINVAL;
                }
        while (space < size && is_space(text[space]))
                space++;
        if (space < size)
                return 0;
        r = diagnostics_add(diagnostics, file, 1, 1, "",
                            "the file is empty: expected an object with \"applications\"");
        return r < 0 ? r : -EINVAL;
}

/* jansson takes a NUL byte behind a number or a word for nothing at all. */
static int check_nul(const char *file, const char *text, size_t size,
                     struct diagnostics *diagnostics)
{
        const char *nul = memchr(text, '\0', size);
        cleanup_free char *pointer = NULL;
        struct locate_open open;
        int r;

        if (!nul)
                return 0;
        r = locate_open(text, (size_t)(nul - text), &open);
        if (r < 0)
                return r;
        pointer = text_printable(open.pointer);
        free(open.pointer);
        if (!pointer)
                return -ENOMEM;
        r = diagnostics_add(diagnostics, file, open.end_line, open.end_column, pointer,
                            "not JSON: the file contains a NUL byte");
        return r < 0 ? r : -EINVAL;
}

int syntax_parse(const char *file, const char *text, size_t size, json_t **ret_root,
                 struct diagnostics *diagnostics)
{
        struct locate_open open;
        json_error_t error;
        json_t *root;
        size_t read;
        int r;

        r = check_bytes(file, text, size, diagnostics);
        if (r == 0)
                r = check_nul(file, text, size, diagnostics);
        if (r < 0)
                return r;
        root = json_loadb(text, size, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &error);
        if (root) {
                *ret_root = root;
                return 0;
        }
        /* without a text, it has not been the file's fault */
        if (json_error_code(&error) == json_error_out_of_memory || !error.text[0])
                return -ENOMEM;
        read = error.position < 0 ? 0 : (size_t)error.position;
        r = locate_open(text, read < size ? read : size, &open);
        if (r < 0)
                return r;
        r = add_error(file, &error, &open, diagnostics);
        free(open.pointer);
        return r < 0 ? r : -EINVAL;
}
