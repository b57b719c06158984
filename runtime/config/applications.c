/* "applications": each with the keys that all types have, and those of its module. */
#include "runtime/config/schema.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/own.h"
#include "runtime/config/id_maps.h"
#include "runtime/config/resources.h"
#include "runtime/config/values.h"

/* execve(2) takes no string of more than 32 pages, its NUL included. */
#define ENVIRONMENT_STRING_MAX (32 * 4096 - 1)

/* The nearest type that there is to the one that is not, its version aside. */
static const char *nearest_type(const struct catalogue *catalogue, const char *type)
{
        char name[SUGGEST_WORD_MAX + 1];
        struct suggestion near = {.word = name};

        if (strcspn(type, " ") >= sizeof(name))
                return NULL;
        snprintf(name, sizeof(name), "%.*s", (int)strcspn(type, " "), type);
        for (size_t i = 0; i < catalogue->count; i++) {
                const struct catalogue_module *module = catalogue->modules[i];

                suggest_offer(&near, module->type);
                for (char **alias = module->aliases; alias && *alias; alias++)
                        suggest_offer(&near, *alias);
        }
        return near.best && strcmp(near.best, name) != 0 ? near.best : NULL;
}

static void read_type(struct reader *reader, const struct node *node, void *member,
                      const void *rule)
{
        struct config_application *application = member;
        struct error error = ERROR_INIT;
        const char *type, *near;

        (void)rule;
        if (!value_string(reader, node, "the type of the application, as in \"native\"", &type))
                return;
        store_string(reader, &application->type, type);
        application->module = catalogue_find(reader->catalogue, type, &error);
        if (application->module)
                return;
        if (error.code == ENOMEM) {
                reader_no_memory(reader);
                return;
        }
        near = nearest_type(reader->catalogue, type);
        if (near)
                fault_value(reader, node, "%s. Did you mean \"%s\"?", error.text, near);
        else
                fault_value(reader, node, "%s%s%s", error.text, error.remedy[0] ? ". " : "",
                            error.remedy);
}

static bool environment_valid(struct reader *reader, const struct node *node)
{
        struct quoted name;
        size_t length = strlen(node->key);

        text_quote(&name, node->key);
        if (length == 0 || strchr(node->key, '=')) {
                fault_key(reader, node,
                          "%s is no name of an environment variable: expected at least one "
                          "character, and no \"=\"",
                          name.text);
                return false;
        }
        if (!json_is_string(node->json)) {
                fault_expected(reader, node,
                               json_is_number(node->json) ? "a string: write it in quotes"
                                                          : "a string");
                return false;
        }
        length += 1 + json_string_length(node->json);
        if (length > ENVIRONMENT_STRING_MAX) {
                fault_value(reader, node,
                            "the variable %s has %zu bytes with its name: expected at most %d, "
                            "more cannot be handed to a program",
                            name.text, length, ENVIRONMENT_STRING_MAX);
                return false;
        }
        return true;
}

void read_environment(struct reader *reader, const struct node *node, void *member,
                      const void *rule)
{
        char **variables, ***environment = member;
        const char *name;
        json_t *json;
        size_t count = 0;

        (void)rule;
        if (!expect_object(reader, node, "an object of strings by the variables' names"))
                return;
        variables = calloc(json_object_size(node->json) + 1, sizeof(*variables));
        if (!variables) {
                reader_no_memory(reader);
                return;
        }
        free(*environment); /* the empty list that is the default */
        *environment = variables;
        json_object_foreach (node->json, name, json) {
                const struct node variable = NODE_MEMBER(node, name, json);

                if (!environment_valid(reader, &variable))
                        continue;
                if (asprintf(&variables[count], "%s=%s", name, json_string_value(json)) < 0) {
                        variables[count] = NULL;
                        reader_no_memory(reader);
                        return;
                }
                count++;
        }
}

#define MEMBER(name) offsetof(struct config_application, name)

static const struct key application_keys[] = {
        {"type", read_type, 0, NULL, "the module that runs it, as in \"native\""},
        {"processes", read_processes, MEMBER(processes), NULL, NULL},
        {"environment", read_environment, MEMBER(environment), NULL, NULL},
        {"working_directory", read_path, MEMBER(working_directory),
         &(const struct path_rule){.root = true}, NULL},
        {"stdout", read_path, MEMBER(stdout_path), NULL, NULL},
        {"stderr", read_path, MEMBER(stderr_path), NULL, NULL},
        {"user", read_user, 0, NULL, NULL},
        {"group", read_group, 0, NULL, NULL},
        {"isolation", read_isolation, MEMBER(isolation), NULL, NULL},
        {"limits", read_limits, MEMBER(limits), NULL, NULL},
};

static const struct schema application_schema = {
        .what = "an application",
        .keys = application_keys,
        .count = ARRAY_SIZE(application_keys),
        .other = read_option,
        .offer = offer_options,
};

static void application_defaults(struct reader *reader, const struct node *node,
                                 struct config_application *application)
{
        store_string(reader, &application->name, node->key);
        store_string(reader, &application->user, "app");
        store_string(reader, &application->group, "app");
        application->processes =
                (struct config_processes){.max = 1, .spare = 1, .idle_timeout = 15};
        application->uid = application->gid = CONFIG_ID_DEFAULT;
        application->environment = calloc(1, sizeof(*application->environment));
        application->pointer = node_pointer(node);
        if (!application->environment || !application->pointer)
                reader_no_memory(reader);
        isolation_defaults(reader, &application->isolation);
        resources_defaults(&application->limits.resources);
}

static void read_application(struct reader *reader, const struct node *node,
                             struct config_application *application)
{
        bool named = check_name(reader, node, "an application");

        application_defaults(reader, node, application);
        if (reader->error || (!named && strlen(node->key) > READER_NAME_MAX))
                return;
        if (!read_object(reader, node, &application_schema, application))
                return;
        check_options(reader, node, application);
        check_id_maps(reader, node, application);
        check_resources(reader, node, application);
        check_processes(reader, node, application);
}

void read_applications(struct reader *reader, const struct node *node, void *member,
                       const void *rule)
{
        size_t count = json_object_size(node->json);
        struct config *config = member;
        const char *name;
        json_t *json;

        (void)rule;
        if (!expect_object(reader, node, "an object of applications by their names") || !count)
                return;
        config->applications = calloc(count, sizeof(*config->applications));
        if (!config->applications) {
                reader_no_memory(reader);
                return;
        }
        json_object_foreach (node->json, name, json) {
                const struct node application = NODE_MEMBER(node, name, json);

                if (reader->error)
                        return;
                read_application(reader, &application,
                                 &config->applications[config->application_count++]);
        }
}
