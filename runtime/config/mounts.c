#include "runtime/config/mounts.h"

#include <stdlib.h>
#include <string.h>

#include "base/own.h"
#include "runtime/config/path.h"
#include "runtime/config/values.h"

#define MOUNT_TYPES_EXPECTED "\"bind\", \"tmpfs\", \"proc\", \"devpts\" or \"mqueue\""

static const char *const mount_types[] = {"bind", "tmpfs", "proc", "devpts", "mqueue"};

static void read_mount_type(struct reader *reader, const struct node *node, void *member,
                            const void *rule)
{
        const char *type;

        (void)rule;
        if (!value_string(reader, node, MOUNT_TYPES_EXPECTED, &type))
                return;
        for (size_t i = 0; i < ARRAY_SIZE(mount_types); i++)
                if (strcmp(mount_types[i], type) == 0) {
                        store_string(reader, member, type);
                        return;
                }
        fault_expected(reader, node, MOUNT_TYPES_EXPECTED);
}

static const struct key mount_keys[] = {
        {"destination", read_path, offsetof(struct config_mount, destination), NULL,
         "the path inside at which it appears"},
        {"type", read_mount_type, offsetof(struct config_mount, type), NULL, NULL},
        {"source", read_string, offsetof(struct config_mount, source), NULL, NULL},
        {"options", read_strings, offsetof(struct config_mount, options), NULL, NULL},
};

static const struct schema mount_schema = {
        .what = "a mount",
        .keys = mount_keys,
        .count = ARRAY_SIZE(mount_keys),
};

/* What the keys must be to each other. */
static void check_source(struct reader *reader, const struct node *node,
                         const struct config_mount *mount)
{
        json_t *source = json_object_get(node->json, "source");
        const struct node at = NODE_MEMBER(node, "source", source);
        bool bind = !mount->type || strcmp(mount->type, "bind") == 0;
        struct quoted quoted;

        /* a type that is there but wrong has been told, and nothing follows from it */
        if (!bind || (!mount->type && json_object_get(node->json, "type")))
                return;
        if (!source && mount->type)
                fault_value(reader, node,
                            "\"source\" is missing: a bind mount needs the path on "
                            "the host that it shows");
        else if (!source)
                fault_value(reader, node,
                            "a mount needs a \"source\" on the host, or a \"type\" "
                            "that has none, as \"tmpfs\"");
        else if (mount->source && strcmp(mount->source, "/") != 0 && path_fault(mount->source))
                fault_value(reader, &at,
                            "the path %s %s: expected an absolute path of the host, since this is "
                            "a bind mount",
                            text_quote(&quoted, mount->source), path_fault(mount->source));
}

/* `destinations` maps those so far to their index. */
static void check_destination(struct reader *reader, const struct node *node,
                              const struct config_mount *mount, json_t *destinations)
{
        const struct node at =
                NODE_MEMBER(node, "destination", json_object_get(node->json, "destination"));
        const json_t *earlier;
        struct quoted quoted;

        if (!mount->destination)
                return;
        earlier = json_object_get(destinations, mount->destination);
        if (earlier)
                fault_value(reader, &at,
                            "%s is already the destination of the mount at index %lld: expected "
                            "every destination only once",
                            text_quote(&quoted, mount->destination),
                            (long long)json_integer_value(earlier));
        else if (json_object_set_new(destinations, mount->destination,
                                     json_integer((json_int_t)node->index)) < 0)
                reader_no_memory(reader);
}

static void read_mount(struct reader *reader, const struct node *node, struct config_mount *mount,
                       json_t *destinations)
{
        /* NOLINTNEXTLINE(clang-analyzer-core.NullDereference): the list has been grown for it */
        mount->pointer = node_pointer(node);
        mount->options = calloc(1, sizeof(*mount->options));
        if (!mount->pointer || !mount->options) {
                reader_no_memory(reader);
                return;
        }
        if (!read_object(reader, node, &mount_schema, mount))
                return;
        check_source(reader, node, mount);
        check_destination(reader, node, mount, destinations);
}

void read_mounts(struct reader *reader, const struct node *node, struct config_isolation *isolation)
{
        size_t count = json_array_size(node->json);
        json_t *destinations;

        if (!json_is_array(node->json)) {
                fault_expected(reader, node, "an array of mounts");
                return;
        }
        isolation->mounts = calloc(count + 1, sizeof(*isolation->mounts));
        destinations = json_object();
        if (!isolation->mounts || !destinations) {
                json_decref(destinations);
                reader_no_memory(reader);
                return;
        }
        for (size_t i = 0; i < count && !reader->error; i++) {
                const struct node mount = NODE_ELEMENT(node, i);

                read_mount(reader, &mount, &isolation->mounts[isolation->mount_count++],
                           destinations);
        }
        json_decref(destinations);
}
