#include "runtime/config/targets.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/own.h"
#include "runtime/config/values.h"

#define MEMBERS_MAX 128 /* words in the 255 bytes of an option's choices */
#define LISTED_MAX  4   /* targets that a message names */

/* While one is being read. */
struct draft {
        struct config_application *application;
        const struct catalogue_option *option;
        const char *target;
};

static void read_member(struct reader *reader, const struct node *node, void *member,
                        const void *rule)
{
        const struct draft *draft = member;
        cleanup_free char *name = NULL;
        struct config_value *value;
        const char *string;

        (void)rule;
        if (!value_string(reader, node, "a string", &string))
                return;
        if (asprintf(&name, "%s/%s/%s", draft->option->name, draft->target, node->key) < 0) {
                name = NULL;
                reader_no_memory(reader);
                return;
        }
        value = value_add(reader, draft->application, name, CLADE_TARGETS);
        if (value)
                store_string(reader, &value->string, string);
}

/* A row for each word of "a|b|c", which is cut into words; the first is required. How many. */
static size_t make_keys(char *choices, struct key keys[MEMBERS_MAX])
{
        size_t count = 0;
        char *rest = choices;

        for (char *word; count < MEMBERS_MAX && (word = strsep(&rest, "|")); count++)
                keys[count] = (struct key){
                        .name = word,
                        .read = read_member,
                        .required = count == 0 ? "a string" : NULL,
                };
        return count;
}

void read_targets(struct reader *reader, const struct node *node,
                  const struct catalogue_option *option, struct config_application *application)
{
        cleanup_free char *choices = strdup(option->choices);
        struct key keys[MEMBERS_MAX];
        struct schema schema = {.what = "a target", .keys = keys};
        const char *name;
        json_t *json;

        if (!choices) {
                reader_no_memory(reader);
                return;
        }
        schema.count = make_keys(choices, keys);
        if (!expect_object(reader, node, "an object of targets by their names"))
                return;
        if (json_object_size(node->json) == 0)
                fault_value(reader, node,
                            "found an empty object, expected one target at least, as in "
                            "{\"NAME\": {\"%s\": ...}}",
                            keys[0].name);
        json_object_foreach (node->json, name, json) {
                const struct node target = NODE_MEMBER(node, name, json);
                struct draft draft = {application, option, name};

                if (reader->error)
                        return;
                if (!check_name(reader, &target, "a target") && strlen(name) > READER_NAME_MAX)
                        continue;
                read_object(reader, &target, &schema, &draft);
        }
}

static const struct catalogue_option *targets_option(const struct catalogue_module *module)
{
        for (size_t i = 0; i < module->option_count; i++)
                if (module->options[i].type == CLADE_TARGETS)
                        return &module->options[i];
        return NULL;
}

/* Some of an application's targets as they are passed to, and whether there are more. */
static void list_targets(const char *application, json_t *targets, char *text, size_t size)
{
        size_t used = 0, count = 0;
        const char *name;
        json_t *json;

        text[0] = '\0';
        json_object_foreach (targets, name, json) {
                if (count++ == LISTED_MAX)
                        break;
                used += (size_t)snprintf(text + used, size - used, "%s\"applications/%s/%s\"",
                                         count > 1 ? ", " : "", application, name);
                if (used >= size) {
                        used = size - 1;
                        break;
                }
        }
        if (json_object_size(targets) > LISTED_MAX)
                snprintf(text + used, size - used, ", ...");
}

static void fault_unknown(struct reader *reader, const struct node *node, const char *application,
                          json_t *targets, const char *target)
{
        struct suggestion near = {.word = target};
        struct quoted quoted;
        char list[512];
        const char *name;
        json_t *json;

        json_object_foreach (targets, name, json) {
                if (reader->comparisons++ >= READER_COMPARISONS_MAX)
                        break;
                suggest_offer(&near, name);
        }
        text_quote(&quoted, target);
        list_targets(application, targets, list, sizeof(list));
        if (near.best)
                fault_value(reader, node,
                            "the application \"%s\" has no target %s: did you mean "
                            "\"applications/%s/%s\"?",
                            application, quoted.text, application, near.best);
        else
                fault_value(reader, node,
                            "the application \"%s\" has no target %s: expected one of %s",
                            application, quoted.text, list);
}

bool check_target(struct reader *reader, const struct node *node,
                  const struct config_application *application, const json_t *json,
                  const char *target)
{
        const struct catalogue_option *option =
                application->module ? targets_option(application->module) : NULL;
        json_t *targets = option ? json_object_get(json, option->name) : NULL;
        const char *name = application->name;
        char list[512];

        if (!application->module || !is_name(name) || (targets && !json_object_size(targets)))
                return true;
        if (targets ? target && json_object_get(targets, target) : !target)
                return true;
        if (!option) {
                fault_value(reader, node,
                            "applications of type %s have no targets: expected "
                            "\"applications/%s\"",
                            application->module->type, name);
        } else if (!targets) {
                fault_value(reader, node,
                            "the application \"%s\" has no \"%s\": expected \"applications/%s\"",
                            name, option->name, name);
        } else if (!target) {
                list_targets(name, targets, list, sizeof(list));
                fault_value(reader, node,
                            "the application \"%s\" has targets, and each listener passes to one "
                            "of them: expected one of %s",
                            name, list);
        } else {
                fault_unknown(reader, node, name, targets, target);
        }
        return false;
}
