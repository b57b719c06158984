#include "runtime/compile/id_registry.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
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

static bool overlap(uint32_t a, uint32_t a_count, uint32_t b, uint32_t b_count)
{
        return a < (uint64_t)b + b_count && b < (uint64_t)a + a_count;
}

/* Whether the entry is one of these ranges, whole. */
static bool is_assigned(const struct id_entry *entry, const struct id_ranges *ranges)
{
        uint32_t distance = entry->first[ID_USERS] - ranges->first[ID_USERS];

        return entry->first[ID_USERS] >= ranges->first[ID_USERS] && entry->first[ID_GROUPS] &&
               entry->count == ranges->size && distance % ranges->size == 0 &&
               distance / ranges->size < ranges->count &&
               entry->first[ID_GROUPS] == ranges->first[ID_GROUPS] + distance;
}

/* --- the lowest range that nobody has ------------------------------------------------------ */

/* Ids in use, counted from the first one of all ranges; the end is not among them. */
struct stretch {
        uint64_t start, end;
};

struct stretches {
        struct stretch *list;
        size_t count;
};

/* Room is made beforehand, by make_stretches. */
static void add_stretch(struct stretches *busy, const struct id_ranges *ranges, enum id_kind kind,
                        uint32_t first, uint32_t count)
{
        uint64_t base = ranges->first[kind], end = (uint64_t)first + count;

        if (first && end > base)
                busy->list[busy->count++] =
                        (struct stretch){first > base ? first - base : 0, end - base};
}

static int compare_stretches(const void *a, const void *b)
{
        const struct stretch *left = a, *right = b;

        return (left->start > right->start) - (left->start < right->start);
}

/* All that is in use, of users and of groups alike, by its start. The caller frees the list. */
static int make_stretches(const struct id_registry *registry, const struct id_ranges *ranges,
                          const struct id_key *key, const struct id_taken *taken,
                          struct stretches *busy, struct error *error)
{
        size_t room = registry->count * ID_KINDS + key->claim_count + 1;

        for (size_t kind = 0; kind < ID_KINDS; kind++)
                room += taken->of[kind].count;
        *busy = (struct stretches){.list = calloc(room, sizeof(*busy->list))};
        if (!busy->list)
                return error_set(error, ENOMEM, "assigning ids");
        for (unsigned kind = 0; kind < ID_KINDS; kind++) {
                const struct id_owners *owners = &taken->of[kind];

                for (size_t i = 0; i < registry->count; i++)
                        add_stretch(busy, ranges, kind, registry->entries[i].first[kind],
                                    registry->entries[i].count);
                for (size_t i = 0; i < owners->count; i++)
                        add_stretch(busy, ranges, kind, owners->list[i].first,
                                    owners->list[i].count);
        }
        for (size_t i = 0; i < key->claim_count; i++)
                add_stretch(busy, ranges, key->claims[i].kind, key->claims[i].first,
                            key->claims[i].count);
        qsort(busy->list, busy->count, sizeof(*busy->list), compare_stretches);
        return 0;
}

/* Whether the application's own ids in this range are somebody's whom no list has. */
static int is_known(const struct id_ranges *ranges, const uint32_t first[ID_KINDS], char *ret_text,
                    struct error *error)
{
        int r = 0;

        ret_text[0] = '\0';
        for (unsigned kind = 0; r == 0 && !ret_text[0] && kind < ID_KINDS; kind++)
                r = id_owner_known(kind, first[kind] + ranges->own[kind], ret_text, error);
        return r;
}

static int find_free(const struct id_registry *registry, const struct id_ranges *ranges,
                     const struct id_key *key, const struct id_taken *taken, bool *ret_found,
                     uint32_t ret_first[ID_KINDS], struct error *error)
{
        struct stretches busy;
        cleanup_free struct stretch *list = NULL;
        size_t i = 0, skip = key->skip;
        uint64_t at = 0;
        int r = make_stretches(registry, ranges, key, taken, &busy, error);

        list = busy.list;
        *ret_found = false;
        while (r == 0 && at < ranges->count) {
                uint64_t start = at * ranges->size, end = start + ranges->size;
                char text[64];

                if (i < busy.count && list[i].start < end) {
                        /* What ended earlier is in nobody's way any more. */
                        if (list[i].end > start)
                                at = (list[i].end + ranges->size - 1) / ranges->size;
                        i++;
                        continue;
                }
                if (skip > 0) {
                        skip--;
                        at++;
                        continue;
                }
                for (size_t kind = 0; kind < ID_KINDS; kind++)
                        ret_first[kind] = (uint32_t)(ranges->first[kind] + start);
                r = is_known(ranges, ret_first, text, error);
                *ret_found = r == 0 && !text[0];
                if (*ret_found)
                        break;
                at++;
        }
        return r;
}

/* --- forgetting ---------------------------------------------------------------------------- */

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

/* --- assigning ----------------------------------------------------------------------------- */

/* An account that was made after the ids had been given away would share the application's files. */
static int check_still_private(const struct id_registry *registry, const struct id_ranges *ranges,
                               const struct id_taken *taken, const struct id_entry *entry,
                               struct error *error)
{
        char text[64] = "";
        int r = 0;

        for (unsigned kind = 0; !text[0] && kind < ID_KINDS; kind++) {
                const struct id_owner *owner =
                        id_taken_find(taken, kind, entry->first[kind], entry->count);

                if (owner)
                        snprintf(text, sizeof(text), "%s", owner->text);
        }
        if (!text[0])
                r = is_known(ranges, entry->first, text, error);
        if (r < 0 || !text[0])
                return r;
        error_say(error, EEXIST,
                  "of the ids %u to %u, which belong to this application, some are "
                  "now also those of %s",
                  entry->first[ID_USERS], entry->first[ID_USERS] + (entry->count - 1), text);
        return error_remedy(error,
                            "give them others, or remove the application's line from %s/ids and "
                            "change the owner of the files it has written",
                            registry->directory);
}

static int refuse_full(const struct id_registry *registry, const struct id_ranges *ranges,
                       struct error *error)
{
        error_say(error, ENOSPC, "all ids from %u to %llu are taken, in ranges of %u",
                  ranges->first[ID_USERS],
                  (unsigned long long)ranges->first[ID_USERS] +
                          (unsigned long long)ranges->count * ranges->size - 1,
                  ranges->size);
        return error_remedy(error,
                            "let there be more or smaller ranges (settings.id_ranges; without "
                            "root, /etc/subuid and /etc/subgid), or remove lines of %s/ids whose "
                            "applications own no files any more",
                            registry->directory);
}

bool id_registry_has(const struct id_registry *registry, const struct id_ranges *ranges,
                     const struct id_key *key)
{
        for (size_t i = 0; i < registry->count; i++)
                if (same_key(&registry->entries[i], key) &&
                    is_assigned(&registry->entries[i], ranges))
                        return true;
        return false;
}

int id_registry_assign(struct id_registry *registry, const struct id_ranges *ranges,
                       const struct id_key *key, const struct id_taken *taken,
                       uint32_t ret_first[ID_KINDS], struct error *error)
{
        bool found = false, rewrite = false;
        uint32_t first[ID_KINDS] = {0};
        size_t before;
        int r;

        for (size_t i = 0; i < registry->count; i++) {
                const struct id_entry *entry = &registry->entries[i];

                if (!same_key(entry, key) || !is_assigned(entry, ranges))
                        continue;
                memcpy(ret_first, entry->first, sizeof(entry->first));
                return check_still_private(registry, ranges, taken, entry, error);
        }
        r = find_free(registry, ranges, key, taken, &found, first, error);
        if (r == 0 && !found && reclaim(registry, key)) {
                rewrite = true;
                r = find_free(registry, ranges, key, taken, &found, first, error);
        }
        if (r < 0)
                return r;
        if (!found)
                return refuse_full(registry, ranges, error);
        before = registry->count;
        r = id_store_add(registry, first, ranges->size, key->file, key->application, error);
        if (r == 0 && registry->fd >= 0)
                r = rewrite ? id_store_rewrite(registry, error)
                            : id_store_append(registry, before, error);
        if (r == 0)
                memcpy(ret_first, first, sizeof(first));
        return r;
}

/* --- claiming ------------------------------------------------------------------------------ */

const struct id_entry *id_registry_other(const struct id_registry *registry,
                                         const struct id_key *key, enum id_kind kind,
                                         uint32_t first, uint32_t count)
{
        for (size_t i = 0; i < registry->count; i++) {
                const struct id_entry *entry = &registry->entries[i];

                if (entry->first[kind] && !same_key(entry, key) &&
                    overlap(entry->first[kind], entry->count, first, count))
                        return entry;
        }
        return NULL;
}

static bool is_claimed(const struct id_registry *registry, const struct id_key *key,
                       const struct id_claim *claim)
{
        for (size_t i = 0; i < registry->count; i++) {
                const struct id_entry *entry = &registry->entries[i];
                uint32_t first = entry->first[claim->kind];

                if (first && same_key(entry, key) && claim->first >= first &&
                    (uint64_t)claim->first + claim->count <= (uint64_t)first + entry->count)
                        return true;
        }
        return false;
}

int id_registry_claim(struct id_registry *registry, const struct id_key *key,
                      const struct id_claim *claims, size_t count, struct error *error)
{
        size_t before = registry->count;
        int r = 0;

        for (size_t i = 0; r == 0 && i < count; i++) {
                const struct id_claim *claim = &claims[i];
                const struct id_entry *other =
                        id_registry_other(registry, key, claim->kind, claim->first, claim->count);
                uint32_t first[ID_KINDS] = {0};

                if (other) {
                        error_say(error, EEXIST,
                                  "among the %s %u to %u are some of application %s of %s, which "
                                  "has %u to %u",
                                  claim->kind == ID_USERS ? "users" : "groups", claim->first,
                                  claim->first + (claim->count - 1), other->application,
                                  other->file, other->first[claim->kind],
                                  other->first[claim->kind] + (other->count - 1));
                        return error_remedy(error,
                                            "each would have the other's files: choose other ids; "
                                            "where that application is gone and owns no files any "
                                            "more, remove its line from %s/ids",
                                            registry->directory);
                }
                first[claim->kind] = claim->first;
                if (!is_claimed(registry, key, claim))
                        r = id_store_add(registry, first, claim->count, key->file, key->application,
                                         error);
        }
        if (r == 0 && registry->fd >= 0 && registry->count > before)
                r = id_store_append(registry, before, error);
        return r;
}
