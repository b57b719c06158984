/* clade modules: the application types of this host. */
#include <errno.h>
#include <libsmartcols.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/own.h"
#include "runtime/cli/command.h"

enum column { COLUMN_TYPE, COLUMN_VERSION, COLUMN_ALIASES, COLUMN_FILE, COLUMN_COUNT };

static const char *const headings[COLUMN_COUNT] = {"type", "version", "aliases", "file"};

static char *join(char *const *names)
{
        size_t size = 0;
        char *text = NULL;
        FILE *out = open_memstream(&text, &size);

        if (!out)
                return NULL;
        for (size_t i = 0; names && names[i]; i++)
                fprintf(out, "%s%s", i ? " " : "", names[i]);
        fclose(out);
        return text;
}

static int add_line(struct libscols_table *table, const struct catalogue_module *module)
{
        cleanup_free char *aliases = join(module->aliases);
        const char *const texts[COLUMN_COUNT] = {module->type, module->version, aliases,
                                                 module->path};
        struct libscols_line *line = scols_table_new_line(table, NULL);

        if (!line || !aliases)
                return -ENOMEM;
        for (size_t i = 0; i < COLUMN_COUNT; i++)
                if (scols_line_set_data(line, i, texts[i]) < 0)
                        return -ENOMEM;
        return 0;
}

static int print(const struct catalogue *catalogue, bool json)
{
        struct libscols_table *table = scols_new_table();
        int r = table ? 0 : -ENOMEM;

        for (size_t i = 0; i < COLUMN_COUNT && r == 0; i++)
                if (!scols_table_new_column(table, headings[i], 0, 0))
                        r = -ENOMEM;
        for (size_t i = 0; i < catalogue->count && r == 0; i++)
                r = add_line(table, catalogue->modules[i]);
        if (r == 0 && json) {
                scols_table_set_name(table, "modules");
                scols_table_enable_json(table, 1);
        }
        /* libsmartcols prints nothing at all for an empty table: not even valid JSON. */
        if (r == 0 && catalogue->count == 0 && json)
                puts("{\n   \"modules\": []\n}");
        else if (r == 0)
                r = scols_print_table(table);
        scols_unref_table(table);
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
                r = print(&catalogue, json);
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

enum { OPTION_JSON = OPTION_FIRST };

static int run(const struct command *command, int argc, char **argv)
{
        static const struct option options[] = {
                OPTIONS_COMMON,
                {"json", no_argument, NULL, OPTION_JSON},
                {NULL},
        };
        const char *modules = NULL;
        bool json = false;
        int option;

        while ((option = command_option(command, argc, argv, options)) != -1) {
                switch (option) {
                case OPTION_HELP:
                        return command_help(command);
                case OPTION_MODULES:
                        modules = optarg;
                        break;
                case OPTION_JSON:
                        json = true;
                        break;
                default:
                        return STATUS_USAGE;
                }
        }
        if (!command_arguments(command, argc, 0, 0))
                return STATUS_USAGE;
        return list(modules, json);
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
                "  --json           as JSON: {\"modules\": [{\"type\": ..., \"version\": ...}]}\n"
                "  --modules GLOB   find modules by this pattern instead of where clade's own are\n"
                "  -h, --help       this text\n"
                "\n"
                "Exit status: 0, 1 when modules cannot be looked for at all, 2 the command line "
                "was not\n"
                "understood.\n",
        .run = run,
};
