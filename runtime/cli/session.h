/* What commands that have a configuration work with. */
#pragma once

#include "base/error.h"
#include "runtime/compile/compile.h"
#include "runtime/compile/load.h"

/* Where clade's parts are, the modules, the configuration. */
struct session {
        struct paths paths;
        struct loaded loaded;
};

/* As load_configuration, which it calls with our own paths; `load` gives the rest. */
int session_load(struct session *session, const struct load *load, const char *file,
                 struct diagnostics *diagnostics, struct error *error);
void session_finish(struct session *session);

/* A session whose applications are compiled, and not started: what the host allows has been tried out. It stays
 * where it is, because its parts refer to each other. */
struct rehearsal {
        struct session session;
        struct compile_cgroups cgroups;
        struct ladder ladder;
        struct filters filters;
        struct compile compile;
};

/* Prints whatever is wrong. The exit status; only after STATUS_OK there is something to finish. */
int rehearsal_init(struct rehearsal *rehearsal, const char *modules, const char *file);
void rehearsal_finish(struct rehearsal *rehearsal);
