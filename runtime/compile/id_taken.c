#include "runtime/compile/id_taken.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/own.h"
#include "runtime/compile/subid.h"

#define ENTRY_ROOM (1u << 20) /* bytes; a group lists its members */

int id_owners_add(struct id_owners *owners, uint32_t first, uint32_t count, const char *text,
                  struct error *error)
{
        struct id_owner *owner;

        if (owners->count == owners->room) {
                size_t room = owners->room ? owners->room * 2 : 64;

                owner = reallocarray(owners->list, room, sizeof(*owner));
                if (!owner)
                        return error_set(error, ENOMEM, "listing the host's ids");
                owners->list = owner;
                owners->room = room;
        }
        owner = &owners->list[owners->count++];
        *owner = (struct id_owner){.first = first, .count = count};
        snprintf(owner->text, sizeof(owner->text), "%s", text);
        return 0;
}

static int add_account(struct id_taken *taken, enum id_kind kind, uint32_t id, const char *name,
                       struct error *error)
{
        char text[64];

        snprintf(text, sizeof(text), "the %s %s", kind == ID_USERS ? "user" : "group", name);
        return id_owners_add(&taken->of[kind], id, 1, text, error);
}

/* What a service cannot list (ERANGE and the like) ends the list; single ids are asked for besides. */
static int load_accounts(struct id_taken *taken, struct error *error)
{
        cleanup_free char *buffer = malloc(ENTRY_ROOM);
        struct passwd passwd, *user;
        struct group entry, *group;
        int r = 0;

        if (!buffer)
                return error_set(error, ENOMEM, "listing the host's accounts");
        setpwent();
        while (r == 0 && getpwent_r(&passwd, buffer, ENTRY_ROOM, &user) == 0 && user)
                r = add_account(taken, ID_USERS, user->pw_uid, user->pw_name, error);
        endpwent();
        setgrent();
        while (r == 0 && getgrent_r(&entry, buffer, ENTRY_ROOM, &group) == 0 && group)
                r = add_account(taken, ID_GROUPS, group->gr_gid, group->gr_name, error);
        endgrent();
        return r;
}

static int compare(const void *a, const void *b)
{
        const struct id_owner *left = a, *right = b;

        return (left->first > right->first) - (left->first < right->first);
}

int id_taken_load(struct id_taken *taken, bool grants, struct error *error)
{
        int r;

        *taken = (struct id_taken){.of[ID_USERS].count = 0};
        r = load_accounts(taken, error);
        if (r == 0 && grants)
                r = subid_all("/etc/subuid", ID_USERS, &taken->of[ID_USERS], error);
        if (r == 0 && grants)
                r = subid_all("/etc/subgid", ID_GROUPS, &taken->of[ID_GROUPS], error);
        for (size_t i = 0; r == 0 && i < ARRAY_SIZE(taken->of); i++)
                if (taken->of[i].count > 0)
                        qsort(taken->of[i].list, taken->of[i].count, sizeof(struct id_owner),
                              compare);
        return r;
}

void id_taken_finish(struct id_taken *taken)
{
        for (size_t i = 0; i < ARRAY_SIZE(taken->of); i++)
                free(taken->of[i].list);
        *taken = (struct id_taken){.of[ID_USERS].count = 0};
}

const struct id_owner *id_taken_find(const struct id_taken *taken, enum id_kind kind,
                                     uint32_t first, uint32_t count)
{
        const struct id_owners *owners = &taken->of[kind];

        for (size_t i = 0; i < owners->count; i++) {
                const struct id_owner *owner = &owners->list[i];

                if ((uint64_t)owner->first < (uint64_t)first + count &&
                    first < (uint64_t)owner->first + owner->count)
                        return owner;
        }
        return NULL;
}

/* Name services answer "no such user" in several ways (getpwnam(3)). */
static bool means_unknown(int code)
{
        return code == 0 || code == ENOENT || code == ESRCH || code == EBADF || code == EPERM;
}

static int ask(enum id_kind kind, uint32_t id, char *buffer, size_t size, char *ret_text)
{
        struct passwd passwd, *user = NULL;
        struct group entry, *group = NULL;
        int r;

        if (kind == ID_USERS) {
                r = getpwuid_r(id, &passwd, buffer, size, &user);
                if (user)
                        snprintf(ret_text, 64, "the user %s", user->pw_name);
        } else {
                r = getgrgid_r(id, &entry, buffer, size, &group);
                if (group)
                        snprintf(ret_text, 64, "the group %s", group->gr_name);
        }
        return r;
}

int id_owner_known(enum id_kind kind, uint32_t id, char *ret_text, struct error *error)
{
        int r = ERANGE;

        ret_text[0] = '\0';
        for (size_t size = 1024; r == ERANGE && size <= ENTRY_ROOM; size *= 4) {
                cleanup_free char *buffer = malloc(size);

                if (!buffer)
                        return error_set(error, ENOMEM, "looking up id %u", id);
                r = ask(kind, id, buffer, size, ret_text);
        }
        if (ret_text[0] || means_unknown(r))
                return 0;
        error_set(error, r, "looking up whether the host knows %s %u",
                  kind == ID_USERS ? "user" : "group", id);
        return error_remedy(error,
                            "ids are given out only when it is certain that they are nobody's: "
                            "see whether getent passwd works");
}
