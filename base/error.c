#include "base/error.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#ifdef __clang_analyzer__
#undef error_set
#undef error_say
#undef error_prefix
#undef error_remedy
#endif

int error_set(struct error *error, int code, const char *format, ...)
{
        const char *description = strerrordesc_np(code); /* strerror might allocate */
        va_list args;
        int n;

        error->code = code;
        error->remedy[0] = '\0';
        va_start(args, format);
        n = vsnprintf(error->text, sizeof(error->text), format, args);
        va_end(args);
        if (n >= 0 && (size_t)n < sizeof(error->text))
                snprintf(error->text + n, sizeof(error->text) - (size_t)n, ": %s (%s)",
                         description ? description : "unknown error", error_name(code));
        return -code;
}

int error_say(struct error *error, int code, const char *format, ...)
{
        va_list args;

        error->code = code;
        error->remedy[0] = '\0';
        va_start(args, format);
        vsnprintf(error->text, sizeof(error->text), format, args);
        va_end(args);
        return -code;
}

int error_prefix(struct error *error, const char *format, ...)
{
        char text[ERROR_TEXT_SIZE];
        va_list args;
        int n;

        va_start(args, format);
        n = vsnprintf(text, sizeof(text), format, args);
        va_end(args);
        if (n >= 0 && (size_t)n < sizeof(text))
                snprintf(text + n, sizeof(text) - (size_t)n, ": %s", error->text);
        memcpy(error->text, text, sizeof(text));
        return -error->code;
}

int error_remedy(struct error *error, const char *format, ...)
{
        va_list args;

        if (error->remedy[0])
                return -error->code;
        va_start(args, format);
        vsnprintf(error->remedy, sizeof(error->remedy), format, args);
        va_end(args);
        return -error->code;
}

const char *error_name(int code)
{
        const char *name = strerrorname_np(code);

        return name ? name : "E?";
}
