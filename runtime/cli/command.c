#include "runtime/cli/command.h"

#include <stdio.h>

static void print_remedy(const struct error *error)
{
        if (error->remedy[0])
                fprintf(stderr, "       %s\n", error->remedy);
}

int command_failed(const struct error *error)
{
        fprintf(stderr, "clade: %s\n", error->text);
        print_remedy(error);
        return STATUS_FAILED;
}

void print_diagnostics(const struct diagnostics *diagnostics)
{
        for (size_t i = 0; i < diagnostics->count; i++) {
                const struct diagnostic *diagnostic = &diagnostics->list[i];

                fputs(diagnostic->file, stderr);
                if (diagnostic->line)
                        fprintf(stderr, ":%u:%u", diagnostic->line, diagnostic->column);
                if (diagnostic->pointer && diagnostic->pointer[0])
                        fprintf(stderr, ": %s", diagnostic->pointer);
                fprintf(stderr, ": %s\n", diagnostic->text);
        }
}

void print_module_notice(void *context, const char *path, bool serious, const struct error *error)
{
        (void)context;
        fprintf(stderr, "clade: %s: module %s is left out: %s\n", serious ? "warning" : "note",
                path, error->text);
        print_remedy(error);
}

void print_compile_notice(void *context, const char *application, const char *text)
{
        (void)context;
        fprintf(stderr, "clade: note: application %s: %s\n", application, text);
}
