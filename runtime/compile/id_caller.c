#include "runtime/compile/id_caller.h"

#include <errno.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/capability.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/own.h"

/* What an application of an ordinary user gets, where nothing is configured: enough for the numbers that system
 * accounts have inside, and little enough for 256 applications of the usual 65536 ids. */
#define USER_RANGE_SIZE   256
#define USER_RANGES_LEAST 16

static const char *const own_maps[ID_KINDS] = {
        [ID_USERS] = "/proc/self/uid_map",
        [ID_GROUPS] = "/proc/self/gid_map",
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

int id_caller_mapped(enum id_kind kind, uint32_t first, uint32_t count, struct error *error)
{
        bool mapped;
        int r = subid_mapped(own_maps[kind], first, count, &mapped, error);

        if (r < 0 || mapped)
                return r;
        return error_say(error, EINVAL,
                         "ids %u to %u are not all mapped in this user namespace (%s)", first,
                         first + (count - 1), own_maps[kind]);
}

static int find_root(struct id_caller *caller, const struct config_settings *settings,
                     struct error *error)
{
        struct id_ranges *ranges = &caller->ranges;
        int n, r = check_root(error);

        caller->power = ID_POWER_ROOT;
        ranges->count = settings->id_count;
        ranges->size = settings->id_size ? settings->id_size : CONFIG_RANGE_SIZE_DEFAULT;
        n = snprintf(caller->state, sizeof(caller->state), "%s", settings->state_directory);
        if (r == 0 && (n < 0 || (size_t)n >= sizeof(caller->state)))
                return error_set(error, ENAMETOOLONG, "the path of the state directory");
        for (unsigned kind = 0; r == 0 && kind < ID_KINDS; kind++) {
                ranges->first[kind] = settings->id_first;
                r = id_caller_mapped(kind, settings->id_first, ranges->count * ranges->size, error);
        }
        return r < 0 ? error_remedy(error,
                                    "set settings.id_ranges to ids that /proc/self/uid_map and "
                                    "gid_map map in their first column, or have the container "
                                    "given more ids")
                     : 0;
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

/* The largest range of each kind, as far as both go. False when there is none, or it means nothing here. */
static int user_ranges(struct id_caller *caller, const struct config_settings *settings,
                       bool *ret_usable, struct error *error)
{
        struct id_ranges *ranges = &caller->ranges;
        uint32_t count = UINT32_MAX;

        *ret_usable = false;
        for (unsigned kind = 0; kind < ID_KINDS; kind++) {
                struct subid_range largest = subid_largest(&caller->grants[kind]);

                ranges->first[kind] = largest.first;
                if (largest.count < count)
                        count = largest.count;
        }
        for (unsigned kind = 0; count > 0 && kind < ID_KINDS; kind++) {
                int r = subid_mapped(own_maps[kind], ranges->first[kind], count, ret_usable, error);

                if (r < 0 || !*ret_usable)
                        return r;
        }
        ranges->size = settings->id_size ? settings->id_size : USER_RANGE_SIZE;
        while (!settings->id_size && ranges->size > 1 && count / ranges->size < USER_RANGES_LEAST)
                ranges->size /= 2;
        ranges->count = count / ranges->size;
        return 0;
}

static int find_user(struct id_caller *caller, const struct config_settings *settings,
                     bool remember, struct error *error)
{
        struct passwd passwd, *found = NULL;
        uid_t uid = geteuid();
        char buffer[4096];
        bool usable = false;
        int r = 0;

        if (!subid_helpers_usable())
                return 0;
        /* A uid without an account may still be named by its number. */
        getpwuid_r(uid, &passwd, buffer, sizeof(buffer), &found);
        for (unsigned kind = 0; r == 0 && kind < ID_KINDS; kind++)
                r = subid_granted(kind, found ? passwd.pw_name : NULL, uid, &caller->grants[kind],
                                  error);
        if (r == 0)
                r = user_ranges(caller, settings, &usable, error);
        if (r < 0 || !usable)
                return r;
        caller->power = ID_POWER_HELPER;
        return user_state(remember, caller->state, sizeof(caller->state), error);
}

int id_caller_find(struct id_caller *caller, const struct config_settings *settings, bool namespace,
                   bool remember, struct error *error)
{
        int r = 0;

        *caller = (struct id_caller){
                .power = ID_POWER_NONE,
                .own = {[ID_USERS] = geteuid(), [ID_GROUPS] = getegid()},
        };
        for (unsigned kind = 0; r == 0 && kind < ID_KINDS; kind++)
                r = subid_root(own_maps[kind], &caller->root[kind], error);
        if (r == 0 && geteuid() == 0)
                r = find_root(caller, settings, error);
        else if (r == 0 && namespace)
                /* Without a user namespace there is nothing that a helper could map. */
                r = find_user(caller, settings, remember, error);
        return r;
}

void id_caller_finish(struct id_caller *caller)
{
        for (unsigned kind = 0; kind < ID_KINDS; kind++)
                subid_grants_finish(&caller->grants[kind]);
}
