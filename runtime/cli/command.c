#include "runtime/cli/command.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

int command_option(const struct command *command, int argc, char **argv,
                   const struct option *options)
{
        int option;

        opterr = 0;
        option = getopt_long(argc, argv, ":h", options, NULL);
        if (option != '?' && option != ':')
                return option;
        if (option == ':')
                fprintf(stderr, "clade %s: %s needs a value", command->name, argv[optind - 1]);
        else if (optopt && strncmp(argv[optind - 1], "--", 2) == 0)
                fprintf(stderr, "clade %s: %s takes no value", command->name, argv[optind - 1]);
        else if (optopt)
                fprintf(stderr, "clade %s: unknown option -%c", command->name, optopt);
        else
                fprintf(stderr, "clade %s: unknown option %s", command->name, argv[optind - 1]);
        fprintf(stderr, "; clade %s --help lists them all\n", command->name);
        return '?';
}

bool command_arguments(const struct command *command, int argc, int least, int most)
{
        int count = argc - optind;

        if (count >= least && count <= most)
                return true;
        fprintf(stderr, "clade %s: %s; see clade %s --help\n", command->name,
                count < least ? "an argument is missing" : "too many arguments", command->name);
        return false;
}

int command_help(const struct command *command)
{
        fputs(command->help, stdout);
        return STATUS_OK;
}

int command_failed(const struct error *error)
{
        fprintf(stderr, "clade: %s\n", error->text);
        if (error->remedy[0])
                fprintf(stderr, "       %s\n", error->remedy);
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
        if (error->remedy[0])
                fprintf(stderr, "       %s\n", error->remedy);
}

void print_compile_notice(void *context, const char *application, const char *text)
{
        (void)context;
        fprintf(stderr, "clade: note: application %s: %s\n", application, text);
}

int session_load(struct session *session, const struct load *load, const char *file,
                 struct diagnostics *diagnostics, struct error *error)
{
        struct load own = *load;
        int r;

        r = paths_find(&session->paths, error);
        if (r < 0)
                return r;
        own.paths = &session->paths;
        r = load_configuration(&own, file, &session->loaded, diagnostics, error);
        if (r < 0)
                paths_finish(&session->paths);
        return r;
}

int session_open(struct session *session, const char *modules, const char *file)
{
        const struct load load = {.modules = modules, .notice = print_module_notice};
        struct diagnostics diagnostics = {.count = 0};
        struct error error = ERROR_INIT;
        int r;

        r = session_load(session, &load, file, &diagnostics, &error);
        print_diagnostics(&diagnostics);
        if (r < 0 && diagnostics.count == 0)
                command_failed(&error);
        diagnostics_finish(&diagnostics);
        return r < 0 ? STATUS_FAILED : STATUS_OK;
}

void session_close(struct session *session)
{
        loaded_finish(&session->loaded);
        paths_finish(&session->paths);
}
