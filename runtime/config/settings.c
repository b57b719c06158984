/* "settings": what concerns clade as a whole. */
#include "runtime/config/schema.h"

#include <stddef.h>

#include "base/own.h"
#include "runtime/config/id_maps.h"
#include "runtime/config/resources.h"
#include "runtime/config/values.h"

#define ID_LAST        4294967293 /* id_maps.c */
#define ID_FIRST_LEAST 1000       /* below are the host's own users */

/* --- id_ranges ----------------------------------------------------------------------------------- */

static const struct key id_ranges_keys[] = {
        {"first", read_u32, offsetof(struct config_settings, id_first),
         &(const struct integer_rule){ID_FIRST_LEAST, ID_LAST, NULL}, NULL},
        {"count", read_u32, offsetof(struct config_settings, id_count),
         &(const struct integer_rule){1, ID_LAST, NULL}, NULL},
        {"size", read_u32, offsetof(struct config_settings, id_size),
         &(const struct integer_rule){1, ID_LAST, NULL}, NULL},
};

static const struct schema id_ranges_schema = {
        .what = "the id ranges",
        .keys = id_ranges_keys,
        .count = ARRAY_SIZE(id_ranges_keys),
};

/* What is not written has its default; what comes of it together must be ids. */
static void read_id_ranges(struct reader *reader, const struct node *node, void *member,
                           const void *rule)
{
        struct config_settings *settings = member, ranges = *settings;
        size_t faults = reader->fault_count + reader->left_out;
        const char *fault;
        uint64_t count;

        (void)rule;
        if (!read_object(reader, node, &id_ranges_schema, &ranges) ||
            reader->fault_count + reader->left_out > faults)
                return;
        count = (uint64_t)ranges.id_count *
                (ranges.id_size ? ranges.id_size : CONFIG_RANGE_SIZE_DEFAULT);
        fault = id_range_fault(ranges.id_first, count);
        if (fault) {
                fault_value(reader, node,
                            "the ranges have the ids %u to %llu, %s: choose another \"first\", "
                            "\"count\" or \"size\"",
                            ranges.id_first, (unsigned long long)ranges.id_first + count - 1,
                            fault);
                return;
        }
        settings->id_first = ranges.id_first;
        settings->id_count = ranges.id_count;
        settings->id_size = ranges.id_size;
}

/* --- http ---------------------------------------------------------------------------------------- */

#define HTTP(name) offsetof(struct clade_http_settings, name)

static const struct integer_rule http_timeout = {1, 3600, "seconds"};

static const struct key http_keys[] = {
        {"header_read_timeout", read_u32, HTTP(header_read_timeout), &http_timeout, NULL},
        {"body_read_timeout", read_u32, HTTP(body_read_timeout), &http_timeout, NULL},
        {"send_timeout", read_u32, HTTP(send_timeout), &http_timeout, NULL},
        {"idle_timeout", read_u32, HTTP(idle_timeout), &http_timeout, NULL},
        {"max_body_size", read_size, HTTP(max_body_size), NULL, NULL},
};

static const struct schema http_schema = {
        .what = "the settings of HTTP",
        .keys = http_keys,
        .count = ARRAY_SIZE(http_keys),
};

static void read_http(struct reader *reader, const struct node *node, void *member,
                      const void *rule)
{
        (void)rule;
        read_object(reader, node, &http_schema, member);
}

/* --- all of them --------------------------------------------------------------------------------- */

static const struct key settings_keys[] = {
        {"stop_timeout", read_u32, offsetof(struct config_settings, stop_timeout),
         &(const struct integer_rule){0, 3600, "seconds"}, NULL},
        {"start_timeout", read_u32, offsetof(struct config_settings, start_timeout),
         &(const struct integer_rule){1, 3600, "seconds"}, NULL},
        {"id_ranges", read_id_ranges, 0, NULL, NULL},
        {"http", read_http, offsetof(struct config_settings, http), NULL, NULL},
        {"cgroup", read_path, offsetof(struct config_settings, cgroup), NULL, NULL},
        {"templates", read_path, offsetof(struct config_settings, templates), NULL, NULL},
        {"state_directory", read_path, offsetof(struct config_settings, state_directory), NULL,
         NULL},
};

static const struct schema settings_schema = {
        .what = "the settings",
        .keys = settings_keys,
        .count = ARRAY_SIZE(settings_keys),
};

void read_settings(struct reader *reader, const struct node *node, void *member, const void *rule)
{
        (void)rule;
        read_object(reader, node, &settings_schema, member);
}

void settings_defaults(struct reader *reader, struct config_settings *settings)
{
        settings->stop_timeout = 30;
        settings->start_timeout = 60;
        settings->http = (struct clade_http_settings){
                .header_read_timeout = 30,
                .body_read_timeout = 30,
                .send_timeout = 30,
                .idle_timeout = 180,
                .max_body_size = 8u << 20,
        };
        settings->id_first = 1879048192;
        settings->id_count = 4096;
        store_string(reader, &settings->state_directory, "/var/lib/clade");
}
