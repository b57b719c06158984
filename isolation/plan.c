#include "isolation/plan.h"

#include <errno.h>
#include <string.h>

#define INSTRUCTIONS_MAX 4096 /* BPF_MAXINSNS */

bool plan_target_valid(const char *target)
{
        const char *at = target;

        if (!target || target[0] != '/' || target[1] == '\0')
                return false;
        while (*at) {
                size_t length;

                at++; /* the slash */
                length = strcspn(at, "/");
                if (length == 0 || (length == 1 && at[0] == '.') ||
                    (length == 2 && at[0] == '.' && at[1] == '.'))
                        return false;
                at += length;
        }
        return true;
}

static void refuse(struct codec *codec)
{
        if (!codec->error)
                codec->error = -EBADMSG;
}

static bool extents_overlap(const struct plan_id_extent *a, const struct plan_id_extent *b)
{
        return ((uint64_t)a->inside < (uint64_t)b->inside + b->count &&
                (uint64_t)b->inside < (uint64_t)a->inside + a->count) ||
               ((uint64_t)a->outside < (uint64_t)b->outside + b->count &&
                (uint64_t)b->outside < (uint64_t)a->outside + a->count);
}

/* The kernel would refuse the same, only later and with EINVAL for all of it. (uid_t)-1 is no id. */
static bool map_valid(const struct plan_id_map *map)
{
        if (map->count > PLAN_EXTENTS_MAX)
                return false;
        for (size_t i = 0; i < map->count; i++) {
                const struct plan_id_extent *extent = &map->extents[i];

                if (extent->count == 0 || extent->count > UINT32_MAX - extent->inside ||
                    extent->count > UINT32_MAX - extent->outside)
                        return false;
                for (size_t j = 0; j < i; j++)
                        if (extents_overlap(extent, &map->extents[j]))
                                return false;
        }
        return true;
}

bool plan_map_id(const struct plan_id_map *map, uint32_t inside, uint32_t *ret_outside)
{
        for (size_t i = 0; i < map->count; i++) {
                const struct plan_id_extent *extent = &map->extents[i];

                if (inside < extent->inside || inside - extent->inside >= extent->count)
                        continue;
                *ret_outside = extent->outside + (inside - extent->inside);
                return true;
        }
        return false;
}

static uint32_t host_id(const struct plan_identity *identity, const struct plan_id_map *map,
                        uint32_t id)
{
        if (identity->method != PLAN_IDS_NONE)
                plan_map_id(map, id, &id);
        return id;
}

uint32_t plan_host_uid(const struct plan_identity *identity)
{
        return host_id(identity, &identity->uid_map, identity->uid);
}

uint32_t plan_host_gid(const struct plan_identity *identity)
{
        return host_id(identity, &identity->gid_map, identity->gid);
}

static void extent_fields(struct codec *codec, struct plan_id_extent *extent)
{
        codec_u32(codec, &extent->inside);
        codec_u32(codec, &extent->outside);
        codec_u32(codec, &extent->count);
}

static void map_fields(struct codec *codec, struct plan_id_map *map)
{
        if (CODEC_ARRAY(codec, &map->extents, &map->count))
                for (size_t i = 0; i < map->count; i++)
                        extent_fields(codec, &map->extents[i]);
}

static void identity_fields(struct codec *codec, struct plan_identity *identity)
{
        bool namespace;
        uint32_t id;

        codec_u32(codec, &identity->method);
        codec_bool(codec, &identity->deny_groups);
        map_fields(codec, &identity->uid_map);
        map_fields(codec, &identity->gid_map);
        codec_u32(codec, &identity->uid);
        codec_u32(codec, &identity->gid);
        namespace = identity->method != PLAN_IDS_NONE;
        if (identity->method > PLAN_IDS_HELPER || !map_valid(&identity->uid_map) ||
            !map_valid(&identity->gid_map) ||
            (namespace && (!plan_map_id(&identity->uid_map, identity->uid, &id) ||
                           !plan_map_id(&identity->gid_map, identity->gid, &id))))
                refuse(codec);
}

static void source_fields(struct codec *codec, struct plan_source *source)
{
        codec_string(codec, &source->path);
        codec_u64(codec, &source->device);
        codec_u64(codec, &source->inode);
        codec_u64(codec, &source->special);
        codec_u32(codec, &source->type);
        codec_bool(codec, &source->readable);
        codec_u32(codec, &source->owner_map);
        codec_u32(codec, &source->owner_uid);
        codec_u32(codec, &source->owner_gid);
        if (!source->path || source->owner_map > PLAN_OWNERS_TREE ||
            (source->owner_map && (!source->owner_uid || !source->owner_gid)))
                refuse(codec);
}

bool plan_is_mount(uint32_t kind)
{
        return kind == PLAN_BIND || kind == PLAN_TMPFS || kind == PLAN_PROC ||
               kind == PLAN_DEVPTS || kind == PLAN_MQUEUE;
}

static void parameter_fields(struct codec *codec, struct plan_parameter *parameter)
{
        codec_string(codec, &parameter->key);
        codec_string(codec, &parameter->value);
        if (!parameter->key || !parameter->value)
                refuse(codec);
}

static void entry_fields(struct codec *codec, struct plan_entry *entry, size_t sources)
{
        codec_u32(codec, &entry->kind);
        codec_string(codec, &entry->target);
        codec_string(codec, &entry->content);
        codec_u32(codec, &entry->mode);
        codec_u32(codec, &entry->source);
        codec_u64(codec, &entry->size);
        codec_u64(codec, &entry->inodes);
        codec_u64(codec, &entry->attributes);
        codec_bool(codec, &entry->access_times);
        if (CODEC_ARRAY(codec, &entry->parameters, &entry->parameter_count))
                for (size_t i = 0; i < entry->parameter_count; i++)
                        parameter_fields(codec, &entry->parameters[i]);
        if (entry->kind >= PLAN_ENTRY_KINDS || !plan_target_valid(entry->target) ||
            (entry->kind == PLAN_BIND && entry->source >= sources) ||
            ((entry->kind == PLAN_FILE || entry->kind == PLAN_SYMLINK) && !entry->content))
                refuse(codec);
}

static void rlimit_fields(struct codec *codec, struct plan_rlimit *rlimit)
{
        codec_u32(codec, &rlimit->resource);
        codec_u64(codec, &rlimit->soft);
        codec_u64(codec, &rlimit->hard);
}

static void filter_fields(struct codec *codec, struct plan_filter *filter)
{
        size_t size = filter->length * sizeof(*filter->program);
        void *program = filter->program;

        codec_string(codec, &filter->name);
        codec_bytes(codec, &program, &size);
        filter->program = program;
        filter->length = size / sizeof(*filter->program);
        codec_u32(codec, &filter->flags);
        if (size % sizeof(*filter->program) || filter->length > INSTRUCTIONS_MAX ||
            (filter->length > 0 && !filter->name))
                refuse(codec);
}

static void rule_fields(struct codec *codec, struct plan_landlock_rule *rule, uint64_t handled)
{
        codec_string(codec, &rule->path);
        codec_u64(codec, &rule->allowed);
        if (!rule->path || (strcmp(rule->path, "/") != 0 && !plan_target_valid(rule->path)) ||
            !rule->allowed || rule->allowed & ~handled)
                refuse(codec);
}

static void port_fields(struct codec *codec, struct plan_landlock_port *port, uint64_t handled)
{
        codec_u32(codec, &port->port);
        codec_u64(codec, &port->allowed);
        if (port->port > UINT16_MAX || !port->allowed || port->allowed & ~handled)
                refuse(codec);
}

static void landlock_fields(struct codec *codec, struct plan_landlock *landlock)
{
        codec_u64(codec, &landlock->handled_fs);
        codec_u64(codec, &landlock->handled_net);
        codec_u64(codec, &landlock->scoped);
        if (CODEC_ARRAY(codec, &landlock->rules, &landlock->rule_count))
                for (size_t i = 0; i < landlock->rule_count; i++)
                        rule_fields(codec, &landlock->rules[i], landlock->handled_fs);
        if (CODEC_ARRAY(codec, &landlock->ports, &landlock->port_count))
                for (size_t i = 0; i < landlock->port_count; i++)
                        port_fields(codec, &landlock->ports[i], landlock->handled_net);
        codec_u32(codec, &landlock->flags);
}

static void capability_fields(struct codec *codec, struct plan_capabilities *capabilities)
{
        codec_u64(codec, &capabilities->inheritable);
        codec_u64(codec, &capabilities->ambient);
        codec_u64(codec, &capabilities->bounding);
        if (capabilities->ambient & ~capabilities->inheritable)
                refuse(codec);
}

static void scheduling_fields(struct codec *codec, struct plan_scheduling *scheduling)
{
        codec_bool(codec, &scheduling->set_nice);
        codec_bool(codec, &scheduling->set_oom_score);
        codec_u32(codec, &scheduling->nice);
        codec_u32(codec, &scheduling->oom_score);
        if (CODEC_ARRAY(codec, &scheduling->cpus, &scheduling->cpu_words))
                for (size_t i = 0; i < scheduling->cpu_words; i++)
                        codec_u64(codec, &scheduling->cpus[i]);
}

static void clock_fields(struct codec *codec, struct plan_clocks *clocks)
{
        codec_bool(codec, &clocks->set);
        codec_u64(codec, &clocks->monotonic);
        codec_u64(codec, &clocks->boottime);
}

void plan_fields(struct codec *codec, struct plan *plan)
{
        codec_u64(codec, &plan->namespaces);
        identity_fields(codec, &plan->identity);
        codec_bool(codec, &plan->privileged);
        codec_string(codec, &plan->hostname);
        codec_bool(codec, &plan->loopback);
        codec_bool(codec, &plan->keyring);
        codec_bool(codec, &plan->deny_write_execute);
        codec_bool(codec, &plan->undumpable);
        clock_fields(codec, &plan->clocks);
        scheduling_fields(codec, &plan->scheduling);
        capability_fields(codec, &plan->capabilities);
        codec_bool(codec, &plan->root);
        codec_bool(codec, &plan->root_writable);
        codec_u64(codec, &plan->root_size);
        codec_u64(codec, &plan->root_inodes);
        if (CODEC_ARRAY(codec, &plan->sources, &plan->source_count))
                for (size_t i = 0; i < plan->source_count; i++)
                        source_fields(codec, &plan->sources[i]);
        if (CODEC_ARRAY(codec, &plan->entries, &plan->entry_count))
                for (size_t i = 0; i < plan->entry_count; i++)
                        entry_fields(codec, &plan->entries[i], plan->source_count);
        if (CODEC_ARRAY(codec, &plan->rlimits, &plan->rlimit_count))
                for (size_t i = 0; i < plan->rlimit_count; i++)
                        rlimit_fields(codec, &plan->rlimits[i]);
        codec_u32(codec, &plan->landlock_abi);
        landlock_fields(codec, &plan->prototype_domain);
        landlock_fields(codec, &plan->configured_domain);
        landlock_fields(codec, &plan->worker_domain);
        if (CODEC_ARRAY(codec, &plan->prototype_filters, &plan->prototype_filter_count))
                for (size_t i = 0; i < plan->prototype_filter_count; i++) {
                        filter_fields(codec, &plan->prototype_filters[i]);
                        /* A filter that is listed filters. */
                        if (plan->prototype_filters[i].length == 0)
                                refuse(codec);
                }
        filter_fields(codec, &plan->worker_filter);
}
