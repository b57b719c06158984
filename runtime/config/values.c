#include "runtime/config/values.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/own.h"
#include "runtime/config/path.h"

#define NAME_LENGTH_MAX 64 /* bytes */

void store_string(struct reader *reader, char **member, const char *string)
{
        char *copy = strdup(string);

        if (!copy) {
                reader_no_memory(reader);
                return;
        }
        free(*member);
        *member = copy;
}

static void fault_integer(struct reader *reader, const struct node *node,
                          const struct integer_rule *rule, const char *hint)
{
        struct quoted found;
        const char *unit = rule->unit ? rule->unit : "";

        fault_value(reader, node,
                    "found %s, expected an integer from %" PRId64 " to %" PRId64 "%s%s%s",
                    text_describe(&found, node->json), rule->minimum, rule->maximum,
                    unit[0] ? " " : "", unit, hint);
}

bool value_integer(struct reader *reader, const struct node *node, const struct integer_rule *rule,
                   int64_t *ret_value)
{
        int64_t value = json_integer_value(node->json);

        if (json_is_real(node->json)) {
                fault_integer(reader, node, rule, ": write it without fraction or exponent");
                return false;
        }
        if (json_string_length(node->json) > 0 &&
            strspn(json_string_value(node->json), "0123456789") == json_string_length(node->json)) {
                fault_integer(reader, node, rule, ": write it without quotes");
                return false;
        }
        if (!json_is_integer(node->json) || value < rule->minimum || value > rule->maximum) {
                fault_integer(reader, node, rule, "");
                return false;
        }
        *ret_value = value;
        return true;
}

void read_u32(struct reader *reader, const struct node *node, void *member, const void *rule)
{
        int64_t value;

        if (value_integer(reader, node, rule, &value))
                *(uint32_t *)member = (uint32_t)value;
}

void read_u64(struct reader *reader, const struct node *node, void *member, const void *rule)
{
        int64_t value;

        if (value_integer(reader, node, rule, &value))
                *(uint64_t *)member = (uint64_t)value;
}

void read_boolean(struct reader *reader, const struct node *node, void *member, const void *rule)
{
        (void)rule;
        if (json_is_boolean(node->json))
                *(bool *)member = json_is_true(node->json);
        else
                fault_expected(reader, node, "true or false");
}

bool value_string(struct reader *reader, const struct node *node, const char *expected,
                  const char **ret_value)
{
        if (!json_is_string(node->json)) {
                fault_expected(reader, node, expected);
                return false;
        }
        *ret_value = json_string_value(node->json);
        return true;
}

void read_string(struct reader *reader, const struct node *node, void *member, const void *rule)
{
        const char *string;

        (void)rule;
        if (value_string(reader, node, "a string", &string))
                store_string(reader, member, string);
}

bool value_path(struct reader *reader, const struct node *node, const struct path_rule *rule,
                const char **ret_value)
{
        const char *path, *fault;
        struct quoted found;

        if (!value_string(reader, node, "an absolute path", &path))
                return false;
        if (!(rule && rule->root && strcmp(path, "/") == 0)) {
                fault = path_fault(path);
                if (fault) {
                        fault_value(reader, node,
                                    "the path %s %s: expected an absolute path like "
                                    "\"/srv/www\"",
                                    text_quote(&found, path), fault);
                        return false;
                }
        }
        *ret_value = path;
        return true;
}

void read_path(struct reader *reader, const struct node *node, void *member, const void *rule)
{
        const char *path;

        if (value_path(reader, node, rule, &path))
                store_string(reader, member, path);
}

void read_path_list(struct reader *reader, const struct node *node, void *member, const void *rule)
{
        size_t count = json_is_string(node->json) ? 1 : json_array_size(node->json);
        char ***paths = member;
        size_t used = 0;

        (void)rule;
        if (count == 0) {
                fault_expected(reader, node, "an absolute path, or an array of such");
                return;
        }
        *paths = calloc(count + 1, sizeof(**paths));
        if (!*paths) {
                reader_no_memory(reader);
                return;
        }
        for (size_t i = 0; i < count; i++) {
                const struct node element = NODE_ELEMENT(node, i);

                read_path(reader, json_is_string(node->json) ? node : &element, &(*paths)[used],
                          NULL);
                used += (*paths)[used] != NULL;
        }
}

void read_strings(struct reader *reader, const struct node *node, void *member, const void *rule)
{
        char ***strings = member;
        size_t count = json_array_size(node->json);

        (void)rule;
        if (!json_is_array(node->json)) {
                fault_expected(reader, node, "an array of strings");
                return;
        }
        free(*strings); /* the empty list that is the default */
        *strings = calloc(count + 1, sizeof(**strings));
        if (!*strings) {
                reader_no_memory(reader);
                return;
        }
        for (size_t i = 0, used = 0; i < count; i++) {
                const struct node element = NODE_ELEMENT(node, i);
                const char *string;

                /* no gap where one was bad: what follows must still be found and freed */
                if (value_string(reader, &element, "a string", &string)) {
                        store_string(reader, &(*strings)[used], string);
                        used += (*strings)[used] != NULL;
                }
        }
}

bool is_name(const char *name)
{
        static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                      "0123456789._-";
        size_t length = strlen(name);

        return length > 0 && length <= NAME_LENGTH_MAX && strspn(name, letters) == length &&
               name[0] != '.' && name[0] != '-';
}

bool check_name(struct reader *reader, const struct node *node, const char *what)
{
        struct quoted quoted;

        if (is_name(node->key))
                return true;
        fault_key(reader, node,
                  "%s is no name of %s: expected 1 to %d letters, digits, "
                  "\".\", \"_\" and \"-\", and neither \".\" nor \"-\" at its beginning",
                  text_quote(&quoted, node->key), what, NAME_LENGTH_MAX);
        return false;
}

struct config_value *value_add(struct reader *reader, struct config_application *application,
                               const char *name, enum clade_type type)
{
        struct config_value *values =
                reallocarray(application->values, application->value_count + 1, sizeof(*values));
        struct config_value *value;

        if (!values) {
                reader_no_memory(reader);
                return NULL;
        }
        application->values = values;
        value = &values[application->value_count++];
        *value = (struct config_value){.type = type};
        store_string(reader, &value->name, name);
        return value;
}
