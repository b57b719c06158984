/* Adding entries to the root: parents first, and only where they can be made. */
#include "runtime/compile/root.h"

#include <errno.h>
#include <string.h>

void root_begin(struct root *root)
{
        root->origin = root->plan->entry_count;
}

static int append(struct root *root, const struct plan_entry *entry, const char *target,
                  struct error *error)
{
        struct plan *plan = root->plan;
        struct plan_entry *at;

        at = arena_grow(root->arena, plan->entries, plan->entry_count, &root->entry_room,
                        sizeof(*at));
        if (!at)
                return error_set(error, ENOMEM, "entry %s", target);
        plan->entries = at;
        at += plan->entry_count;
        *at = *entry;
        at->target = arena_strdup(root->arena, target);
        if (entry->content)
                at->content = arena_strdup(root->arena, entry->content);
        if (!at->target || (entry->content && !at->content))
                return error_set(error, ENOMEM, "entry %s", target);
        plan->entry_count++;
        return 0;
}

static int refuse_host(const struct root_place *place, const char *target, struct error *error)
{
        error_set(error, EROFS, "the target %s cannot be made: %s does not exist on the host",
                  target, place->host_path);
        return error_remedy(error,
                            "what is shown from the host gets no new files: create %s there (it "
                            "can be empty), or choose another target",
                            place->host_path);
}

/* Walks to the target; makes the directories on the way. */
static int reach(struct root *root, const char *target, bool follow, struct root_place *place,
                 struct error *error)
{
        const struct plan_entry directory = {.kind = PLAN_DIRECTORY, .mode = 0755};
        int r;

        for (;;) {
                r = root_walk(root, target, follow, place, error);
                if (r < 0)
                        return r;
                if (place->kind == ROOT_ABSENT && place->host)
                        return refuse_host(place, target, error);
                if (place->kind == ROOT_PROC &&
                    (place->rest[0] || strcmp(place->path, target) != 0))
                        return error_say(error, EINVAL,
                                         "the target %s lies in /proc, where nothing can be made",
                                         target);
                if (!place->rest[0])
                        return 0;
                if (place->kind != ROOT_ABSENT)
                        return error_set(error, ENOTDIR, "%s, on the way to the target %s",
                                         place->path, target);
                r = append(root, &directory, place->path, error);
                if (r < 0)
                        return r;
        }
}

/* A mount hides what is there. What is there must be of its type; within one origin nothing is hidden on
 * purpose, so the same target twice is somebody's mistake. */
static int check_mount(const struct root *root, const struct plan_entry *entry,
                       const struct root_place *place, struct error *error)
{
        bool directory =
                entry->kind != PLAN_BIND || root->plan->sources[entry->source].type == S_IFDIR;

        for (size_t i = root->origin; i < root->plan->entry_count; i++) {
                const struct plan_entry *other = &root->plan->entries[i];

                if (plan_is_mount(other->kind) && strcmp(other->target, place->path) == 0) {
                        error_say(error, EINVAL, "two mounts have the target %s", place->path);
                        return error_remedy(error, "the second would hide the first: remove one");
                }
        }
        if (strcmp(place->path, "/") == 0)
                return error_say(error, EINVAL,
                                 "the root itself cannot be a target: name a "
                                 "directory below it");
        if (directory && place->kind == ROOT_FILE)
                return error_set(error, ENOTDIR, "a directory cannot be mounted on the file %s",
                                 place->path);
        if (!directory && (place->kind == ROOT_DIRECTORY || place->kind == ROOT_PROC))
                return error_set(error, EISDIR, "the file %s cannot be mounted on the directory %s",
                                 root->plan->sources[entry->source].path, place->path);
        return 0;
}

/* A new file system of the kind that an earlier origin has made at the same place takes that one's place in
 * the order: mounting both would only cost time, and leave the first one's memory behind. */
static bool replace(const struct root *root, const struct plan_entry *entry, const char *target)
{
        struct plan *plan = root->plan;

        if (entry->kind == PLAN_BIND || !plan_is_mount(entry->kind))
                return false;
        for (size_t i = plan->entry_count; i-- > 0;) {
                struct plan_entry *other = &plan->entries[i];
                size_t length = strlen(other->target);

                if (!plan_is_mount(other->kind) || strncmp(target, other->target, length) != 0 ||
                    (target[length] != '\0' && target[length] != '/'))
                        continue;
                if (i >= root->origin || target[length] || other->kind != entry->kind)
                        return false;
                target = other->target;
                *other = *entry;
                other->target = (char *)target;
                return true;
        }
        return false;
}

int root_add(struct root *root, const struct plan_entry *entry, struct error *error)
{
        struct root_place place;
        int r;

        if (!plan_target_valid(entry->target)) {
                error_say(error, EINVAL, "\"%s\" is no target", entry->target);
                return error_remedy(error, "write an absolute path below \"/\", without \".\" or "
                                           "\"..\" parts, doubled or trailing slashes");
        }
        r = reach(root, entry->target, plan_is_mount(entry->kind), &place, error);
        if (r < 0)
                return r;
        if (plan_is_mount(entry->kind)) {
                r = check_mount(root, entry, &place, error);
                if (r < 0 || replace(root, entry, place.path))
                        return r;
        } else if (place.kind != ROOT_ABSENT) {
                error_set(error, EEXIST, "%s", place.path);
                return error_remedy(error,
                                    "an earlier entry makes it, or made it as a parent of its "
                                    "own target: remove one of the two, or put this one first");
        }
        return append(root, entry, place.path, error);
}

int root_cover(struct root *root, const struct plan_entry *entry, struct error *error)
{
        return append(root, entry, entry->target, error);
}
