/* What of a compiled application is not its confinement: its module, options, listeners and workers. In the words
 * of the configuration, so that it can be compared with what is written there. */
#include <stdlib.h>
#include <string.h>

#include "base/own.h"
#include "runtime/cli/describe.h"

static json_t *describe_environment(char *const *environment, bool show)
{
        json_t *object = json_object();

        for (; environment && *environment; environment++) {
                size_t length = strcspn(*environment, "=");
                const char *value = (*environment)[length] ? *environment + length + 1 : "";
                char *name = strndup(*environment, length);

                if (name)
                        json_object_set_new(object, name, json_string(show ? value : "(hidden)"));
                free(name);
        }
        return object;
}

static json_t *describe_strings(char **strings)
{
        json_t *list = json_array();

        for (; strings && *strings; strings++)
                json_array_append_new(list, json_string(*strings));
        return list;
}

static json_t *describe_value(const struct launch_value *value)
{
        switch ((enum clade_type)value->type) {
        case CLADE_INTEGER:
                return json_integer(value->integer);
        case CLADE_BOOLEAN:
                return json_boolean(value->integer);
        case CLADE_STRINGS:
        case CLADE_PATHS:
                return describe_strings(value->strings);
        default:
                return json_string(value->string ? value->string : "");
        }
}

/* The object of that name in `parent`, which is made where there is none. */
static json_t *enter(json_t *parent, const char *name, size_t length)
{
        cleanup_free char *key = strndup(name, length);
        json_t *child = key ? json_object_get(parent, key) : NULL;

        if (!child && key) {
                child = json_object();
                json_object_set_new(parent, key, child);
        }
        return child;
}

/* "targets/blog/module" is what the file has as {"targets": {"blog": {"module": ...}}}. */
static json_t *describe_options(const struct launch *launch)
{
        json_t *options = json_object();

        for (size_t i = 0; i < launch->value_count; i++) {
                const char *name = launch->values[i].name;
                json_t *at = options;

                for (size_t length; length = strcspn(name, "/"), name[length]; name += length + 1)
                        at = enter(at, name, length);
                json_object_set_new(at, name, describe_value(&launch->values[i]));
        }
        return options;
}

static json_t *describe_listeners(const struct launch *launch)
{
        json_t *listeners = json_object();

        for (size_t i = 0; i < launch->listener_count; i++) {
                const struct launch_listener *listener = &launch->listeners[i];

                json_object_set_new(
                        listeners, listener->address,
                        json_pack("{s:o}", "pass",
                                  json_sprintf("applications/%s%s%s", launch->application,
                                               listener->target ? "/" : "",
                                               listener->target ? listener->target : "")));
        }
        return listeners;
}

static json_t *describe_processes(const struct config_processes *processes)
{
        if (!processes->dynamic)
                return json_integer(processes->max);
        return json_pack("{s:I, s:I, s:I}", "max", (json_int_t)processes->max, "spare",
                         (json_int_t)processes->spare, "idle_timeout",
                         (json_int_t)processes->idle_timeout);
}

static json_t *number_or_null(uint64_t number)
{
        return number ? json_integer((json_int_t)number) : json_null();
}

/* null where workers do not tell of their requests. The settings of HTTP are there for every module that does,
 * whether it speaks HTTP or not. */
static json_t *describe_requests(const struct launch *launch, const struct catalogue_module *module)
{
        const struct clade_http_settings *http = &launch->http;

        if (!module->counts_requests)
                return json_null();
        return json_pack("{s:o, s:o, s:{s:I, s:I, s:I, s:I, s:I}}", "requests",
                         number_or_null(launch->limits.requests), "timeout",
                         number_or_null(launch->limits.timeout), "http", "header_read_timeout",
                         (json_int_t)http->header_read_timeout, "body_read_timeout",
                         (json_int_t)http->body_read_timeout, "send_timeout",
                         (json_int_t)http->send_timeout, "idle_timeout",
                         (json_int_t)http->idle_timeout, "max_body_size",
                         (json_int_t)http->max_body_size);
}

json_t *describe_application(const struct launch *launch,
                             const struct config_application *application, bool show_environment)
{
        const struct catalogue_module *module = application->module;

        return json_pack("{s:s, s:{s:s, s:s, s:s}, s:o, s:o, s:o, s:o, s:o, s:s?}", "application",
                         launch->application, "module", "type", module->type, "version",
                         module->version, "file", module->path, "options", describe_options(launch),
                         "listeners", describe_listeners(launch), "processes",
                         describe_processes(&application->processes), "serving",
                         describe_requests(launch, module), "environment",
                         describe_environment(launch->environment, show_environment),
                         "working_directory", launch->working_directory);
}
