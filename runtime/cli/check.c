/* clade check: everything that can be known about a configuration without running it. */
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "base/own.h"
#include "runtime/cli/command.h"
#include "runtime/cli/options.h"
#include "runtime/cli/session.h"
#include "runtime/config/locate.h"

/* The compiler's errors begin with "configuration POINTER: ". Here they become diagnostics like those of
 * reading the file, with the place that the pointer leads to; where it leads to nothing that is written
 * down (a default), the application's place. */
static void print_located(const struct config *config, const struct config_application *application,
                          const char *text, size_t size, struct error *error)
{
        static const char start[] = "configuration ";
        char pointer[PATH_MAX];
        struct locate_query queries[] = {{.pointer = pointer}, {.pointer = application->pointer}};
        const struct locate_query *found = &queries[0];
        const char *at = error->text + strlen(start);
        size_t known = strlen(application->pointer), length;

        if (strncmp(error->text, start, strlen(start)) != 0 ||
            strncmp(at, application->pointer, known) != 0) {
                command_failed(error);
                return;
        }
        length = known + strcspn(at + known, ":");
        snprintf(pointer, sizeof(pointer), "%.*s", (int)length, at);
        if (text && locate(text, size, queries, 2) == 0 && !found->line)
                found = &queries[1];
        fprintf(stderr, "%s", config->file);
        if (found->line)
                fprintf(stderr, ":%u:%u", found->line, found->column);
        fprintf(stderr, ": %s\n", at);
        if (error->remedy[0])
                fprintf(stderr, "       %s\n", error->remedy);
}

static int check(const struct rehearsal *rehearsal)
{
        const struct config *config = rehearsal->compile.config;
        cleanup_fd int fd = open(config->file, O_RDONLY | O_CLOEXEC);
        cleanup_free char *text = NULL;
        int status = STATUS_OK;
        size_t size = 0;

        /* Without it errors lack their line, and are told all the same. */
        if (fd >= 0)
                fd_read_file(fd, CONFIG_FILE_MAX, &text, &size);
        for (size_t i = 0; i < config->application_count; i++) {
                struct compiled *compiled = NULL;
                struct error error = ERROR_INIT;

                if (compile_application(&rehearsal->compile, i, &compiled, &error) < 0) {
                        status = STATUS_FAILED;
                        print_located(config, &config->applications[i], text, size, &error);
                }
                compiled_destroy(compiled);
        }
        if (status == STATUS_OK)
                printf("%s: good: %zu application%s, %zu listener%s\n", config->file,
                       config->application_count, config->application_count == 1 ? "" : "s",
                       config->listener_count, config->listener_count == 1 ? "" : "s");
        return status;
}

static int run(const struct command *command, int argc, char **argv)
{
        const char *modules = NULL;
        const struct command_option options[] = {{"modules", .text = &modules}, {NULL}};
        struct rehearsal rehearsal;
        int status;

        argv = command_arguments(command, argc, argv, options, &status);
        if (!argv)
                return status;
        status = rehearsal_init(&rehearsal, modules, argv[0]);
        if (status != STATUS_OK)
                return status;
        status = check(&rehearsal);
        rehearsal_finish(&rehearsal);
        return status;
}

const struct command command_check = {
        .name = "check",
        .summary = "say what is wrong with a configuration",
        .help = "usage: clade check [--modules GLOB] CONFIG\n"
                "\n"
                "Reads a configuration and looks for everything that it names. Each error is one "
                "line on\n"
                "stderr: FILE:LINE:COLUMN: JSON-POINTER: what is there, what was expected. Needs "
                "no\n"
                "privilege, runs nothing of yours (what the host allows is tried in a throw-away "
                "child)\nand changes nothing.\n"
                "\n"
                "  --modules GLOB   find modules by this pattern instead of where clade's own are\n"
                "  -h, --help       this text\n"
                "\n"
                "Exit status: 0 good, 1 errors, 2 the command line was not understood.\n",
        .arguments = {1, 1},
        .run = run,
};
