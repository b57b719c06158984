#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/own.h"
#include "runtime/config/config.h"

void diagnostics_finish(struct diagnostics *diagnostics)
{
        for (size_t i = 0; i < diagnostics->count; i++) {
                free(diagnostics->list[i].file);
                free(diagnostics->list[i].pointer);
                free(diagnostics->list[i].text);
        }
        free(diagnostics->list);
        *diagnostics = (struct diagnostics){0};
}

int diagnostics_add(struct diagnostics *diagnostics, const char *file, unsigned line,
                    unsigned column, const char *pointer, const char *format, ...)
{
        cleanup_free char *text = NULL, *file_copy = strdup(file), *pointer_copy = strdup(pointer);
        struct diagnostic *list;
        va_list args;
        int n;

        va_start(args, format);
        n = vasprintf(&text, format, args);
        va_end(args);
        if (n < 0) {
                text = NULL; /* vasprintf leaves it undefined */
                return -ENOMEM;
        }
        list = reallocarray(diagnostics->list, diagnostics->count + 1, sizeof(*list));
        if (!list)
                return -ENOMEM;
        diagnostics->list = list;
        if (!file_copy || !pointer_copy)
                return -ENOMEM;
        list[diagnostics->count++] = (struct diagnostic){
                .file = TAKE_PTR(file_copy),
                .line = line,
                .column = column,
                .pointer = TAKE_PTR(pointer_copy),
                .text = TAKE_PTR(text),
        };
        return 0;
}
