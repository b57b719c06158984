/* The file that remembers which ids belong to which application: DIRECTORY/ids, one line for each range,
 *
 *     USERS <tab> GROUPS <tab> COUNT <tab> real path of the configuration <tab> name of the application
 *
 * where USERS and GROUPS are the first ids, or "-" for none, and with tab, newline and backslash written as \t,
 * \n and \\. It decides who can read whose files, so it is believed only when nobody but its owner can have
 * written it, and a line that makes no sense refuses everything until a person has looked. A last line
 * without its newline is no such case: a range counts only once its line is on the disk, so that one was
 * never given to anybody.
 *
 * Whoever assigns holds a lock on the file. A range stays its application's until there is no other left; only
 * then those go whose configuration file is gone, or no longer has the application. An application has
 * the range that was assigned to it ("auto"), those that it has claimed (its uidmap and gidmap), and any that
 * it had earlier.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "runtime/compile/id_taken.h"

struct id_entry {
        uint32_t first[ID_KINDS]; /* 0: none of this kind */
        uint32_t count;
        char *file, *application;
};

struct id_registry {
        char *directory;      /* for messages */
        int directory_fd, fd; /* -1: in memory only */
        struct id_entry *entries;
        size_t count, room;
        size_t size; /* bytes of complete lines */
};

/* `count` ranges of `size` ids each, from first[ID_USERS] on for users and first[ID_GROUPS] for groups. */
struct id_ranges {
        uint32_t first[ID_KINDS];
        uint32_t count, size;
        uint32_t own
                [ID_KINDS]; /* which one of a range the application itself will have: below size */
};

/* Ids that a configuration names. */
struct id_claim {
        enum id_kind kind;
        uint32_t first, count;
};

struct id_key {
        const char *file; /* a real path */
        const char *application;
        /* All applications of that file: what is not among them may be forgotten. */
        const char *const *applications;
        size_t application_count;
        /* All that they claim: nothing of it is assigned to one of them. */
        const struct id_claim *claims;
        size_t claim_count;
        /* When nothing is remembered: how many free ranges are for others that come first. Their own ids are
         * not asked for; what the host lists is passed over as ever. */
        size_t skip;
};

/* Opens, locks and reads it, making what is missing: the directory 0755, the file 0600. With
 * `remember` false nothing is made, locked or written, and what may not be read counts as empty.
 * finish it in either case. */
int id_registry_open(struct id_registry *registry, const char *directory, bool remember,
                     struct error *error);
void id_registry_finish(struct id_registry *registry);

/* The application's range, old or new; ret_first as in struct id_entry. A new one overlaps no other of the
 * file, nor any id that the host knows (`taken`, and its own ones asked for), and is on the disk when
 * this returns. -ENOSPC when there is none left. */
int id_registry_assign(struct id_registry *registry, const struct id_ranges *ranges,
                       const struct id_key *key, const struct id_taken *taken,
                       uint32_t ret_first[ID_KINDS], struct error *error);

/* Whether it has one. */
bool id_registry_has(const struct id_registry *registry, const struct id_ranges *ranges,
                     const struct id_key *key);

/* What the application's own maps name is its own from now on. -EEXIST when it is another one's. */
int id_registry_claim(struct id_registry *registry, const struct id_key *key,
                      const struct id_claim *claims, size_t count, struct error *error);

/* Whose an id is, if not this application's. NULL: nobody's here. */
const struct id_entry *id_registry_other(const struct id_registry *registry,
                                         const struct id_key *key, enum id_kind kind,
                                         uint32_t first, uint32_t count);
