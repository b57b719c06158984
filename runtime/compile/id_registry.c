#include "runtime/compile/id_registry.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/own.h"
#include "runtime/compile/id_store.h"

static bool same_key(const struct id_entry *entry, const struct id_key *key)
{
        return strcmp(entry->file, key->file) == 0 &&
               strcmp(entry->application, key->application) == 0;
}

static bool in_range(const struct id_range *range, uint32_t id)
{
        return id >= range->first && id - range->first < range->count;
}

/* Name services answer "no such user" in several ways (getpwnam(3)). */
static bool means_unknown(int code)
{
        return code == 0 || code == ENOENT || code == ESRCH || code == EBADF || code == EPERM;
}

/* Whether the host has a user or a group of this number, and its name. */
static int id_known(uint32_t user, uint32_t group, char *ret_name, size_t room, struct error *error)
{
        size_t size = 1024;
        int r = ERANGE;

        ret_name[0] = '\0';
        for (; r == ERANGE && size <= 1u << 20; size *= 4) {
                cleanup_free char *buffer = malloc(size);
                struct passwd passwd, *found_user = NULL;
                struct group entry, *found_group = NULL;

                if (!buffer)
                        return error_set(error, ENOMEM, "looking up user %u", user);
                r = getpwuid_r(user, &passwd, buffer, size, &found_user);
                if (found_user) {
                        snprintf(ret_name, room, "user %s", passwd.pw_name);
                        return 0;
                }
                if (!means_unknown(r))
                        continue;
                r = getgrgid_r(group, &entry, buffer, size, &found_group);
                if (found_group) {
                        snprintf(ret_name, room, "group %s", entry.gr_name);
                        return 0;
                }
        }
        if (means_unknown(r))
                return 0;
        error_set(error, r, "looking up whether the host knows user %u or group %u", user, group);
        return error_remedy(error,
                            "ids are given out only when it is certain that they are nobody's: "
                            "see whether getent passwd works");
}

static int compare_ids(const void *a, const void *b)
{
        const uint32_t *left = a, *right = b;

        return (*left > *right) - (*left < *right);
}

/* The lowest id that nobody has. *ret_found says whether there is one. */
static int find_free(const struct id_registry *registry, const struct id_range *range,
                     bool *ret_found, uint32_t *ret_id, struct error *error)
{
        cleanup_free uint32_t *used = calloc(registry->count + 1, sizeof(*used));
        size_t next = 0;

        if (!used)
                return error_set(error, ENOMEM, "assigning ids");
        for (size_t i = 0; i < registry->count; i++)
                used[i] = registry->entries[i].id;
        qsort(used, registry->count, sizeof(*used), compare_ids);

        *ret_found = false;
        for (uint32_t i = 0; i < range->count; i++) {
                uint32_t id = range->first + i;
                char name[128];
                int r;

                while (next < registry->count && used[next] < id)
                        next++;
                if (next < registry->count && used[next] == id)
                        continue;
                /* 0 is root's, and all ones means "leave it" to setuid(2). */
                if (id == 0 || id == UINT32_MAX)
                        continue;
                r = id_known(id, range->first_group + i, name, sizeof(name), error);
                if (r < 0)
                        return r;
                if (name[0])
                        continue;
                *ret_found = true;
                *ret_id = id;
                return 0;
        }
        return 0;
}

/* Whether the entry's application has ceased to exist, as far as anybody can tell from here. */
static bool is_gone(const struct id_entry *entry, const struct id_key *key)
{
        if (strcmp(entry->file, key->file) != 0)
                return access(entry->file, F_OK) < 0 && (errno == ENOENT || errno == ENOTDIR);
        for (size_t i = 0; i < key->application_count; i++)
                if (strcmp(entry->application, key->applications[i]) == 0)
                        return false;
        return true;
}

static void forget(struct id_registry *registry, size_t at)
{
        struct id_entry *entries = registry->entries;

        free(entries[at].file);
        free(entries[at].application);
        memmove(entries + at, entries + at + 1, (registry->count - at - 1) * sizeof(*entries));
        registry->count--;
}

static bool reclaim(struct id_registry *registry, const struct id_key *key)
{
        size_t before = registry->count;

        for (size_t i = registry->count; i-- > 0;)
                if (is_gone(&registry->entries[i], key))
                        forget(registry, i);
        return registry->count < before;
}

/* An account that was made after the id had been given away would share the application's files. */
static int check_still_private(const struct id_registry *registry, const struct id_range *range,
                               const struct id_entry *entry, struct error *error)
{
        char name[128];
        int r = id_known(entry->id, range->first_group + (entry->id - range->first), name,
                         sizeof(name), error);

        if (r < 0 || !name[0])
                return r;
        error_say(error, EEXIST, "id %u, which belongs to this application, is now also the %s",
                  entry->id, name);
        return error_remedy(error,
                            "give that account another id, or remove the application's line from "
                            "%s/ids and change the owner of the files it has written",
                            registry->directory);
}

int id_registry_assign(struct id_registry *registry, const struct id_range *range,
                       const struct id_key *key, uint32_t *ret_id, struct error *error)
{
        bool found = false, rewrite = false;
        uint32_t id = 0;
        int r;

        for (size_t i = registry->count; i-- > 0;) {
                const struct id_entry *entry = &registry->entries[i];

                if (!same_key(entry, key))
                        continue;
                if (in_range(range, entry->id)) {
                        *ret_id = entry->id;
                        return check_still_private(registry, range, entry, error);
                }
                /* The range was changed in the configuration: that is to be obeyed. */
                forget(registry, i);
                rewrite = true;
        }
        r = find_free(registry, range, &found, &id, error);
        if (r == 0 && !found && reclaim(registry, key)) {
                rewrite = true;
                r = find_free(registry, range, &found, &id, error);
        }
        if (r < 0)
                return r;
        if (!found) {
                error_say(error, ENOSPC, "all ids from %u to %u are taken", range->first,
                          range->first + (range->count - 1));
                return error_remedy(error,
                                    "make the range larger (settings.id_ranges; without root, "
                                    "/etc/subuid and /etc/subgid), or remove lines of %s/ids "
                                    "whose applications own no files any more",
                                    registry->directory);
        }
        r = id_store_add(registry, id, key->file, key->application, error);
        if (r == 0 && registry->fd >= 0)
                r = rewrite ? id_store_rewrite(registry, error) : id_store_append(registry, error);
        if (r == 0)
                *ret_id = id;
        return r;
}
