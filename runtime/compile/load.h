/* What every command that has a configuration starts with: the modules of this host are found, and the
 * configuration is read with what they declare. */
#pragma once

#include "base/error.h"
#include "runtime/catalogue/catalogue.h"
#include "runtime/config/config.h"
#include "runtime/paths/paths.h"

struct load {
        const struct paths *paths;
        const char *modules; /* a glob in place of the paths' own, or NULL */
        /* Called for each module that is left out; see runtime/catalogue/discover.h. */
        void (*notice)(void *context, const char *path, bool serious, const struct error *error);
        void *context;
};

struct loaded {
        struct catalogue catalogue;
        struct config config; /* refers to the catalogue */
};

/* The modules alone. */
int load_modules(const struct load *load, struct catalogue *catalogue, struct error *error);

/* 0; -EINVAL with at least one diagnostic (the caller finishes them in any case); another negative errno
 * with `error` filled. Only after 0 there is something to finish. */
int load_configuration(const struct load *load, const char *file, struct loaded *loaded,
                       struct diagnostics *diagnostics, struct error *error);
void loaded_finish(struct loaded *loaded);
