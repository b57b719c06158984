/* clade check: everything that can be known about a configuration without running it. */
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "base/own.h"
#include "runtime/cli/command.h"
#include "runtime/compile/compile.h"
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

static int check(const struct session *session)
{
        const struct config *config = &session->loaded.config;
        struct filters filters = FILTERS_INIT(session->paths.profiles);
        struct error probe_error = ERROR_INIT;
        struct compile_cgroups cgroups;
        struct ladder ladder;
        const struct compile compile = {
                .config = config,
                .cgroups = &cgroups,
                .ladder = &ladder,
                .filters = &filters,
                .template_directory = session->paths.templates,
                .notice = print_compile_notice,
        };
        cleanup_fd int fd = open(config->file, O_RDONLY | O_CLOEXEC);
        cleanup_free char *text = NULL;
        int status = STATUS_OK;
        size_t size = 0;

        if (level_probe(config, false, &ladder, &probe_error) < 0)
                return command_failed(&probe_error);
        /* Without it errors lack their line, and are told all the same. */
        if (fd >= 0)
                fd_read_file(fd, CONFIG_FILE_MAX, &text, &size);
        compile_find_cgroups(config, &cgroups);
        for (size_t i = 0; i < config->application_count; i++) {
                struct compiled *compiled = NULL;
                struct error error = ERROR_INIT;

                if (compile_application(&compile, i, &compiled, &error) < 0) {
                        status = STATUS_FAILED;
                        print_located(config, &config->applications[i], text, size, &error);
                }
                compiled_destroy(compiled);
        }
        filters_finish(&filters);
        if (status == STATUS_OK)
                printf("%s: good: %zu application%s, %zu listener%s\n", config->file,
                       config->application_count, config->application_count == 1 ? "" : "s",
                       config->listener_count, config->listener_count == 1 ? "" : "s");
        return status;
}

static int run(const struct command *command, int argc, char **argv)
{
        static const struct option options[] = {OPTIONS_COMMON, {NULL}};
        struct session session = {.paths = {.prototype = NULL}};
        const char *modules = NULL;
        int option, status;

        while ((option = command_option(command, argc, argv, options)) != -1) {
                switch (option) {
                case OPTION_HELP:
                        return command_help(command);
                case OPTION_MODULES:
                        modules = optarg;
                        break;
                default:
                        return STATUS_USAGE;
                }
        }
        if (!command_arguments(command, argc, 1, 1))
                return STATUS_USAGE;
        status = session_open(&session, modules, argv[optind]);
        if (status != STATUS_OK)
                return status;
        status = check(&session);
        session_close(&session);
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
        .run = run,
};
