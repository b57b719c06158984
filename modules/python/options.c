/* The options as a whole: what each may be by itself clade has checked. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "modules/python/python.h"

#define CALLABLE_DEFAULT "application"

static int no_memory(struct clade_application *application)
{
        return application->host->fail(application->failure, ENOMEM, NULL, "options");
}

static const char *string_of(const struct clade_application *application, const char *name)
{
        const struct clade_value *value = clade_value(application, name);

        return value ? value->string : NULL;
}

static int64_t integer_of(const struct clade_application *application, const char *name,
                          int64_t otherwise)
{
        const struct clade_value *value = clade_value(application, name);

        return value ? value->integer : otherwise;
}

static int check_entry(struct clade_application *application, const struct entry *entry)
{
        const struct clade_host *host = application->host;
        const char *where = entry->target ? entry->target : application->name;
        size_t length = entry->prefix ? strlen(entry->prefix) : 0;

        if (!entry->module)
                return host->fail(application->failure, EINVAL,
                                  "name what is to be imported: \"module\": \"wsgi\", or several "
                                  "of them under \"targets\"",
                                  "\"module\" is missing");
        if (entry->prefix && (entry->prefix[0] != '/' || entry->prefix[length - 1] == '/'))
                return host->fail(application->failure, EINVAL,
                                  "write it as \"/shop\", with a slash in front and none behind",
                                  "prefix \"%s\" of %s", entry->prefix, where);
        return 0;
}

/* "targets/NAME/MEMBER": NAME's length, and where MEMBER is. A target's name may have slashes; members have none. */
static const char *target_name(const struct clade_value *value, size_t *ret_length)
{
        const char *name = value->name + strlen("targets/");
        const char *slash = strrchr(name, '/');

        if (strncmp(value->name, "targets/", strlen("targets/")) != 0 || !slash)
                return NULL;
        *ret_length = (size_t)(slash - name);
        return name;
}

static struct entry *find_entry(struct python *python, const char *name, size_t length)
{
        for (size_t i = 0; i < python->entry_count; i++) {
                const char *target = python->entries[i].target;

                if (target && strlen(target) == length && memcmp(target, name, length) == 0)
                        return &python->entries[i];
        }
        return NULL;
}

static int add_member(struct clade_application *application, struct python *python,
                      const struct clade_value *value)
{
        size_t length;
        const char *name = target_name(value, &length), *member;
        struct entry *entry;

        if (!name)
                return 0;
        entry = find_entry(python, name, length);
        if (!entry) {
                entry = &python->entries[python->entry_count];
                *entry = (struct entry){.target = strndup(name, length),
                                        .callable = CALLABLE_DEFAULT};
                if (!entry->target)
                        return no_memory(application);
                python->entry_count++;
        }
        member = name + length + 1;
        if (strcmp(member, "module") == 0)
                entry->module = value->string;
        else if (strcmp(member, "callable") == 0)
                entry->callable = value->string;
        else
                entry->prefix = value->string;
        return 0;
}

static int read_targets(struct clade_application *application, struct python *python)
{
        static const char *const alone[] = {"module", "callable", "prefix"};
        int r = 0;

        for (size_t i = 0; r == 0 && i < application->value_count; i++)
                r = add_member(application, python, &application->values[i]);
        if (r < 0 || python->entry_count == 0)
                return r;
        for (size_t i = 0; i < sizeof(alone) / sizeof(alone[0]); i++)
                if (clade_value(application, alone[i]))
                        return application->host->fail(
                                application->failure, EINVAL, "say it in each of the targets",
                                "\"%s\" and \"targets\" are both there", alone[i]);
        return 0;
}

static int find_listener(struct clade_application *application, struct python *python, size_t i)
{
        const char *target = application->targets[i];
        struct entry *entry = &python->entries[0];

        if (entry->target)
                entry = target ? find_entry(python, target, strlen(target)) : NULL;
        else if (target)
                entry = NULL;
        if (!entry)
                return application->host->fail(
                        application->failure, EINVAL,
                        "pass it to one of the application's \"targets\"",
                        "listener %s leads to %s%s", application->listeners[i],
                        target ? "no target that there is: " : "none of the targets",
                        target ? target : "");
        python->by_listener[i] = (size_t)(entry - python->entries);
        return 0;
}

/* The values move before preload is called (clade/module.h promises them to each hook, not their place). */
static int keep(struct clade_application *application, struct entry *entry)
{
        const char **strings[] = {&entry->module, &entry->callable, &entry->prefix};

        for (size_t i = 0; i < sizeof(strings) / sizeof(strings[0]); i++) {
                if (!*strings[i])
                        continue;
                *strings[i] = strdup(*strings[i]);
                if (!*strings[i])
                        return no_memory(application);
        }
        return 0;
}

int options_read(struct clade_application *application, struct python *python)
{
        int r;

        python->entries = calloc(application->value_count + 1, sizeof(*python->entries));
        python->by_listener = calloc(application->listener_count + 1, sizeof(size_t));
        if (!python->entries || !python->by_listener)
                return no_memory(application);
        python->threads = (unsigned)integer_of(application, "threads", 1);
        python->stack_size = (size_t)integer_of(application, "thread_stack_size", 0);
        r = read_targets(application, python);
        if (r < 0)
                return r;
        if (python->entry_count == 0) {
                const char *callable = string_of(application, "callable");

                python->entries[0] = (struct entry){
                        .module = string_of(application, "module"),
                        .callable = callable ? callable : CALLABLE_DEFAULT,
                        .prefix = string_of(application, "prefix"),
                };
                python->entry_count = 1;
        }
        for (size_t i = 0; r == 0 && i < python->entry_count; i++)
                r = check_entry(application, &python->entries[i]);
        for (size_t i = 0; r == 0 && i < python->entry_count; i++)
                r = keep(application, &python->entries[i]);
        for (size_t i = 0; r == 0 && i < application->listener_count; i++)
                r = find_listener(application, python, i);
        return r;
}
