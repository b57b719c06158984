#include "runtime/config/resources.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/own.h"
#include "runtime/config/path.h"
#include "runtime/config/values.h"

#define MEMORY_LEAST   (1u << 20) /* bytes: no prototype fits into less */
#define AMOUNT_MOST    (UINT64_C(1) << 60)
#define AMOUNT_DIGITS  15
#define TASKS_MOST     4194304 /* PID_MAX_LIMIT of the kernel */
#define CPU_LEAST      0.01    /* the kernel's shortest share is 1 ms of a period */
#define CPU_MOST       8192.0
#define CPU_ROUND_UP   0.5
#define SIZE_EXPECTED  "bytes: an integer, or a string as in \"256M\" (K, M, G, T: times 1024 each)"
#define SIZE_SUFFIXES  "KMGT"
#define SUFFIX_BITS    10
#define DEVICE_EXAMPLE "\"/dev/sda\": {\"write_bytes\": \"20M\"}"

/* "256M", "1024". False when it is no size, or one beyond AMOUNT_MOST. */
static bool parse_size(const char *text, uint64_t *ret_size)
{
        size_t digits = strspn(text, "0123456789");
        const char *suffix = text[digits] ? strchr(SIZE_SUFFIXES, text[digits]) : NULL;
        unsigned shift = suffix ? SUFFIX_BITS * (unsigned)(suffix - SIZE_SUFFIXES + 1) : 0;
        uint64_t size = strtoull(text, NULL, 10);

        if (digits == 0 || digits > AMOUNT_DIGITS || (text[digits] && !suffix) ||
            (suffix && text[digits + 1]))
                return false;
        if (size > AMOUNT_MOST >> shift)
                return false;
        *ret_size = size << shift;
        return true;
}

static bool value_amount(struct reader *reader, const struct node *node, uint64_t least,
                         const char *expected, uint64_t *ret_amount)
{
        const char *text = json_string_value(node->json);
        json_int_t number = json_integer_value(node->json);
        uint64_t amount;

        if (json_is_integer(node->json) && number >= 0 && (uint64_t)number <= AMOUNT_MOST) {
                amount = (uint64_t)number;
        } else if (!text || !parse_size(text, &amount)) {
                fault_expected(reader, node, expected);
                return false;
        }
        if (amount < least) {
                fault_value(reader, node, "found %" PRIu64 ", expected at least %" PRIu64, amount,
                            least);
                return false;
        }
        *ret_amount = amount;
        return true;
}

bool value_size(struct reader *reader, const struct node *node, uint64_t *ret_size)
{
        return value_amount(reader, node, 0, SIZE_EXPECTED, ret_size);
}

void read_size(struct reader *reader, const struct node *node, void *member, const void *rule)
{
        (void)rule;
        value_amount(reader, node, 1, SIZE_EXPECTED, member);
}

void read_memory(struct reader *reader, const struct node *node, void *member, const void *rule)
{
        struct config_resources *resources = member;

        (void)rule;
        value_amount(reader, node, MEMORY_LEAST, SIZE_EXPECTED, &resources->memory);
}

void read_swap(struct reader *reader, const struct node *node, void *member, const void *rule)
{
        struct config_resources *resources = member;

        (void)rule;
        value_amount(reader, node, 0, SIZE_EXPECTED, &resources->swap);
}

void read_cpu(struct reader *reader, const struct node *node, void *member, const void *rule)
{
        struct config_resources *resources = member;
        double cpus = json_number_value(node->json);

        (void)rule;
        if (!json_is_number(node->json) || !(cpus >= CPU_LEAST && cpus <= CPU_MOST)) {
                fault_expected(reader, node,
                               "how many processors' time, a number from 0.01 to 8192, as in 0.5");
                return;
        }
        resources->cpu = (uint64_t)(cpus * CONFIG_CPU_UNIT + CPU_ROUND_UP);
}

void read_tasks(struct reader *reader, const struct node *node, void *member, const void *rule)
{
        static const struct integer_rule tasks_rule = {2, TASKS_MOST, "processes and threads"};
        struct config_resources *resources = member;
        int64_t value;

        (void)rule;
        if (value_integer(reader, node, &tasks_rule, &value))
                resources->tasks = (uint64_t)value;
}

/* --- io ----------------------------------------------------------------------------------------- */

static void read_rate(struct reader *reader, const struct node *node, void *member,
                      const void *rule)
{
        value_amount(reader, node, 1, rule, member);
}

#define MEMBER(name)      offsetof(struct config_io, name)
#define BYTES_EXPECTED    SIZE_EXPECTED " in a second"
#define REQUESTS_EXPECTED "requests in a second, an integer from 1 up"

static const struct key io_keys[] = {
        {"read_bytes", read_rate, MEMBER(read_bytes), BYTES_EXPECTED, NULL},
        {"write_bytes", read_rate, MEMBER(write_bytes), BYTES_EXPECTED, NULL},
        {"read_requests", read_rate, MEMBER(read_requests), REQUESTS_EXPECTED, NULL},
        {"write_requests", read_rate, MEMBER(write_requests), REQUESTS_EXPECTED, NULL},
};

static const struct schema io_schema = {
        .what = "the limits of a device",
        .keys = io_keys,
        .count = ARRAY_SIZE(io_keys),
};

static void read_device(struct reader *reader, const struct node *node,
                        struct config_resources *resources)
{
        struct config_io *io = &resources->io[resources->io_count];
        const char *fault = path_fault(node->key);
        struct quoted quoted;

        if (fault) {
                fault_key(reader, node,
                          "the device %s %s: expected a block device's absolute path, as in "
                          "\"/dev/sda\"",
                          text_quote(&quoted, node->key), fault);
                return;
        }
        *io = (struct config_io){
                .read_bytes = CONFIG_UNLIMITED,
                .write_bytes = CONFIG_UNLIMITED,
                .read_requests = CONFIG_UNLIMITED,
                .write_requests = CONFIG_UNLIMITED,
        };
        if (!read_object(reader, node, &io_schema, io))
                return;
        if (json_object_size(node->json) == 0)
                fault_value(reader, node,
                            "no limit for this device: expected one at least, as in %s",
                            DEVICE_EXAMPLE);
        store_string(reader, &io->device, node->key);
        resources->io_count += io->device != NULL;
}

void read_io(struct reader *reader, const struct node *node, void *member, const void *rule)
{
        struct config_resources *resources = member;
        const char *path;
        json_t *json;

        (void)rule;
        if (!expect_object(reader, node,
                           "an object of limits by devices, as in {" DEVICE_EXAMPLE "}"))
                return;
        resources->io = calloc(json_object_size(node->json) + 1, sizeof(*resources->io));
        if (!resources->io) {
                reader_no_memory(reader);
                return;
        }
        json_object_foreach (node->json, path, json) {
                const struct node device = NODE_MEMBER(node, path, json);

                read_device(reader, &device, resources);
        }
}

/* --- the whole ---------------------------------------------------------------------------------- */

void resources_defaults(struct config_resources *resources)
{
        *resources = (struct config_resources){
                .memory = CONFIG_UNLIMITED,
                .swap = CONFIG_UNLIMITED,
                .cpu = CONFIG_UNLIMITED,
                .tasks = CONFIG_UNLIMITED,
        };
}

void check_resources(struct reader *reader, const struct node *node,
                     const struct config_application *application)
{
        const struct config_resources *resources = &application->limits.resources;
        const struct node limits =
                NODE_MEMBER(node, "limits", json_object_get(node->json, "limits"));
        const struct node tasks =
                NODE_MEMBER(&limits, "tasks", json_object_get(limits.json, "tasks"));
        const struct node swap = NODE_MEMBER(&limits, "swap", json_object_get(limits.json, "swap"));

        if (resources->tasks < (uint64_t)application->processes.max + 1)
                fault_value(reader, &tasks,
                            "%" PRIu64 " tasks are too few for %u processes and their prototype: "
                            "expected at least %u",
                            resources->tasks, application->processes.max,
                            application->processes.max + 1);
        if (resources->swap != CONFIG_UNLIMITED && resources->memory == CONFIG_UNLIMITED)
                fault_key(reader, &swap,
                          "swap is what may be used beyond \"memory\": expected that, too");
}

bool config_needs_cgroup(const struct config_resources *resources)
{
        return resources->memory != CONFIG_UNLIMITED || resources->cpu != CONFIG_UNLIMITED ||
               resources->tasks != CONFIG_UNLIMITED || resources->oom_group ||
               resources->io_count > 0;
}

void resources_finish(struct config_resources *resources)
{
        for (size_t i = 0; i < resources->io_count; i++)
                free(resources->io[i].device);
        free(resources->io);
}
