/* Finding modules: one exec'd, sandboxed clade-discovery for each file that the glob matches, all at
 * the same time. Each gets its module as a descriptor and answers over a SOCK_SEQPACKET pair with typed
 * messages (runtime/protocol/discovery.h). One that crashes, hangs beyond the deadline, breaks the
 * protocol or describes something that we cannot use costs that module and nothing else. */
#pragma once

#include "base/error.h"
#include "runtime/catalogue/catalogue.h"

struct discover {
        const char *glob;       /* glob(7) pattern of module files */
        const char *executable; /* clade-discovery */
        int deadline_ms;        /* for all of them together */
        /* Called for each module that was skipped, with the reason, and with `serious` where the file
         * is broken rather than just not for us (duplicate, unknown API version). */
        void (*notice)(void *context, const char *path, bool serious, const struct error *error);
        void *context;
};

/* Fills the catalogue. 0 even when nothing was found: what an application misses is told where it is
 * configured. Negative errno only when discovery itself cannot work. */
int discover_modules(const struct discover *discover, struct catalogue *catalogue,
                     struct error *error);
