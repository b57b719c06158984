/* How many workers an application has, and for how long they serve: "processes", and what in "limits" is about
 * requests. A fixed number is possible for every type; all else only where workers say what they work on. */
#include "runtime/config/schema.h"

#include <stdio.h>
#include <string.h>

#include "base/own.h"
#include "runtime/config/values.h"

#define PROCESSES_EXAMPLE "{\"max\": 8, \"spare\": 2}"
#define IDLE_TIMEOUT_MOST 86400 /* s */

static const struct integer_rule max_rule = {1, CONFIG_PROCESSES_MAX, NULL};

#define MEMBER(name) offsetof(struct config_processes, name)

static const struct key processes_keys[] = {
        {"max", read_u32, MEMBER(max), &max_rule, NULL},
        {"spare", read_u32, MEMBER(spare),
         &(const struct integer_rule){0, CONFIG_PROCESSES_MAX, NULL}, NULL},
        {"idle_timeout", read_u32, MEMBER(idle_timeout),
         &(const struct integer_rule){1, IDLE_TIMEOUT_MOST, "seconds"}, NULL},
};

static const struct schema processes_schema = {
        .what = "\"processes\"",
        .keys = processes_keys,
        .count = ARRAY_SIZE(processes_keys),
};

static void read_range(struct reader *reader, const struct node *node,
                       struct config_processes *processes)
{
        const struct node spare = NODE_MEMBER(node, "spare", json_object_get(node->json, "spare"));
        size_t faults = reader->fault_count + reader->left_out;

        processes->dynamic = true;
        processes->spare = 1;
        read_object(reader, node, &processes_schema, processes);
        if (reader->fault_count + reader->left_out > faults || processes->spare <= processes->max)
                return;
        fault_value(reader, &spare,
                    "%u idle processes cannot be kept ready when there are at most %u: expected "
                    "at most \"max\"%s",
                    processes->spare, processes->max,
                    json_object_get(node->json, "max") ? "" : ", which is 1 where it is not given");
}

void read_processes(struct reader *reader, const struct node *node, void *member, const void *rule)
{
        struct config_processes *processes = member;
        int64_t number;

        (void)rule;
        if (json_is_object(node->json)) {
                read_range(reader, node, processes);
        } else if (json_is_number(node->json) || json_is_string(node->json)) {
                if (value_integer(reader, node, &max_rule, &number))
                        processes->max = processes->spare = (uint32_t)number;
        } else {
                fault_expected(reader, node,
                               "an integer from 1 to 1024, or an object as in " PROCESSES_EXAMPLE);
        }
}

/* The types whose modules count requests, "a, b"; cut where it gets long. */
static const char *list_counting(const struct catalogue *catalogue, char *text, size_t size)
{
        const char *last = "";
        size_t used = 0;

        text[0] = '\0';
        for (size_t i = 0; i < catalogue->count && used < size; i++) {
                const struct catalogue_module *module = catalogue->modules[i];

                if (!module->counts_requests || strcmp(module->type, last) == 0)
                        continue;
                last = module->type;
                used += (size_t)snprintf(text + used, size - used, "%s%s", used ? ", " : "", last);
        }
        return text;
}

static void refuse(struct reader *reader, const struct node *node, const char *type,
                   const char *unknown, const char *remedy)
{
        char types[128];

        list_counting(reader->catalogue, types, sizeof(types));
        fault_key(reader, node,
                  "an application of type %s does not tell clade of its requests, so that nobody "
                  "knows %s: %s%s%s",
                  type, unknown, remedy, types[0] ? ", or use a type that does: " : "", types);
}

void check_processes(struct reader *reader, const struct node *node,
                     const struct config_application *application)
{
        const struct catalogue_module *module = application->module;
        const struct node processes =
                NODE_MEMBER(node, "processes", json_object_get(node->json, "processes"));
        const struct node limits =
                NODE_MEMBER(node, "limits", json_object_get(node->json, "limits"));
        const struct node requests =
                NODE_MEMBER(&limits, "requests", json_object_get(limits.json, "requests"));
        const struct node timeout =
                NODE_MEMBER(&limits, "timeout", json_object_get(limits.json, "timeout"));

        if (!module || module->counts_requests)
                return;
        if (json_is_object(processes.json))
                refuse(reader, &processes, module->type, "when one more process is needed",
                       "write how many there are, as in 4");
        if (requests.json)
                refuse(reader, &requests, module->type, "when a process has served so many",
                       "remove \"requests\"");
        if (timeout.json)
                refuse(reader, &timeout, module->type, "how long one takes", "remove \"timeout\"");
}

/* A listener with a fault may have been meant for anybody. */
static bool listeners_are_good(const struct reader *reader)
{
        static const char start[] = "/listeners";

        for (size_t i = 0; i < reader->fault_count; i++)
                if (strncmp(reader->faults[i].pointer, start, sizeof(start) - 1) == 0)
                        return false;
        return reader->left_out == 0;
}

static bool has_listener(const struct config *config, size_t application)
{
        for (size_t i = 0; i < config->listener_count; i++)
                if (config->listeners[i].application == application)
                        return true;
        return false;
}

void check_starts(struct reader *reader, const struct node *node)
{
        const struct config *config = reader->config;
        const struct node applications =
                NODE_MEMBER(node, "applications", json_object_get(node->json, "applications"));

        if (reader->error || !listeners_are_good(reader))
                return;
        for (size_t i = 0; i < config->application_count; i++) {
                const struct config_application *application = &config->applications[i];
                const struct node own =
                        NODE_MEMBER(&applications, application->name,
                                    json_object_get(applications.json, application->name));
                const struct node processes =
                        NODE_MEMBER(&own, "processes", json_object_get(own.json, "processes"));
                const struct node spare =
                        NODE_MEMBER(&processes, "spare", json_object_get(processes.json, "spare"));

                if (application->processes.spare > 0 || !spare.json || has_listener(config, i))
                        continue;
                fault_value(reader, &spare,
                            "without a spare process one is started when a client connects, and no "
                            "listener passes to this application: expected a listener, or at least "
                            "1");
        }
}
