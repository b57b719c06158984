/* clade modules: the application types of this host. */
#include <errno.h>
#include <jansson.h>
#include <libsmartcols.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/own.h"
#include "runtime/cli/command.h"
#include "runtime/cli/options.h"
#include "runtime/compile/load.h"

/* --- for people ----------------------------------------------------------------------------- */

enum column {
        COLUMN_TYPE,
        COLUMN_VERSION,
        COLUMN_ALIASES,
        COLUMN_COUNTS_REQUESTS,
        COLUMN_OPTIONS,
        COLUMN_FILE,
        COLUMN_COUNT
};

static const char *const headings[COLUMN_COUNT] = {
        "type", "version", "aliases", "counts requests", "options", "file"};

static char *join_aliases(const struct catalogue_module *module)
{
        size_t size = 0;
        char *text = NULL;
        FILE *out = open_memstream(&text, &size);

        if (!out)
                return NULL;
        for (size_t i = 0; module->aliases && module->aliases[i]; i++)
                fprintf(out, "%s%s", i ? " " : "", module->aliases[i]);
        fclose(out);
        return text;
}

static char *join_options(const struct catalogue_module *module)
{
        size_t size = 0;
        char *text = NULL;
        FILE *out = open_memstream(&text, &size);

        if (!out)
                return NULL;
        for (size_t i = 0; i < module->option_count; i++)
                fprintf(out, "%s%s", i ? " " : "", module->options[i].name);
        fclose(out);
        return text;
}

static int add_line(struct libscols_table *table, const struct catalogue_module *module)
{
        cleanup_free char *aliases = join_aliases(module);
        cleanup_free char *options = join_options(module);
        const char *const texts[COLUMN_COUNT] = {
                module->type, module->version, aliases, module->counts_requests ? "yes" : "no",
                options,      module->path};
        struct libscols_line *line = scols_table_new_line(table, NULL);

        if (!line || !aliases || !options)
                return -ENOMEM;
        for (size_t i = 0; i < COLUMN_COUNT; i++)
                if (scols_line_set_data(line, i, texts[i]) < 0)
                        return -ENOMEM;
        return 0;
}

static int print_table(const struct catalogue *catalogue)
{
        struct libscols_table *table = scols_new_table();
        int r = table ? 0 : -ENOMEM;

        for (size_t i = 0; i < COLUMN_COUNT && r == 0; i++)
                if (!scols_table_new_column(table, headings[i], 0, 0))
                        r = -ENOMEM;
        for (size_t i = 0; i < catalogue->count && r == 0; i++)
                r = add_line(table, catalogue->modules[i]);
        if (r == 0)
                r = scols_print_table(table);
        scols_unref_table(table);
        return r;
}

/* --- for programs --------------------------------------------------------------------------- */

static const char *const type_names[] = {
        [CLADE_STRING] = "string",   [CLADE_PATH] = "path",       [CLADE_INTEGER] = "integer",
        [CLADE_BOOLEAN] = "boolean", [CLADE_STRINGS] = "strings", [CLADE_PATHS] = "paths",
        [CLADE_TARGETS] = "targets",
};

/* "a|b" as a list. */
static json_t *describe_choices(const char *choices)
{
        json_t *list = json_array();

        while (*choices) {
                size_t length = strcspn(choices, "|");

                json_array_append_new(list, json_stringn(choices, length));
                choices += length + (choices[length] == '|');
        }
        return list;
}

static json_t *describe_option(const struct catalogue_option *option)
{
        json_t *object = json_pack("{s:s, s:s, s:b}", "name", option->name, "type",
                                   type_names[option->type], "required", option->required);

        if (option->type == CLADE_INTEGER) {
                json_object_set_new(object, "minimum", json_integer(option->minimum));
                json_object_set_new(object, "maximum", json_integer(option->maximum));
        }
        if (option->choices)
                json_object_set_new(object, option->type == CLADE_TARGETS ? "members" : "choices",
                                    describe_choices(option->choices));
        if (option->help)
                json_object_set_new(object, "help", json_string(option->help));
        return object;
}

static json_t *describe_module(const struct catalogue_module *module)
{
        json_t *aliases = json_array(), *options = json_array();

        for (size_t i = 0; module->aliases && module->aliases[i]; i++)
                json_array_append_new(aliases, json_string(module->aliases[i]));
        for (size_t i = 0; i < module->option_count; i++)
                json_array_append_new(options, describe_option(&module->options[i]));
        return json_pack("{s:s, s:s, s:o, s:b, s:o, s:s}", "type", module->type, "version",
                         module->version, "aliases", aliases, "counts_requests",
                         module->counts_requests, "options", options, "file", module->path);
}

static int print_json(const struct catalogue *catalogue)
{
        json_t *list = json_array();
        json_t *whole;
        int r = 0;

        for (size_t i = 0; i < catalogue->count && r == 0; i++)
                if (json_array_append_new(list, describe_module(catalogue->modules[i])) < 0)
                        r = -ENOMEM;
        whole = json_pack("{s:o}", "modules", list);
        if (!whole)
                r = -ENOMEM;
        if (r == 0) {
                json_dumpf(whole, stdout, JSON_INDENT(2));
                putchar('\n');
        }
        json_decref(whole);
        return r;
}

static int list(const char *modules, bool json)
{
        struct paths paths = {.prototype = NULL};
        struct catalogue catalogue;
        struct error error = ERROR_INIT;
        const struct load load = {
                .paths = &paths,
                .modules = modules,
                .notice = print_module_notice,
        };
        int r;

        if (paths_find(&paths, &error) < 0)
                return command_failed(&error);
        r = load_modules(&load, &catalogue, &error);
        if (r == 0) {
                r = json ? print_json(&catalogue) : print_table(&catalogue);
                if (r < 0)
                        error_set(&error, -r, "printing the modules");
                else if (catalogue.count == 0 && !json)
                        fprintf(stderr, "clade: no module was found by %s\n",
                                modules ? modules : paths.modules);
                catalogue_finish(&catalogue);
        }
        paths_finish(&paths);
        return r < 0 ? command_failed(&error) : STATUS_OK;
}

static int run(const struct command *command, int argc, char **argv)
{
        const char *modules = NULL;
        bool json = false;
        const struct command_option options[] = {
                {"modules", .text = &modules},
                {"json", .flag = &json},
                {NULL},
        };
        int status;

        return command_arguments(command, argc, argv, options, &status) ? list(modules, json)
                                                                        : status;
}

const struct command command_modules = {
        .name = "modules",
        .summary = "list the application types that were found",
        .help = "usage: clade modules [--json] [--modules GLOB]\n"
                "\n"
                "Looks for modules, each in a sandboxed process of its own, and lists what they "
                "say about\n"
                "themselves. Those that are left out are named on stderr, with the reason.\n"
                "\n"
                "  --json           as JSON, with the options of each type: {\"modules\": "
                "[{\"type\": ...,\n"
                "                   \"version\": ..., \"aliases\": [...], "
                "\"counts_requests\": false,\n"
                "                   \"options\": [{\"name\": ...}], \"file\": ...}]}\n"
                "  --modules GLOB   find modules by this pattern instead of where clade's own are\n"
                "  -h, --help       this text\n"
                "\n"
                "Exit status: 0, 1 when modules cannot be looked for at all, 2 the command line "
                "was not\n"
                "understood.\n",
        .run = run,
};
