/* The file that remembers which id belongs to which application: DIRECTORY/ids, one line each,
 *
 *     ID <tab> real path of the configuration <tab> name of the application
 *
 * with tab, newline and backslash written as \t, \n and \\. It decides who can read whose files, so it
 * is believed only when nobody but its owner can have written it, and a line that makes no sense refuses
 * everything until a person has looked. A last line without its newline is no such case: an id counts
 * only once its line is on the disk, so that one was never given to anybody.
 *
 * Whoever assigns holds a lock on the file. An id stays its application's until the whole range is used
 * up; only then those go whose configuration file is gone, or no longer has the application.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

struct id_entry {
        uint32_t id;
        char *file, *application;
};

struct id_registry {
        char *directory;      /* for messages */
        int directory_fd, fd; /* -1: in memory only */
        struct id_entry *entries;
        size_t count, room;
        size_t size; /* bytes of complete lines */
};

/* For ids of [first, first + count) of users; group ids are those less first, plus first_group. */
struct id_range {
        uint32_t first, count, first_group;
};

struct id_key {
        const char *file; /* a real path */
        const char *application;
        /* All applications of that file: what is not among them may be forgotten. */
        const char *const *applications;
        size_t application_count;
};

/* Opens, locks and reads it, making what is missing: the directory 0755, the file 0600. With
 * `remember` false nothing is made, locked or written, and what may not be read counts as empty.
 * finish it in either case. */
int id_registry_open(struct id_registry *registry, const char *directory, bool remember,
                     struct error *error);
void id_registry_finish(struct id_registry *registry);

/* The application's id, old or new. A new one is neither in the file nor known as a user or a group of
 * the host, and is on the disk when this returns. -ENOSPC when there is none left. */
int id_registry_assign(struct id_registry *registry, const struct id_range *range,
                       const struct id_key *key, uint32_t *ret_id, struct error *error);
