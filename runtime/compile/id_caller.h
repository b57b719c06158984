/* Who clade runs as, and which ids it has to give away. */
#pragma once

#include <limits.h>

#include "base/error.h"
#include "runtime/compile/id_registry.h"
#include "runtime/compile/subid.h"
#include "runtime/config/config.h"

enum id_power {
        ID_POWER_ROOT,   /* any id, by itself */
        ID_POWER_HELPER, /* what subuid(5) grants to it, by newuidmap(1) */
        ID_POWER_NONE,   /* its own one */
};

struct id_caller {
        enum id_power power;
        uint32_t own[ID_KINDS];
        int64_t root[ID_KINDS]; /* our name for the 0 of the namespace above; -1: none */
        struct subid_grants grants[ID_KINDS]; /* HELPER */
        struct id_ranges ranges;              /* ROOT, HELPER: what each application gets one of */
        char state[PATH_MAX];                 /* ROOT, HELPER: the registry's directory */
};

/* `namespace`: the application has a user namespace, so helpers could serve. `remember`: the directories above
 * the registry's are made where they are missing. finish it in either case. */
int id_caller_find(struct id_caller *caller, const struct config_settings *settings, bool namespace,
                   bool remember, struct error *error);
void id_caller_finish(struct id_caller *caller);

/* Refuses ids that mean nothing in our user namespace. */
int id_caller_mapped(enum id_kind kind, uint32_t first, uint32_t count, struct error *error);
