/* The modules `external` (also "go"), `native` in two versions and `sample`, which all but the first count
 * requests, as discovery would report them: what the tests of the configuration and its fuzz target read
 * against. */
#pragma once

#include <stdlib.h>
#include <string.h>

#include "base/own.h"
#include "runtime/catalogue/catalogue.h"

static inline void config_catalogue_add(struct catalogue *catalogue, const char *type,
                                        const char *version, const char *alias,
                                        const struct catalogue_option *options, size_t count)
{
        struct catalogue_module *module = catalogue_module_create();

        if (!module)
                abort();
        module->path = strdup("/nowhere.clade.so");
        module->type = strdup(type);
        module->counts_requests = strcmp(type, "external") != 0;
        module->version = strdup(version);
        if (alias) {
                module->aliases = calloc(2, sizeof(*module->aliases));
                module->aliases[0] = strdup(alias);
        }
        module->options = calloc(count, sizeof(*module->options));
        module->option_count = count;
        for (size_t i = 0; i < count; i++) {
                module->options[i] = options[i];
                module->options[i].name = strdup(options[i].name);
                module->options[i].choices = options[i].choices ? strdup(options[i].choices) : NULL;
                module->options[i].help = options[i].help ? strdup(options[i].help) : NULL;
        }
        if (catalogue_add(catalogue, module) < 0)
                abort();
}

static inline void config_catalogue(struct catalogue *catalogue)
{
        static char executable[] = "executable", arguments[] = "arguments", ready[] = "ready",
                    choices[] = "exec|notify", program[] = "the program that is run",
                    library[] = "library", symbol[] = "symbol", preload[] = "preload",
                    level[] = "level", verbose[] = "verbose", path[] = "path",
                    targets[] = "targets", members[] = "module|callable|prefix";
        const struct catalogue_option external[] = {
                {.name = executable, .type = CLADE_PATH, .required = true, .help = program},
                {.name = arguments, .type = CLADE_STRINGS},
                {.name = ready, .type = CLADE_STRING, .choices = choices},
        };
        const struct catalogue_option native[] = {
                {.name = library, .type = CLADE_PATH, .required = true},
                {.name = symbol, .type = CLADE_STRING},
                {.name = preload, .type = CLADE_STRING},
        };
        /* the types of options that the others do not have */
        const struct catalogue_option sample[] = {
                {.name = level, .type = CLADE_INTEGER, .minimum = -3, .maximum = 9},
                {.name = verbose, .type = CLADE_BOOLEAN},
                {.name = path, .type = CLADE_PATHS},
                {.name = targets, .type = CLADE_TARGETS, .choices = members},
        };

        catalogue_init(catalogue);
        config_catalogue_add(catalogue, "external", "1.0", "go", external, ARRAY_SIZE(external));
        config_catalogue_add(catalogue, "native", "1.0", NULL, native, ARRAY_SIZE(native));
        config_catalogue_add(catalogue, "native", "1.2", NULL, native, ARRAY_SIZE(native));
        config_catalogue_add(catalogue, "sample", "3.11.2", NULL, sample, ARRAY_SIZE(sample));
}
