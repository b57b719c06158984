#include "runtime/compile/mount_owners.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <libmount.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>

#include "base/own.h"
#include "isolation/mount_owners.h"
#include "runtime/compile/ids.h"

#define ID_LAST 4294967293ull

/* "33" or "33:34"; without a value the ids are those that the application has inside. */
static int read_owner(const char *value, size_t length, struct plan_source *source,
                      struct error *error)
{
        unsigned long long uid, gid;
        char text[32], *end;

        if (!value)
                return 0;
        snprintf(text, sizeof(text), "%.*s", (int)(length < sizeof(text) ? length : 31), value);
        uid = gid = strtoull(text, &end, 10);
        if (*end == ':' && end[1] >= '0' && end[1] <= '9')
                gid = strtoull(end + 1, &end, 10);
        if (text[0] < '0' || text[0] > '9' || *end || uid > ID_LAST || gid > ID_LAST)
                return error_say(
                        error, EINVAL,
                        "option \"idmap=%s\": expected a user id of the host, or a user id "
                        "and a group id, as in idmap=33:33",
                        text);
        source->owner_uid = (uint32_t)uid;
        source->owner_gid = (uint32_t)gid;
        return 0;
}

/* *source is changed where one of the options is there; the last one counts. */
static int read_options(char *const *options, const struct plan_identity *identity,
                        struct plan_source *source, struct error *error)
{
        int r = 0;

        for (; r == 0 && options && *options; options++) {
                char *at = *options, *name, *value;
                size_t length, value_length;

                while (r == 0 &&
                       mnt_optstr_next_option(&at, &name, &length, &value, &value_length) == 0) {
                        bool tree = length == 6 && strncmp(name, "ridmap", 6) == 0;

                        if (!tree && !(length == 5 && strncmp(name, "idmap", 5) == 0))
                                continue;
                        source->owner_map = tree ? PLAN_OWNERS_TREE : PLAN_OWNERS_MOUNT;
                        source->owner_uid = identity->uid;
                        source->owner_gid = identity->gid;
                        r = read_owner(value, value_length, source, error);
                }
        }
        return r;
}

/* The real calls on a tree that goes away again. */
static int try_it(const struct plan *plan, const struct plan_source *source, struct error *error)
{
        cleanup_fd int tree = -1;

        tree = open_tree(AT_FDCWD, source->path,
                         OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_RECURSIVE | AT_SYMLINK_NOFOLLOW);
        if (tree < 0)
                return error_set(error, errno, "open_tree of %s", source->path);
        return mount_owners_set(tree, source, &plan->identity, error);
}

int mount_owners(struct compilation *compilation, const struct config_mount *mount,
                 struct error *error)
{
        const struct ids_request request = {
                .config = compilation->compile->config,
                .application = compilation->application,
                .index = compilation->index,
                .remember = false,
                .arena = compilation->arena,
        };
        struct plan *plan = compilation->plan;
        struct plan_source *source;
        int r;

        if ((mount->type && strcmp(mount->type, "bind") != 0) || plan->source_count == 0)
                return 0;
        source = &plan->sources[plan->source_count - 1];
        r = read_options(mount->options, &plan->identity, source, error);
        if (r < 0 || source->owner_map == PLAN_OWNERS_KEPT)
                return r;
        if (!plan->privileged) {
                error_say(error, EPERM, "owners of files can be mapped by root only");
                return error_remedy(error, "remove idmap, and give the files to the application's "
                                           "id (host_uid in clade plan) or use setfacl");
        }
        r = ids_check_owner(&request, &plan->identity, source->owner_uid, source->owner_gid, error);
        return r < 0 ? r : try_it(plan, source, error);
}
