#include "runtime/compile/id_maps.h"

#include <errno.h>
#include <inttypes.h>
#include <unistd.h>

#include "base/own.h"

static const char *const words[ID_KINDS] = {[ID_USERS] = "users", [ID_GROUPS] = "groups"};

static int make_map(struct arena *arena, size_t count, struct plan_id_map *ret_map,
                    struct error *error)
{
        struct plan_id_extent *extents = arena_alloc(arena, count * sizeof(*extents));

        if (!extents)
                return error_set(error, ENOMEM, "id maps");
        *ret_map = (struct plan_id_map){extents, count};
        return 0;
}

uint32_t id_map_own(uint32_t size, uint32_t id)
{
        return id < size ? id : size - 1;
}

int id_map_range(struct arena *arena, uint32_t first, uint32_t size, uint32_t id,
                 struct plan_id_map *ret_map, struct error *error)
{
        struct plan_id_map map;
        int r;

        if (id >= size && size == 1)
                return id_map_single(arena, id, first, ret_map, error);
        r = make_map(arena, id < size ? 1 : 2, &map, error);
        if (r < 0)
                return r;
        map.extents[0] = (struct plan_id_extent){0, first, id < size ? size : size - 1};
        if (id >= size)
                map.extents[1] = (struct plan_id_extent){id, first + (size - 1), 1};
        *ret_map = map;
        return 0;
}

int id_map_single(struct arena *arena, uint32_t inside, uint32_t outside,
                  struct plan_id_map *ret_map, struct error *error)
{
        int r = make_map(arena, 1, ret_map, error);

        if (r == 0)
                ret_map->extents[0] = (struct plan_id_extent){inside, outside, 1};
        return r;
}

int id_map_copy(struct arena *arena, const struct config_id_map *map, struct plan_id_map *ret_map,
                struct error *error)
{
        int r = make_map(arena, map->count, ret_map, error);

        for (size_t i = 0; r == 0 && i < map->count; i++)
                ret_map->extents[i] = (struct plan_id_extent){
                        map->extents[i].container, map->extents[i].host, map->extents[i].size};
        return r;
}

static bool is_own(const struct id_caller *caller, enum id_kind kind,
                   const struct config_id_extent *extent)
{
        return extent->size == 1 && extent->host == caller->own[kind];
}

bool id_map_is_own(const struct id_caller *caller, enum id_kind kind,
                   const struct config_id_map *map)
{
        for (size_t i = 0; i < map->count; i++)
                if (!is_own(caller, kind, &map->extents[i]))
                        return false;
        return true;
}

void id_map_claims(const struct id_caller *caller, const struct id_taken *taken, enum id_kind kind,
                   const struct config_id_map *map, struct id_claim *ret_claims, size_t *count)
{
        for (size_t i = 0; i < map->count; i++) {
                const struct config_id_extent *extent = &map->extents[i];

                if (!is_own(caller, kind, extent) &&
                    !(extent->size == 1 && id_taken_find(taken, kind, extent->host, 1)))
                        ret_claims[(*count)++] =
                                (struct id_claim){kind, extent->host, extent->size};
        }
}

static bool has(const struct config_id_extent *extent, int64_t id)
{
        return id >= extent->host && id < (int64_t)extent->host + extent->size;
}

/* One id of an account is a deliberate choice, and the way to share files with it. Many at once, with
 * accounts among them, are a mistake that would hand them all over. */
static int check_root_extent(const struct id_caller *caller, const struct id_taken *taken,
                             enum id_kind kind, const struct config_id_extent *extent,
                             struct error *error)
{
        const struct id_owner *owner = id_taken_find(taken, kind, extent->host, extent->size);
        int r;

        if (has(extent, caller->own[kind])) {
                error_say(error, EPERM,
                          "it has %u, clade's own id: no application is to be what "
                          "watches over it",
                          caller->own[kind]);
                return error_remedy(error, "choose other ids on the host");
        }
        r = id_caller_mapped(kind, extent->host, extent->size, error);
        if (r < 0)
                return error_remedy(error,
                                    "choose ids on the host that this namespace has, or have "
                                    "the container given more of them");
        if (!owner || extent->size == 1)
                return 0;
        error_say(error, EPERM, "among these ids on the host are those of %s", owner->text);
        return error_remedy(error,
                            "choose ids that are nobody's; one that belongs to an account can be "
                            "mapped by an extent of size 1 that names it");
}

static int check_user_extent(const struct id_caller *caller, enum id_kind kind,
                             const struct config_id_extent *extent, struct error *error)
{
        const char *file = kind == ID_USERS ? "/etc/subuid" : "/etc/subgid";

        if (is_own(caller, kind, extent) ||
            (caller->power == ID_POWER_HELPER &&
             subid_covers(&caller->grants[kind], extent->host, extent->size)))
                return 0;
        error_say(error, EPERM,
                  "user %u may map its own id %u, and what %s grants to it, not all of these ids",
                  geteuid(), caller->own[kind], file);
        if (caller->power == ID_POWER_NONE && !subid_helpers_usable())
                return error_remedy(error,
                                    "for more than the own id newuidmap(1) and newgidmap(1) are "
                                    "needed, set-uid root and not under no_new_privs (Debian: the "
                                    "package uidmap)");
        return error_remedy(error,
                            "choose among the granted ones (getsubids, getsubids -g), or have "
                            "root add a range: usermod --add-sub%cids FIRST-LAST USER",
                            kind == ID_USERS ? 'u' : 'g');
}

int id_map_check(const struct id_caller *caller, const struct id_taken *taken, enum id_kind kind,
                 const struct config_id_map *map, struct error *error)
{
        int r = 0;

        for (size_t i = 0; r == 0 && i < map->count; i++) {
                const struct config_id_extent *extent = &map->extents[i];

                if (has(extent, caller->root[kind])) {
                        error_say(error, EPERM,
                                  "host id %" PRId64 " is root's in the user namespace above, and "
                                  "no application ever has it",
                                  caller->root[kind]);
                        r = error_remedy(error, "choose other ids on the host");
                } else {
                        r = caller->power == ID_POWER_ROOT
                                    ? check_root_extent(caller, taken, kind, extent, error)
                                    : check_user_extent(caller, kind, extent, error);
                }
                if (r < 0)
                        error_prefix(error, "%s %u to %" PRIu64, words[kind], extent->host,
                                     (uint64_t)extent->host + extent->size - 1);
        }
        return r;
}
