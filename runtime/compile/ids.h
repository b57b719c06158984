/* Which host ids an application runs as.
 *
 * Root gives each application a range of its own from settings.id_ranges, remembered in STATE_DIRECTORY/ids so
 * that it is the same at every start and never another one's: the key is the configuration's real path and
 * the application's name. An unprivileged user gives a share of its subuid(5) range by newuidmap, where
 * there is one, else its own id, the only one it has. Where the configuration has maps of its own, they are
 * taken as they are, once it is certain that we may give those ids away and that no other application has
 * them.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "base/path.h"
#include "isolation/plan.h"
#include "runtime/compile/arena.h"
#include "runtime/config/config.h"

struct ids_request {
        const struct config *config;
        const struct config_application *application;
        size_t index;        /* of the application in its configuration */
        bool remember;       /* false: say what it would be, write nothing (clade plan) */
        struct arena *arena; /* for the maps */
};

/* Fills the identity: method, maps, ids inside and outside. */
int ids_assign(const struct ids_request *request, struct plan_identity *ret_identity,
               struct error *error);

/* Whether files that belong to these ids on the host may be shown to the application as its own: never root's or
 * clade's, and no other application's. */
int ids_check_owner(const struct ids_request *request, const struct plan_identity *identity,
                    uint32_t uid, uint32_t gid, struct error *error);

/* Whether the application runs as the very user that clade runs as. */
bool ids_are_ours(const struct plan_identity *identity);

/* Whose symbolic links may be followed for it: one that has our own id may have made ours. */
enum path_links ids_links(const struct plan_identity *identity);
