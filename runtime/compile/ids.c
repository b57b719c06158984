#include "runtime/compile/ids.h"

#include <errno.h>
#include <limits.h>
#include <pwd.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/capability.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/own.h"
#include "runtime/compile/id_registry.h"
#include "runtime/compile/subid.h"

/* Who may give an id away. */
enum power {
        POWER_ROOT,   /* any id, by itself */
        POWER_HELPER, /* those of its subuid(5) range, by newuidmap(1) */
        POWER_NONE,   /* its own one */
};

static bool has_capability(cap_value_t capability)
{
        cap_flag_value_t value = CAP_CLEAR;
        cap_t own = cap_get_proc();

        if (own && cap_get_flag(own, capability, CAP_EFFECTIVE, &value) < 0)
                value = CAP_CLEAR;
        cap_free(own);
        return value == CAP_SET;
}

static int check_root(struct error *error)
{
        if (has_capability(CAP_SETUID) && has_capability(CAP_SETGID))
                return 0;
        error_say(error, EPERM,
                  "user 0 without CAP_SETUID and CAP_SETGID has no id for an application "
                  "but its own, and no application ever gets 0");
        return error_remedy(error,
                            "grant both capabilities (a container: --cap-add SETUID --cap-add "
                            "SETGID), or run as an ordinary user");
}

/* Whether [first, first + count) means something on this side of the user namespaces above us. */
static int check_mapped(const char *map, uint32_t first, uint32_t count, struct error *error)
{
        bool mapped;
        int r = subid_mapped(map, first, count, &mapped, error);

        if (r < 0 || mapped)
                return r;
        error_say(error, EINVAL, "ids %u to %u are not all mapped in this user namespace (%s)",
                  first, first + (count - 1), map);
        return error_remedy(error,
                            "set settings.id_ranges to ids that %s maps in its first column, or "
                            "have the container given more ids",
                            map);
}

/* What /etc/subuid and /etc/subgid grant us; count 0 when that cannot be used. */
static int helper_range(struct id_range *ret_range, struct error *error)
{
        struct subid_range users, groups;
        struct passwd passwd, *found = NULL;
        bool mapped = true;
        char buffer[4096];
        uid_t uid = geteuid();
        int r;

        *ret_range = (struct id_range){0};
        if (!subid_helpers_usable())
                return 0;
        /* A uid without an account may still be named by its number. */
        getpwuid_r(uid, &passwd, buffer, sizeof(buffer), &found);
        r = subid_find("/etc/subuid", found ? passwd.pw_name : NULL, uid, &users, error);
        if (r == 0)
                r = subid_find("/etc/subgid", found ? passwd.pw_name : NULL, uid, &groups, error);
        if (r < 0)
                return r;
        if (groups.count < users.count)
                users.count = groups.count;
        if (users.count == 0)
                return 0;
        r = subid_mapped("/proc/self/uid_map", users.first, users.count, &mapped, error);
        if (r == 0 && mapped)
                r = subid_mapped("/proc/self/gid_map", groups.first, users.count, &mapped, error);
        if (r < 0 || !mapped)
                return r;
        *ret_range = (struct id_range){users.first, users.count, groups.first};
        return 0;
}

/* ~/.local/state/clade, or where XDG_STATE_HOME says (XDG base directory specification). The directories
 * above the last one are made here, the registry checks and makes the last. */
static int user_state(bool make, char *ret_path, size_t room, struct error *error)
{
        const char *state = secure_getenv("XDG_STATE_HOME"), *home = secure_getenv("HOME");
        struct passwd passwd, *found = NULL;
        char buffer[4096];
        int n;

        if (!home || home[0] != '/') {
                getpwuid_r(geteuid(), &passwd, buffer, sizeof(buffer), &found);
                home = found ? passwd.pw_dir : NULL;
        }
        if (state && state[0] == '/') {
                n = snprintf(ret_path, room, "%s/clade", state);
        } else if (home && home[0] == '/') {
                n = snprintf(ret_path, room, "%s/.local/state/clade", home);
        } else {
                error_say(error, ENOENT, "there is no place to remember ids: no home directory");
                return error_remedy(error, "set XDG_STATE_HOME to a directory of yours");
        }
        if (n < 0 || (size_t)n >= room)
                return error_set(error, ENAMETOOLONG, "the path of the state directory");
        for (char *slash = strchr(ret_path + 1, '/'); make && slash;
             slash = strchr(slash + 1, '/')) {
                *slash = '\0';
                if (mkdir(ret_path, 0700) < 0 && errno != EEXIST) {
                        error_set(error, errno, "mkdir of %s", ret_path);
                        *slash = '/';
                        return error_remedy(error, "set XDG_STATE_HOME to a directory of yours");
                }
                *slash = '/';
        }
        return 0;
}

/* The application's id in the registry. When nothing is to be remembered, those before it in its
 * configuration come first, as they will when it is. */
static int registered(const struct ids_request *request, const char *directory,
                      const struct id_range *range, uint32_t *ret_id, struct error *error)
{
        const struct config *config = request->config;
        cleanup_free const char **names = calloc(config->application_count + 1, sizeof(*names));
        cleanup_free char *file = realpath(config->file, NULL);
        struct id_registry registry;
        struct id_key key;
        int r;

        if (!names)
                return error_set(error, ENOMEM, "assigning ids");
        if (!file)
                return error_set(error, errno, "the real path of %s, which ids are remembered by",
                                 config->file);
        for (size_t i = 0; i < config->application_count; i++)
                names[i] = config->applications[i].name;
        key = (struct id_key){file, request->application->name, names, config->application_count};

        r = id_registry_open(&registry, directory, request->remember, error);
        for (size_t i = 0; r == 0 && !request->remember && i < request->index; i++) {
                struct id_key before = key;

                before.application = names[i];
                r = id_registry_assign(&registry, range, &before, ret_id, error);
        }
        if (r == 0)
                r = id_registry_assign(&registry, range, &key, ret_id, error);
        id_registry_finish(&registry);
        return r;
}

static int find_power(struct id_range *ret_range, enum power *ret_power,
                      const struct config_settings *settings, bool namespace, struct error *error)
{
        int r;

        if (geteuid() == 0) {
                *ret_power = POWER_ROOT;
                *ret_range = (struct id_range){settings->id_first, settings->id_count,
                                               settings->id_first};
                r = check_root(error);
                if (r == 0)
                        r = check_mapped("/proc/self/uid_map", settings->id_first,
                                         settings->id_count, error);
                if (r == 0)
                        r = check_mapped("/proc/self/gid_map", settings->id_first,
                                         settings->id_count, error);
                return r;
        }
        *ret_power = POWER_NONE;
        /* Without a user namespace there is nothing that a helper could map. */
        if (!namespace)
                return 0;
        r = helper_range(ret_range, error);
        if (r == 0 && ret_range->count > 0)
                *ret_power = POWER_HELPER;
        return r;
}

static int single_map(struct arena *arena, uint32_t inside, uint32_t outside,
                      struct plan_id_map *ret_map, struct error *error)
{
        struct plan_id_extent *extent = arena_alloc(arena, sizeof(*extent));

        if (!extent)
                return error_set(error, ENOMEM, "id maps");
        *extent = (struct plan_id_extent){inside, outside, 1};
        *ret_map = (struct plan_id_map){extent, 1};
        return 0;
}

int ids_assign(const struct ids_request *request, struct plan_identity *ret_identity,
               struct error *error)
{
        const struct config_application *application = request->application;
        const struct config_settings *settings = &request->config->settings;
        bool namespace = application->isolation.namespaces & CLONE_NEWUSER;
        const char *directory = settings->state_directory;
        uint32_t uid = geteuid(), gid = getegid();
        struct plan_identity identity = {.method = PLAN_IDS_NONE};
        struct id_range range = {0};
        char own_state[PATH_MAX];
        enum power power;
        int r = find_power(&range, &power, settings, namespace, error);

        if (r == 0 && power == POWER_HELPER) {
                directory = own_state;
                r = user_state(request->remember, own_state, sizeof(own_state), error);
        }
        if (r == 0 && power != POWER_NONE) {
                r = registered(request, directory, &range, &uid, error);
                gid = range.first_group + (uid - range.first);
        }
        if (r < 0)
                return error_prefix(error, "an id for application %s", application->name);

        identity.uid = uid;
        identity.gid = gid;
        if (namespace) {
                identity.method = power == POWER_HELPER ? PLAN_IDS_HELPER : PLAN_IDS_DIRECT;
                identity.deny_groups = power == POWER_NONE;
                identity.uid = application->uid;
                identity.gid = application->gid;
                r = single_map(request->arena, application->uid, uid, &identity.uid_map, error);
                if (r == 0)
                        r = single_map(request->arena, application->gid, gid, &identity.gid_map,
                                       error);
                if (r < 0)
                        return r;
        }
        *ret_identity = identity;
        return 0;
}

bool ids_are_ours(const struct plan_identity *identity)
{
        return plan_host_uid(identity) == geteuid();
}

enum path_links ids_links(const struct plan_identity *identity)
{
        return ids_are_ours(identity) ? PATH_LINKS_OF_ROOT : PATH_LINKS_OF_OURS;
}
