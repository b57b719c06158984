/* The ancestor's form: an array of extents, each an object. What the host knows of the ids (accounts, ranges of
 * users, what we may give away at all) is the compiler's affair; here is what the file itself tells. */
#include "runtime/config/id_maps.h"

#include <sched.h>
#include <stdlib.h>
#include <string.h>

#include "base/own.h"
#include "runtime/config/schema.h"
#include "runtime/config/values.h"

/* (uid_t)-1 means "none" to the kernel and -2 is nobody's in many places, so the last one is 2^32 - 3. */
#define ID_LAST 4294967293

/* 65534 is the overflow id and 65535 the 16-bit "none" (user_namespaces(7), setfsuid(2)). */
#define ID_RESERVED    65534
#define ID_RESERVED_TO 65535

static const char expected[] = "\"auto\", or an array of objects with \"container\", \"host\" and "
                               "\"size\"";

const char *id_range_fault(uint64_t first, uint64_t count)
{
        uint64_t last = first + count - 1;

        if (last > ID_LAST)
                return "beyond the last usable id 4294967293";
        if (first <= ID_RESERVED_TO && last >= ID_RESERVED)
                return "and contain the reserved ids 65534 and 65535";
        return NULL;
}

/* Host id 0 is the host's root, whatever a file system or a kernel then grants to it. */
static void read_host_id(struct reader *reader, const struct node *node, void *member,
                         const void *rule)
{
        if (json_is_integer(node->json) && json_integer_value(node->json) == 0)
                fault_value(reader, node,
                            "host id 0 is root's, and no application ever has it: expected an "
                            "integer from 1 to %llu",
                            (unsigned long long)ID_LAST);
        else
                read_u32(reader, node, member, rule);
}

/* What is missing or wrong here has been told, and nothing follows from it. */
static const struct key extent_keys[] = {
        {"container", read_u32, offsetof(struct config_id_extent, container),
         &(const struct integer_rule){0, ID_LAST, NULL}, "the first id inside"},
        {"host", read_host_id, offsetof(struct config_id_extent, host),
         &(const struct integer_rule){1, ID_LAST, NULL}, "the first id on the host"},
        {"size", read_u32, offsetof(struct config_id_extent, size),
         &(const struct integer_rule){1, ID_LAST, NULL}, "how many ids it has"},
};

static const struct schema extent_schema = {
        .what = "an extent of an id map",
        .keys = extent_keys,
        .count = ARRAY_SIZE(extent_keys),
};

static bool overlap(uint64_t a, uint64_t b, uint64_t a_count, uint64_t b_count)
{
        return a < b + b_count && b < a + a_count;
}

/* Both sides of an extent for themselves. */
static bool check_extent(struct reader *reader, const struct node *node,
                         const struct config_id_extent *extent)
{
        const char *fault;

        if ((uint64_t)extent->container + extent->size - 1 > ID_LAST) {
                fault_value(reader, node,
                            "its ids inside end at %llu, beyond the last usable id %llu: choose a "
                            "lower \"container\" or \"size\"",
                            (unsigned long long)extent->container + extent->size - 1,
                            (unsigned long long)ID_LAST);
                return false;
        }
        fault = id_range_fault(extent->host, extent->size);
        if (!fault)
                return true;
        fault_value(reader, node,
                    "its ids on the host are %u to %llu, %s: choose another \"host\" or \"size\"",
                    extent->host, (unsigned long long)extent->host + extent->size - 1, fault);
        return false;
}

/* Against those before it, whose index in the file `places` has. */
static bool check_overlap(struct reader *reader, const struct node *node,
                          const struct config_id_map *map, const size_t *places)
{
        const struct config_id_extent *extent = &map->extents[map->count];

        for (size_t i = 0; i < map->count; i++) {
                const struct config_id_extent *other = &map->extents[i];
                bool inside =
                        overlap(extent->container, other->container, extent->size, other->size);

                if (!inside && !overlap(extent->host, other->host, extent->size, other->size))
                        continue;
                fault_value(reader, node,
                            "it overlaps the extent at index %zu %s: expected every id %s in one "
                            "extent only",
                            places[i], inside ? "inside" : "on the host",
                            inside ? "inside" : "of the host");
                return false;
        }
        return true;
}

static void read_extents(struct reader *reader, const struct node *node, struct config_id_map *map,
                         size_t *places)
{
        size_t count = json_array_size(node->json);

        for (size_t i = 0; i < count && !reader->error; i++) {
                const struct node element = NODE_ELEMENT(node, i);
                struct config_id_extent extent = {.size = 0};
                size_t faults = reader->fault_count + reader->left_out;

                if (!read_object(reader, &element, &extent_schema, &extent) ||
                    reader->fault_count + reader->left_out > faults)
                        continue;
                map->extents[map->count] = extent;
                places[map->count] = i;
                if (check_extent(reader, &element, &extent) &&
                    check_overlap(reader, &element, map, places))
                        map->count++;
        }
}

void read_id_map(struct reader *reader, const struct node *node, struct config_id_map *map)
{
        const char *word = json_string_value(node->json);
        size_t count = json_array_size(node->json);
        cleanup_free size_t *places = NULL;

        if (word && strcmp(word, "auto") == 0)
                return;
        if (!json_is_array(node->json)) {
                fault_expected(reader, node, expected);
                return;
        }
        map->given = true;
        if (count == 0 || count > CONFIG_EXTENTS_MAX) {
                fault_value(reader, node,
                            "it has %zu extents: expected 1 to %d, or \"auto\" instead of the "
                            "array",
                            count, CONFIG_EXTENTS_MAX);
                return;
        }
        map->extents = calloc(count, sizeof(*map->extents));
        places = calloc(count, sizeof(*places));
        if (!map->extents || !places) {
                reader_no_memory(reader);
                return;
        }
        read_extents(reader, node, map, places);
}

static bool maps(const struct config_id_map *map, uint32_t id)
{
        for (size_t i = 0; i < map->count; i++)
                if (id >= map->extents[i].container &&
                    id - map->extents[i].container < map->extents[i].size)
                        return true;
        return false;
}

static void check_mapped(struct reader *reader, const struct node *isolation, const char *key,
                         const struct config_id_map *map, const char *what, uint32_t id)
{
        json_t *json = json_object_get(isolation->json, key);
        const struct node node = NODE_MEMBER(isolation, key, json);

        /* Where extents had to be left out, they might have had it. */
        if (!map->given || map->count == 0 || map->count < json_array_size(json) || maps(map, id))
                return;
        fault_value(reader, &node,
                    "the map does not have the application's %s id %u inside: add an extent that "
                    "does, or set \"%s\" to an id that is mapped",
                    what, id, what);
}

void check_id_maps(struct reader *reader, const struct node *node,
                   const struct config_application *application)
{
        const struct config_isolation *isolation = &application->isolation;
        const struct node at =
                NODE_MEMBER(node, "isolation", json_object_get(node->json, "isolation"));
        const bool uids = isolation->uid_map.given, gids = isolation->gid_map.given;

        if (!uids && !gids)
                return;
        if (uids != gids) {
                const char *key = uids ? "uidmap" : "gidmap", *other = uids ? "gidmap" : "uidmap";
                const struct node given = NODE_MEMBER(&at, key, json_object_get(at.json, key));

                fault_key(reader, &given,
                          "%s are mapped, and %s are not: write \"%s\" as an array, too, or "
                          "leave both to \"auto\"",
                          uids ? "users" : "groups", uids ? "groups" : "users", other);
                return;
        }
        check_mapped(reader, &at, "uidmap", &isolation->uid_map, "user", application->uid);
        check_mapped(reader, &at, "gidmap", &isolation->gid_map, "group", application->gid);
}
