/* clade plan: what would happen, in full, before anything does. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "runtime/cli/command.h"
#include "runtime/cli/describe.h"
#include "runtime/cli/options.h"
#include "runtime/cli/session.h"

static json_t *plan_application(const struct compile *compile, size_t index, bool show_environment,
                                struct error *error)
{
        const struct config_application *application = &compile->config->applications[index];
        struct compiled *compiled = NULL;
        json_t *object;

        if (compile_application(compile, index, &compiled, error) < 0)
                return NULL;
        object = describe_launch(compiled_launch(compiled), application, show_environment);
        compiled_destroy(compiled);
        if (!object)
                error_set(error, ENOMEM, "describing %s", application->name);
        return object;
}

static void print(const json_t *json)
{
        json_dumpf(json, stdout, JSON_INDENT(2));
        putchar('\n');
}

/* One application's plan, or with a NULL name all of them; those that cannot be made are told on stderr. */
static int plan(const struct compile *compile, const char *name, bool show_environment)
{
        const struct config *config = compile->config;
        json_t *list = json_array();
        int status = STATUS_OK;
        bool found = false;

        for (size_t i = 0; i < config->application_count; i++) {
                struct error error = ERROR_INIT;
                json_t *object;

                if (name && strcmp(config->applications[i].name, name) != 0)
                        continue;
                found = true;
                object = plan_application(compile, i, show_environment, &error);
                if (object)
                        json_array_append_new(list, object);
                else
                        status = command_failed(&error);
        }
        if (name && !found) {
                fprintf(stderr, "clade: %s has no application \"%s\"\n", config->file, name);
                status = STATUS_FAILED;
        } else if (name && status == STATUS_OK) {
                print(json_array_get(list, 0));
        } else if (!name) {
                json_t *whole = json_pack("{s:O}", "applications", list);

                print(whole);
                json_decref(whole);
        }
        json_decref(list);
        return status;
}

static int run(const struct command *command, int argc, char **argv)
{
        const char *modules = NULL;
        bool show_environment = false;
        const struct command_option options[] = {
                {"modules", .text = &modules},
                {"show-environment", .flag = &show_environment},
                {NULL},
        };
        struct rehearsal rehearsal;
        int status;

        argv = command_arguments(command, argc, argv, options, &status);
        if (!argv)
                return status;
        status = rehearsal_init(&rehearsal, modules, argv[0]);
        if (status != STATUS_OK)
                return status;
        status = plan(&rehearsal.compile, argv[1], show_environment);
        rehearsal_finish(&rehearsal);
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
        .arguments = {1, 2},
        .run = run,
};
