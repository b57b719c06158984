#include "runtime/compile/ids.h"

#include <errno.h>
#include <limits.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/own.h"
#include "runtime/compile/id_caller.h"
#include "runtime/compile/id_maps.h"
#include "runtime/compile/id_registry.h"

/* What one assignment works with. */
struct work {
        const struct ids_request *request;
        struct id_caller caller;
        struct id_taken taken;
        struct id_registry registry;
        struct id_key key;
        char *file;              /* the configuration's real path */
        const char **names;      /* of all its applications */
        struct id_claim *claims; /* of all its applications */
};

static void work_finish(struct work *work)
{
        id_caller_finish(&work->caller);
        id_taken_finish(&work->taken);
        id_registry_finish(&work->registry);
        free(work->file);
        free(work->names);
        free(work->claims);
}

static const struct config_id_map *map_of(const struct config_application *application,
                                          enum id_kind kind)
{
        return kind == ID_USERS ? &application->isolation.uid_map : &application->isolation.gid_map;
}

static size_t list_claims(const struct work *work, const struct config_application *application,
                          struct id_claim *ret_claims)
{
        size_t count = 0;

        for (unsigned kind = 0; kind < ID_KINDS; kind++)
                id_map_claims(&work->caller, &work->taken, kind, map_of(application, kind),
                              ret_claims, &count);
        return count;
}

/* The key: what the registry knows an application by, and what belongs to others of its configuration. */
static int make_key(struct work *work, struct error *error)
{
        const struct config *config = work->request->config;
        size_t room = 1;

        work->file = realpath(config->file, NULL);
        if (!work->file)
                return error_set(error, errno, "the real path of %s, which ids are remembered by",
                                 config->file);
        for (size_t i = 0; i < config->application_count; i++)
                for (unsigned kind = 0; kind < ID_KINDS; kind++)
                        room += map_of(&config->applications[i], kind)->count;
        work->names = calloc(config->application_count + 1, sizeof(*work->names));
        work->claims = calloc(room, sizeof(*work->claims));
        if (!work->names || !work->claims)
                return error_set(error, ENOMEM, "assigning ids");
        work->key = (struct id_key){
                .file = work->file,
                .application = work->request->application->name,
                .applications = work->names,
                .application_count = config->application_count,
                .claims = work->claims,
        };
        for (size_t i = 0; i < config->application_count; i++) {
                work->names[i] = config->applications[i].name;
                work->key.claim_count += list_claims(work, &config->applications[i],
                                                     work->claims + work->key.claim_count);
        }
        return 0;
}

/* The application's range in the registry. When nothing is to be remembered, those before it in its
 * configuration come first, as they will when it is. */
static int assign(const struct work *work, struct id_registry *registry,
                  uint32_t ret_first[ID_KINDS], struct error *error)
{
        const struct ids_request *request = work->request;
        struct id_ranges ranges = work->caller.ranges;
        struct id_key key = work->key, before = work->key;

        ranges.own[ID_USERS] = id_map_own(ranges.size, request->application->uid);
        ranges.own[ID_GROUPS] = id_map_own(ranges.size, request->application->gid);
        if (request->remember || id_registry_has(registry, &ranges, &key))
                return id_registry_assign(registry, &ranges, &key, &work->taken, ret_first, error);
        for (size_t i = 0; i < request->index; i++) {
                const struct config_application *application = &request->config->applications[i];

                before.application = application->name;
                key.skip += !application->isolation.uid_map.given &&
                            !id_registry_has(registry, &ranges, &before);
        }
        return id_registry_assign(registry, &ranges, &key, &work->taken, ret_first, error);
}

/* "auto" for whoever has ids to give away. */
static int fill_range(struct work *work, struct plan_identity *identity, struct error *error)
{
        const struct config_application *application = work->request->application;
        uint32_t first[ID_KINDS], size = work->caller.ranges.size;
        int r = assign(work, &work->registry, first, error);

        if (r < 0)
                return r;
        if (!(application->isolation.namespaces & CLONE_NEWUSER)) {
                identity->uid = first[ID_USERS] + id_map_own(size, application->uid);
                identity->gid = first[ID_GROUPS] + id_map_own(size, application->gid);
                return 0;
        }
        identity->method =
                work->caller.power == ID_POWER_HELPER ? PLAN_IDS_HELPER : PLAN_IDS_DIRECT;
        r = id_map_range(work->request->arena, first[ID_USERS], size, application->uid,
                         &identity->uid_map, error);
        if (r == 0)
                r = id_map_range(work->request->arena, first[ID_GROUPS], size, application->gid,
                                 &identity->gid_map, error);
        return r;
}

/* "auto" for whoever has no id but its own. */
static int fill_own(const struct work *work, struct plan_identity *identity, struct error *error)
{
        const struct config_application *application = work->request->application;
        const uint32_t *own = work->caller.own;
        int r;

        if (own[ID_USERS] == work->caller.root[ID_USERS] ||
            own[ID_GROUPS] == work->caller.root[ID_GROUPS]) {
                error_say(error, EPERM,
                          "user %u, group %u is root in the user namespace above (see "
                          "/proc/self/uid_map and gid_map), and no application ever is",
                          own[ID_USERS], own[ID_GROUPS]);
                return error_remedy(error, "start clade as a user and a group that are not root "
                                           "outside");
        }
        if (!(application->isolation.namespaces & CLONE_NEWUSER)) {
                identity->uid = own[ID_USERS];
                identity->gid = own[ID_GROUPS];
                return 0;
        }
        identity->method = PLAN_IDS_DIRECT;
        identity->deny_groups = true;
        r = id_map_single(work->request->arena, application->uid, own[ID_USERS], &identity->uid_map,
                          error);
        if (r == 0)
                r = id_map_single(work->request->arena, application->gid, own[ID_GROUPS],
                                  &identity->gid_map, error);
        return r;
}

/* The maps of the configuration. */
static int fill_given(struct work *work, struct plan_identity *identity, struct error *error)
{
        const struct config_application *application = work->request->application;
        cleanup_free struct id_claim *claims = calloc(
                application->isolation.uid_map.count + application->isolation.gid_map.count + 1,
                sizeof(*claims));
        bool root = work->caller.power == ID_POWER_ROOT, own_groups;
        size_t count;
        int r = 0;

        if (!claims)
                return error_set(error, ENOMEM, "assigning ids");
        for (unsigned kind = 0; r == 0 && kind < ID_KINDS; kind++)
                r = id_map_check(&work->caller, &work->taken, kind, map_of(application, kind),
                                 error);
        count = list_claims(work, application, claims);
        if (r == 0 && work->caller.power != ID_POWER_NONE)
                r = id_registry_claim(&work->registry, &work->key, claims, count, error);
        if (r == 0)
                r = id_map_copy(work->request->arena, &application->isolation.uid_map,
                                &identity->uid_map, error);
        if (r == 0)
                r = id_map_copy(work->request->arena, &application->isolation.gid_map,
                                &identity->gid_map, error);
        if (r < 0)
                return r;
        own_groups = id_map_is_own(&work->caller, ID_GROUPS, &application->isolation.gid_map);
        /* newgidmap(1) denies it by itself for such a map. */
        identity->deny_groups = !root && own_groups;
        identity->method = root || (own_groups && id_map_is_own(&work->caller, ID_USERS,
                                                                &application->isolation.uid_map))
                                   ? PLAN_IDS_DIRECT
                                   : PLAN_IDS_HELPER;
        return 0;
}

static int fill(struct work *work, struct plan_identity *identity, struct error *error)
{
        const struct ids_request *request = work->request;
        const struct config_application *application = request->application;
        int r = id_caller_find(&work->caller, &request->config->settings,
                               application->isolation.namespaces & CLONE_NEWUSER, request->remember,
                               error);

        identity->uid = application->uid;
        identity->gid = application->gid;
        if (r < 0)
                return r;
        if (work->caller.power == ID_POWER_NONE && !application->isolation.uid_map.given)
                return fill_own(work, identity, error);
        /* Root is not to give away what was granted to users; a user lives in what was granted to it. */
        r = id_taken_load(&work->taken, work->caller.power == ID_POWER_ROOT, error);
        if (r == 0)
                r = make_key(work, error);
        if (r == 0 && work->caller.power != ID_POWER_NONE)
                r = id_registry_open(&work->registry, work->caller.state, request->remember, error);
        if (r < 0)
                return r;
        return application->isolation.uid_map.given ? fill_given(work, identity, error)
                                                    : fill_range(work, identity, error);
}

int ids_assign(const struct ids_request *request, struct plan_identity *ret_identity,
               struct error *error)
{
        struct work work = {.request = request, .registry = {.directory_fd = -1, .fd = -1}};
        struct plan_identity identity = {.method = PLAN_IDS_NONE};
        int r = fill(&work, &identity, error);

        work_finish(&work);
        if (r < 0)
                return error_prefix(error, "an id for application %s", request->application->name);
        *ret_identity = identity;
        return 0;
}

/* Whether an id is, or can become, that of another application: assigned or claimed already, claimed by
 * another one of the same configuration, or among those that are still to be assigned. */
static bool is_others(const struct work *work, enum id_kind kind, uint32_t id)
{
        const struct config *config = work->request->config;
        const struct id_ranges *ranges = &work->caller.ranges;

        if (id_registry_other(&work->registry, &work->key, kind, id, 1))
                return true;
        if (id >= ranges->first[kind] &&
            id - ranges->first[kind] < (uint64_t)ranges->count * ranges->size)
                return true;
        for (size_t i = 0; i < config->application_count; i++) {
                const struct config_id_map *map = map_of(&config->applications[i], kind);

                for (size_t j = 0; i != work->request->index && j < map->count; j++)
                        if (id >= map->extents[j].host &&
                            id - map->extents[j].host < map->extents[j].size &&
                            !(map->extents[j].size == 1 &&
                              id_taken_find(&work->taken, kind, id, 1)))
                                return true;
        }
        return false;
}

static int check_owner(const struct work *work, enum id_kind kind, uint32_t id, struct error *error)
{
        const char *what = kind == ID_USERS ? "user" : "group";

        if (id == 0 || id == work->caller.own[kind] || id == work->caller.root[kind]) {
                error_say(error, EPERM,
                          "files of %s %u, who is root's or clade's own, cannot be "
                          "shown as the application's",
                          what, id);
                return error_remedy(error, "name another owner: idmap=USER:GROUP");
        }
        if (!is_others(work, kind, id))
                return 0;
        error_say(error, EPERM,
                  "files of %s %u cannot be shown as this application's: the id is another "
                  "application's, or can become one's (settings.id_ranges)",
                  what, id);
        return error_remedy(error, "name an owner that is no application's: idmap=USER:GROUP");
}

int ids_check_owner(const struct ids_request *request, const struct plan_identity *identity,
                    uint32_t uid, uint32_t gid, struct error *error)
{
        struct work work = {.request = request, .registry = {.directory_fd = -1, .fd = -1}};
        int r = id_caller_find(&work.caller, &request->config->settings, true, false, error);

        if (r == 0)
                r = id_taken_load(&work.taken, false, error);
        if (r == 0)
                r = make_key(&work, error);
        if (r == 0 && work.caller.power != ID_POWER_NONE)
                r = id_registry_open(&work.registry, work.caller.state, false, error);
        /* What is the application's own anyway is shown as it is. */
        if (r == 0 && uid != plan_host_uid(identity))
                r = check_owner(&work, ID_USERS, uid, error);
        if (r == 0 && gid != plan_host_gid(identity))
                r = check_owner(&work, ID_GROUPS, gid, error);
        work_finish(&work);
        return r;
}

bool ids_are_ours(const struct plan_identity *identity)
{
        if (identity->method == PLAN_IDS_NONE)
                return identity->uid == geteuid();
        for (size_t i = 0; i < identity->uid_map.count; i++) {
                const struct plan_id_extent *extent = &identity->uid_map.extents[i];

                if (geteuid() >= extent->outside && geteuid() - extent->outside < extent->count)
                        return true;
        }
        return false;
}

enum path_links ids_links(const struct plan_identity *identity)
{
        return ids_are_ours(identity) ? PATH_LINKS_OF_ROOT : PATH_LINKS_OF_OURS;
}
