/* The options of an application that its module declares. */
#include "runtime/config/schema.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/own.h"
#include "runtime/config/targets.h"
#include "runtime/config/values.h"

static const struct catalogue_option *find_option(const struct catalogue_module *module,
                                                  const char *name)
{
        for (size_t i = 0; i < module->option_count; i++)
                if (strcmp(module->options[i].name, name) == 0)
                        return &module->options[i];
        return NULL;
}

/* Another module that has such an option. */
static const struct catalogue_module *find_owner(const struct catalogue *catalogue,
                                                 const char *name)
{
        for (size_t i = 0; i < catalogue->count; i++)
                if (find_option(catalogue->modules[i], name))
                        return catalogue->modules[i];
        return NULL;
}

/* Whether the string is one of "a|b|c". */
static bool is_choice(const char *choices, const char *string)
{
        size_t length = strlen(string);

        for (;;) {
                size_t choice = strcspn(choices, "|");

                if (choice == length && memcmp(choices, string, length) == 0)
                        return true;
                choices += choice;
                if (!*choices++)
                        return false;
        }
}

static void read_choice(struct reader *reader, const struct node *node, const char *choices,
                        char **member)
{
        struct quoted found;
        const char *string;

        if (!value_string(reader, node, "a string", &string))
                return;
        if (choices && !is_choice(choices, string)) {
                char list[256], *end = list;

                /* "a", "b" or "c" would be nicer, "a|b|c" is what the module's author wrote */
                for (const char *c = choices; *c && end < list + sizeof(list) - 6; c++)
                        end = *c == '|' ? stpcpy(end, ", ") : (*end = *c, end + 1);
                *end = '\0';
                fault_value(reader, node, "found %s, expected one of %s",
                            text_describe(&found, node->json), list);
                return;
        }
        store_string(reader, member, string);
}

static void read_value(struct reader *reader, const struct node *node,
                       const struct catalogue_option *option, struct config_value *value)
{
        const struct integer_rule range = {option->minimum, option->maximum, NULL};
        bool truth = false;

        switch (option->type) {
        case CLADE_STRING:
                read_choice(reader, node, option->choices, &value->string);
                break;
        case CLADE_PATH:
                read_path(reader, node, &value->string, NULL);
                break;
        case CLADE_INTEGER:
                value_integer(reader, node, &range, &value->integer);
                break;
        case CLADE_BOOLEAN:
                read_boolean(reader, node, &truth, NULL);
                value->integer = truth;
                break;
        case CLADE_STRINGS:
                read_strings(reader, node, &value->strings, NULL);
                break;
        case CLADE_PATHS:
                read_path_list(reader, node, &value->strings, NULL);
                break;
        case CLADE_TARGETS: /* several values: read_targets */
                break;
        }
}

/* Kept also after a fault: config_finish frees what is there, and nobody else sees it. */
static void add_value(struct reader *reader, const struct node *node,
                      const struct catalogue_option *option, struct config_application *application)
{
        struct config_value *value;

        if (option->type == CLADE_TARGETS) {
                read_targets(reader, node, option, application);
                return;
        }
        value = value_add(reader, application, option->name, option->type);
        if (value)
                read_value(reader, node, option, value);
}

bool read_option(struct reader *reader, const struct node *node, void *target)
{
        struct config_application *application = target;
        const struct catalogue_module *module = application->module, *owner;
        const struct catalogue_option *option = module ? find_option(module, node->key) : NULL;

        if (option) {
                add_value(reader, node, option, application);
                return true;
        }
        owner = find_owner(reader->catalogue, node->key);
        if (owner && module) {
                fault_key(reader, node,
                          "\"%s\" is an option of type %s, but this application is of type %s: "
                          "remove it or change the type",
                          node->key, owner->type, module->type);
                return true;
        }
        /* Without a known type nobody can say whether it belongs here. */
        return owner != NULL;
}

void offer_options(const struct reader *reader, const void *target, struct suggestion *suggestion)
{
        const struct config_application *application = target;

        for (size_t i = 0; i < reader->catalogue->count; i++) {
                const struct catalogue_module *module = reader->catalogue->modules[i];

                if (application->module && application->module != module)
                        continue;
                for (size_t j = 0; j < module->option_count; j++)
                        suggest_offer(suggestion, module->options[j].name);
        }
}

void check_options(struct reader *reader, const struct node *node,
                   struct config_application *application)
{
        const struct catalogue_module *module = application->module;

        for (size_t i = 0; module && i < module->option_count; i++) {
                const struct catalogue_option *option = &module->options[i];

                if (option->required && !json_object_get(node->json, option->name))
                        fault_value(reader, node, "\"%s\" is missing: type %s needs it%s%s%s",
                                    option->name, module->type, option->help ? " (" : "",
                                    option->help ? option->help : "", option->help ? ")" : "");
        }
}
