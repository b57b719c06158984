/* "user" and "group": who an application is inside its namespaces. A number is taken as it is. A name
 * is looked up on the host, but only for its number: nothing of the host's user comes along. */
#include "runtime/config/schema.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>

#include "base/own.h"
#include "runtime/config/values.h"

/* The last id but two of the 32 bits: -1 is "none" to the kernel. */
static const struct integer_rule id_rule = {0, 4294967293, NULL};

#define NAME_LENGTH_MAX 32         /* bytes, as useradd(8) has it */
#define LOOKUP_ROOM_MAX (1u << 20) /* bytes; a group lists its members */

/* It ends up in a passwd file, whose lines it must not be able to break. */
static bool name_valid(const char *name)
{
        static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                      "0123456789._-";
        size_t length = strspn(name, letters);

        return length > 0 && length <= NAME_LENGTH_MAX && !name[length] && name[0] != '-' &&
               strspn(name, "0123456789") < length;
}

/* 0; -ENOENT when the host does not know the name; another errno when it could not tell. */
static int lookup_user(const char *name, char *room, size_t size, uint32_t *ret_id)
{
        struct passwd entry, *found;
        int r = getpwnam_r(name, &entry, room, size, &found);

        if (r == 0 && found)
                *ret_id = found->pw_uid;
        return found ? 0 : r ? -r : -ENOENT;
}

static int lookup_group(const char *name, char *room, size_t size, uint32_t *ret_id)
{
        struct group entry, *found;
        int r = getgrnam_r(name, &entry, room, size, &found);

        if (r == 0 && found)
                *ret_id = found->gr_gid;
        return found ? 0 : r ? -r : -ENOENT;
}

static int lookup(const char *name, bool group, uint32_t *ret_id)
{
        for (size_t size = 4096; size <= LOOKUP_ROOM_MAX; size *= 2) {
                cleanup_free char *room = malloc(size);
                int r;

                if (!room)
                        return -ENOMEM;
                r = group ? lookup_group(name, room, size, ret_id)
                          : lookup_user(name, room, size, ret_id);
                if (r != -ERANGE)
                        return r;
        }
        return -ERANGE;
}

static void read_name(struct reader *reader, const struct node *node, bool group, uint32_t *id,
                      char **member)
{
        const char *name = json_string_value(node->json), *kind = group ? "group" : "user";
        struct quoted quoted;
        int r;

        text_quote(&quoted, name);
        if (!name_valid(name)) {
                fault_value(reader, node,
                            "%s is no name of a %s: expected a name of letters, digits, \".\", "
                            "\"_\" and \"-\", or an id as a number without quotes",
                            quoted.text, kind);
                return;
        }
        r = lookup(name, group, id);
        if (r == 0)
                store_string(reader, member, name);
        else if (r == -ENOMEM)
                reader_no_memory(reader);
        else if (r == -ENOENT)
                fault_value(reader, node,
                            "this host has no %s %s: expected a %s that it has, or an id as a "
                            "number",
                            kind, quoted.text, kind);
        else
                fault_value(reader, node, "the %s %s could not be looked up (%s): write its id",
                            kind, quoted.text, error_name(-r));
}

static void read_identity(struct reader *reader, const struct node *node, bool group, uint32_t *id,
                          char **member)
{
        int64_t number;

        if (json_is_string(node->json))
                read_name(reader, node, group, id, member);
        else if (!json_is_number(node->json))
                fault_expected(reader, node, "a name or an id");
        else if (value_integer(reader, node, &id_rule, &number))
                *id = (uint32_t)number;
}

void read_user(struct reader *reader, const struct node *node, void *member, const void *rule)
{
        struct config_application *application = member;

        (void)rule;
        read_identity(reader, node, false, &application->uid, &application->user);
}

void read_group(struct reader *reader, const struct node *node, void *member, const void *rule)
{
        struct config_application *application = member;

        (void)rule;
        read_identity(reader, node, true, &application->gid, &application->group);
}
