/* "settings": what concerns clade as a whole. */
#include "runtime/config/schema.h"

#include <stddef.h>

#include "base/own.h"
#include "runtime/config/values.h"

/* (uid_t)-1 means "none" to the kernel and -2 is nobody's in many places, so the last one is 2^32 - 3.
 * 65534 is the overflow id and 65535 the 16-bit "none" (user_namespaces(7), setfsuid(2)). */
#define ID_LAST        4294967293
#define ID_RESERVED    65534
#define ID_RESERVED_TO 65535
#define ID_FIRST_LEAST 1000 /* below are the host's own users */

static const struct key id_range_keys[] = {
        {"first", read_u32, offsetof(struct config_settings, id_first),
         &(const struct integer_rule){ID_FIRST_LEAST, ID_LAST, NULL}, "the first id of the range"},
        {"count", read_u32, offsetof(struct config_settings, id_count),
         &(const struct integer_rule){1, ID_LAST, NULL}, "how many ids the range has"},
};

static const struct schema id_range_schema = {
        .what = "the id range",
        .keys = id_range_keys,
        .count = ARRAY_SIZE(id_range_keys),
};

static void read_id_range(struct reader *reader, const struct node *node, void *member,
                          const void *rule)
{
        struct config_settings *settings = member, range = {.id_first = 0};
        uint64_t last;

        (void)rule;
        if (!read_object(reader, node, &id_range_schema, &range) || !range.id_first ||
            !range.id_count)
                return;
        last = (uint64_t)range.id_first + range.id_count - 1;
        if (last > ID_LAST) {
                fault_value(reader, node,
                            "the range ends at %llu, beyond the last usable id %u: choose a lower "
                            "\"first\" or \"count\"",
                            (unsigned long long)last, (unsigned)ID_LAST);
                return;
        }
        if (range.id_first <= ID_RESERVED_TO && last >= ID_RESERVED) {
                fault_value(reader, node,
                            "the range %u to %llu contains the reserved ids %u and %u: choose one "
                            "below or above them",
                            range.id_first, (unsigned long long)last, ID_RESERVED, ID_RESERVED_TO);
                return;
        }
        settings->id_first = range.id_first;
        settings->id_count = range.id_count;
}

static const struct key settings_keys[] = {
        {"stop_timeout", read_u32, offsetof(struct config_settings, stop_timeout),
         &(const struct integer_rule){0, 3600, "seconds"}, NULL},
        {"start_timeout", read_u32, offsetof(struct config_settings, start_timeout),
         &(const struct integer_rule){1, 3600, "seconds"}, NULL},
        {"id_range", read_id_range, 0, NULL, NULL},
        {"cgroup", read_path, offsetof(struct config_settings, cgroup), NULL, NULL},
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
        settings->id_first = 1879048192;
        settings->id_count = 65536;
        store_string(reader, &settings->state_directory, "/var/lib/clade");
}
