/* Any bytes as a configuration: it is taken or refused, never both or neither, and what is said about it
 * is complete, points into the file and is safe to print. */
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/config/config.h"
#include "tests/fuzz/require.h"
#include "tests/unit/config_catalogue.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require_printable(const char *text)
{
        for (const unsigned char *c = (const unsigned char *)text; *c; c++)
                REQUIRE(*c >= 0x20 && *c != 0x7f && !(c[0] == 0xc2 && c[1] >= 0x80 && c[1] < 0xa0));
}

/* The last diagnostic may be the one that says how many more there are, which has no place. */
static void require_diagnostic(const struct diagnostic *diagnostic, unsigned lines, size_t size)
{
        REQUIRE(strcmp(diagnostic->file, "fuzz") == 0);
        REQUIRE(diagnostic->text[0]);
        require_printable(diagnostic->text);
        require_printable(diagnostic->pointer);
        REQUIRE(!diagnostic->pointer[0] || diagnostic->pointer[0] == '/');
        if (!diagnostic->line) {
                REQUIRE(strstr(diagnostic->text, "more errors are not shown"));
                return;
        }
        REQUIRE(diagnostic->line <= lines);
        REQUIRE(diagnostic->column >= 1 && diagnostic->column <= size + 1);
}

static void require_value(const struct config_value *value)
{
        REQUIRE(value->name);
        switch (value->type) {
        case CLADE_STRING:
        case CLADE_PATH:
        case CLADE_TARGETS:
                REQUIRE(value->string && !value->strings);
                break;
        case CLADE_STRINGS:
        case CLADE_PATHS:
                REQUIRE(value->strings && !value->string);
                break;
        case CLADE_INTEGER:
        case CLADE_BOOLEAN:
                REQUIRE(!value->string && !value->strings);
        }
        for (char **path = value->strings; value->type == CLADE_PATHS && *path; path++)
                REQUIRE((*path)[0] == '/');
        REQUIRE(value->type != CLADE_PATHS || value->strings[0]);
}

/* Whether the application has it, and has to have one: its name is between two slashes of a value's. */
static bool leads_to_target(const struct config_application *application, const char *target)
{
        bool any = false;

        for (size_t i = 0; i < application->value_count; i++) {
                const struct config_value *value = &application->values[i];
                const char *name = strchr(value->name, '/');
                size_t length = target ? strlen(target) : 0;

                if (value->type != CLADE_TARGETS)
                        continue;
                REQUIRE(name && strchr(name + 1, '/'));
                any = true;
                if (target && strncmp(name + 1, target, length) == 0 && name[1 + length] == '/')
                        return true;
        }
        return !any && !target;
}

static void require_application(const struct config_application *application)
{
        REQUIRE(application->name && application->type && application->module);
        REQUIRE(application->user && application->group && application->environment);
        REQUIRE(application->processes.max >= 1 &&
                application->processes.max <= CONFIG_PROCESSES_MAX);
        REQUIRE(application->processes.spare <= application->processes.max);
        REQUIRE(application->processes.dynamic ||
                application->processes.spare == application->processes.max);
        REQUIRE(application->module->counts_requests ||
                (!application->processes.dynamic && !application->limits.requests &&
                 !application->limits.timeout));
        for (size_t i = 0; i < application->value_count; i++)
                require_value(&application->values[i]);
        for (size_t i = 0; i < application->isolation.mount_count; i++)
                REQUIRE(application->isolation.mounts[i].destination[0] == '/');
}

static void require_config(const struct config *config)
{
        for (size_t i = 0; i < config->application_count; i++)
                require_application(&config->applications[i]);
        for (size_t i = 0; i < config->listener_count; i++) {
                REQUIRE(config->listeners[i].application < config->application_count);
                REQUIRE(config->listeners[i].socket_length > 0);
                REQUIRE(leads_to_target(&config->applications[config->listeners[i].application],
                                        config->listeners[i].target));
        }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        struct diagnostics diagnostics = {.count = 0};
        struct catalogue catalogue;
        struct config config;
        unsigned lines = 1;
        char *text = malloc(size ? size : 1);
        int r;

        /* of exactly this size, so that reading beyond it is seen */
        if (!text)
                return 0;
        memcpy(text, data, size);
        for (size_t i = 0; i < size; i++)
                lines += text[i] == '\n';
        config_catalogue(&catalogue);
        r = config_parse("fuzz", text, size, &catalogue, &config, &diagnostics);
        if (r == 0) {
                REQUIRE(diagnostics.count == 0);
                require_config(&config);
                config_finish(&config);
        } else {
                REQUIRE(r == -EINVAL && diagnostics.count > 0);
        }
        REQUIRE(!config.applications && !config.listeners && !config.file);
        for (size_t i = 0; i < diagnostics.count; i++)
                require_diagnostic(&diagnostics.list[i], lines, size);
        diagnostics_finish(&diagnostics);
        catalogue_finish(&catalogue);
        free(text);
        return 0;
}
