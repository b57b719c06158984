/* clade plan: what would happen, in full, before anything does. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "runtime/cli/command.h"
#include "runtime/cli/describe.h"
#include "runtime/compile/compile.h"

static json_t *plan_application(const struct session *session, struct filters *filters,
                                const struct compile_cgroups *cgroups, const struct ladder *ladder,
                                size_t index, bool show_environment, struct error *error)
{
        const struct config *config = &session->loaded.config;
        const struct compile compile = {
                .config = config,
                .cgroups = cgroups,
                .ladder = ladder,
                .filters = filters,
                .template_directory = session->paths.templates,
                .notice = print_compile_notice,
        };
        struct compiled *compiled = NULL;
        json_t *object;

        if (compile_application(&compile, index, &compiled, error) < 0)
                return NULL;
        object = describe_launch(compiled_launch(compiled), &config->applications[index],
                                 show_environment);
        compiled_destroy(compiled);
        if (!object)
                error_set(error, ENOMEM, "describing %s", config->applications[index].name);
        return object;
}

/* One application's plan, or with a NULL name all of them; those that cannot be made are told on stderr. */
static int plan(const struct session *session, const char *name, bool show_environment)
{
        const struct config *config = &session->loaded.config;
        struct filters filters = FILTERS_INIT(session->paths.profiles);
        struct error probe_error = ERROR_INIT;
        struct compile_cgroups cgroups;
        struct ladder ladder;
        json_t *list;
        int status = STATUS_OK;
        bool found = false;

        if (level_probe(config, false, &ladder, &probe_error) < 0)
                return command_failed(&probe_error);
        list = json_array();
        compile_find_cgroups(config, &cgroups);
        for (size_t i = 0; i < config->application_count; i++) {
                struct error error = ERROR_INIT;
                json_t *object;

                if (name && strcmp(config->applications[i].name, name) != 0)
                        continue;
                found = true;
                object = plan_application(session, &filters, &cgroups, &ladder, i, show_environment,
                                          &error);
                if (object)
                        json_array_append_new(list, object);
                else
                        status = command_failed(&error);
        }
        if (name && !found) {
                fprintf(stderr, "clade: %s has no application \"%s\"\n", config->file, name);
                status = STATUS_FAILED;
        } else if (name && status == STATUS_OK) {
                json_dumpf(json_array_get(list, 0), stdout, JSON_INDENT(2));
                putchar('\n');
        } else if (!name) {
                json_t *whole = json_pack("{s:O}", "applications", list);

                json_dumpf(whole, stdout, JSON_INDENT(2));
                putchar('\n');
                json_decref(whole);
        }
        json_decref(list);
        filters_finish(&filters);
        return status;
}

enum { OPTION_SHOW_ENVIRONMENT = OPTION_FIRST };

static int run(const struct command *command, int argc, char **argv)
{
        static const struct option options[] = {
                OPTIONS_COMMON,
                {"show-environment", no_argument, NULL, OPTION_SHOW_ENVIRONMENT},
                {NULL},
        };
        struct session session = {.paths = {.prototype = NULL}};
        const char *modules = NULL;
        bool show_environment = false;
        int option, status;

        while ((option = command_option(command, argc, argv, options)) != -1) {
                switch (option) {
                case OPTION_HELP:
                        return command_help(command);
                case OPTION_MODULES:
                        modules = optarg;
                        break;
                case OPTION_SHOW_ENVIRONMENT:
                        show_environment = true;
                        break;
                default:
                        return STATUS_USAGE;
                }
        }
        if (!command_arguments(command, argc, 1, 2))
                return STATUS_USAGE;
        status = session_open(&session, modules, argv[optind]);
        if (status != STATUS_OK)
                return status;
        status = plan(&session, argv[optind + 1], show_environment);
        session_close(&session);
        return status;
}

const struct command command_plan = {
        .name = "plan",
        .summary = "print exactly what would be done for each application",
        .help = "usage: clade plan [--modules GLOB] [--show-environment] CONFIG [APPLICATION]\n"
                "\n"
                "Prints, as JSON, the compiled plan of an application, or of all: namespaces, ids, "
                "every\n"
                "mount, limits, Landlock domains, seccomp programs, and every step with its system "
                "calls\n"
                "in their order. It is what clade run would do when started by the same user. "
                "Needs no\n"
                "privilege, runs nothing of yours (what the host allows is tried in a throw-away "
                "child)\nand changes nothing.\n"
                "\n"
                "  --modules GLOB       find modules by this pattern instead of where clade's own "
                "are\n"
                "  --show-environment   print the values of environment variables, which are "
                "hidden\n"
                "                       otherwise: they may be secrets\n"
                "  -h, --help           this text\n"
                "\n"
                "Exit status: 0; 1 when there is no plan, with the reason on stderr; 2 the command "
                "line\n"
                "was not understood.\n",
        .run = run,
};
