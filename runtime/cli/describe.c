#include "runtime/cli/describe.h"

#include <string.h>
#include <sys/sysmacros.h>

#include "isolation/apply.h"
#include "isolation/ladder.h"

/* In the words of the configuration, so that it can be written there. */
static json_t *describe_map(const struct plan_id_map *map)
{
        json_t *list = json_array();

        for (size_t i = 0; i < map->count; i++)
                json_array_append_new(list, json_pack("{s:I, s:I, s:I}", "container",
                                                      (json_int_t)map->extents[i].inside, "host",
                                                      (json_int_t)map->extents[i].outside, "size",
                                                      (json_int_t)map->extents[i].count));
        return list;
}

static json_t *describe_identity(const struct plan_identity *identity)
{
        static const char *const methods[] = {
                [PLAN_IDS_NONE] = "none",
                [PLAN_IDS_DIRECT] = "direct",
                [PLAN_IDS_HELPER] = "newuidmap",
        };
        json_t *object = json_pack(
                "{s:s, s:I, s:I, s:I, s:I, s:b}", "method", methods[identity->method], "uid",
                (json_int_t)identity->uid, "gid", (json_int_t)identity->gid, "host_uid",
                (json_int_t)plan_host_uid(identity), "host_gid",
                (json_int_t)plan_host_gid(identity), "setgroups_denied", identity->deny_groups);

        if (identity->method != PLAN_IDS_NONE) {
                json_object_set_new(object, "uid_map", describe_map(&identity->uid_map));
                json_object_set_new(object, "gid_map", describe_map(&identity->gid_map));
        }
        return object;
}

static json_t *describe_source(const struct plan_source *source)
{
        json_t *object =
                json_pack("{s:s, s:s, s:I, s:I, s:b}", "path", source->path, "type",
                          describe_file_type(source->type), "device", (json_int_t)source->device,
                          "inode", (json_int_t)source->inode, "must_be_readable", source->readable);

        if (source->special)
                json_object_set_new(
                        object, "number",
                        json_sprintf("%u:%u", major(source->special), minor(source->special)));
        return object;
}

static json_t *describe_parameters(const struct plan_entry *entry)
{
        json_t *object = json_object();

        for (size_t i = 0; i < entry->parameter_count; i++)
                json_object_set_new(object, entry->parameters[i].key,
                                    json_string(entry->parameters[i].value));
        return object;
}

static json_t *describe_entry(const struct plan *plan, const struct plan_entry *entry)
{
        static const char *const kinds[PLAN_ENTRY_KINDS] = {
                [PLAN_DIRECTORY] = "directory", [PLAN_FILE] = "file",
                [PLAN_SYMLINK] = "symlink",     [PLAN_BIND] = "bind",
                [PLAN_TMPFS] = "tmpfs",         [PLAN_PROC] = "proc",
                [PLAN_DEVPTS] = "devpts",       [PLAN_MQUEUE] = "mqueue",
                [PLAN_MASK] = "mask",           [PLAN_READONLY] = "read-only",
        };
        json_t *object =
                json_pack("{s:s, s:s}", "kind", kinds[entry->kind], "target", entry->target);

        if (entry->kind == PLAN_BIND)
                json_object_set_new(object, "source",
                                    json_string(plan->sources[entry->source].path));
        if (entry->kind == PLAN_SYMLINK || entry->kind == PLAN_FILE)
                json_object_set_new(object, "content", json_string(entry->content));
        if (entry->kind == PLAN_DIRECTORY || entry->kind == PLAN_FILE || entry->kind == PLAN_TMPFS)
                json_object_set_new(object, "mode", describe_mode(entry->mode));
        if (entry->kind == PLAN_TMPFS) {
                json_object_set_new(object, "size", json_integer((json_int_t)entry->size));
                json_object_set_new(object, "inodes", json_integer((json_int_t)entry->inodes));
        }
        if (plan_is_mount(entry->kind))
                json_object_set_new(object, "attributes", describe_attributes(entry->attributes));
        if (entry->parameter_count > 0)
                json_object_set_new(object, "parameters", describe_parameters(entry));
        return object;
}

static json_t *describe_root(const struct plan *plan)
{
        json_t *sources = json_array(), *entries = json_array();

        if (!plan->root) {
                json_decref(sources);
                json_decref(entries);
                return json_null();
        }
        for (size_t i = 0; i < plan->source_count; i++)
                json_array_append_new(sources, describe_source(&plan->sources[i]));
        for (size_t i = 0; i < plan->entry_count; i++)
                json_array_append_new(entries, describe_entry(plan, &plan->entries[i]));
        return json_pack("{s:b, s:I, s:I, s:o, s:o}", "writable", plan->root_writable, "size",
                         (json_int_t)plan->root_size, "inodes", (json_int_t)plan->root_inodes,
                         "sources", sources, "entries", entries);
}

static json_t *describe_filter(const struct plan_filter *filter)
{
        json_t *lines = json_array();

        for (const char *at = filter->text ? filter->text : ""; *at;) {
                size_t length = strcspn(at, "\n");

                json_array_append_new(lines, json_stringn(at, length));
                at += length + (at[length] == '\n');
        }
        return json_pack("{s:s, s:I, s:o}", "name", filter->name ? filter->name : "none",
                         "instructions", (json_int_t)filter->length, "text", lines);
}

static json_t *describe_filters(const struct plan *plan)
{
        json_t *list = json_array();

        for (size_t i = 0; i < plan->prototype_filter_count; i++)
                json_array_append_new(list, describe_filter(&plan->prototype_filters[i]));
        return list;
}

static json_t *describe_rlimits(const struct plan *plan)
{
        json_t *list = json_array();

        for (size_t i = 0; i < plan->rlimit_count; i++)
                json_array_append_new(list, describe_rlimit(&plan->rlimits[i]));
        return list;
}

/* Steps come one by one, each followed by its calls. */
static void on_step(void *context, const char *name)
{
        json_array_append_new(context, json_pack("{s:s, s:[]}", "step", name, "calls"));
}

static void on_call(void *context, const char *system_call, const char *arguments)
{
        json_t *step = json_array_get(context, json_array_size(context) - 1);

        json_array_append_new(json_object_get(step, "calls"),
                              json_pack("{s:s, s:s}", "call", system_call, "arguments",
                                        arguments ? arguments : ""));
}

static json_t *describe_steps(const struct plan *plan,
                              void (*describe)(const struct plan *,
                                               const struct isolation_report *))
{
        json_t *list = json_array();
        const struct isolation_report report = {.step = on_step, .call = on_call, .context = list};

        describe(plan, &report);
        return list;
}

json_t *describe_launch(const struct launch *launch, const struct config_application *application,
                        bool show_environment)
{
        const struct plan *plan = &launch->plan;
        json_t *object = describe_application(launch, application, show_environment);
        json_t *isolation;

        isolation = json_pack(
                "{s:s, s:s, s:o, s:o, s:s?, s:o, s:o, s:{s:I, s:o, s:o, s:o}, s:{s:o, s:o}}",
                "level", ladder_level_name((enum ladder_level)plan->level), "privilege",
                plan->privileged ? "administrator" : "none", "namespaces",
                describe_namespaces(plan->namespaces), "identity",
                describe_identity(&plan->identity), "hostname", plan->hostname, "root",
                describe_root(plan), "limits", describe_rlimits(plan), "landlock", "abi",
                (json_int_t)plan->landlock_abi, "prototype",
                describe_landlock(&plan->prototype_domain), "configured",
                describe_landlock(&plan->configured_domain), "worker",
                describe_landlock(&plan->worker_domain), "seccomp", "prototype",
                describe_filters(plan), "worker", describe_filter(&plan->worker_filter));
        json_object_update(object, isolation);
        json_object_set_new(object, "minimum",
                            json_string(ladder_level_name(application->isolation.minimum)));
        json_object_set_new(object, "maximum",
                            json_string(ladder_level_name(application->isolation.maximum)));
        json_object_update_new(object, describe_locks(plan));
        json_object_set_new(object, "cgroup", describe_cgroup(&plan->cgroup));
        json_object_set_new(object, "steps", describe_steps(plan, isolation_describe));
        json_object_set_new(object, "worker_steps",
                            describe_steps(plan, isolation_describe_worker));
        if (!isolation) {
                json_decref(object);
                object = NULL;
        }
        json_decref(isolation);
        return object;
}
