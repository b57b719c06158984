/* The ladder: how much isolation a host allows, found out by doing it.
 *
 * A throw-away child goes through the very steps that a prototype's start consists of (clone.h, apply.h), with
 * a plan that has one of everything: all namespaces, id maps, a new root with a fresh /proc, pivot, Landlock,
 * a seccomp filter. Where it gets stuck, the feature that this step stands for is missing; the next child does
 * without it. No version number and no single errno is believed: kernels, engines and security modules refuse
 * the same thing at different places and with different words. Those are looked at afterwards, for the cause.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "isolation/cause.h"
#include "isolation/plan.h"

/* From weak to strong: they compare. */
enum ladder_level {
        LADDER_NONE,        /* rlimits and no_new_privs, no more */
        LADDER_FILTER,      /* the system call filter */
        LADDER_CONFINE,     /* and Landlock: files, network, signals; no namespaces */
        LADDER_SHARED_PROC, /* all namespaces, a root; /proc is the outer one */
        LADDER_USER,        /* and a fresh /proc; ids are those of clade's user */
        LADDER_FULL,        /* and ids of the application's own */
        LADDER_LEVELS
};

const char *ladder_level_name(enum ladder_level level); /* "shared-proc" */
/* The level of that name in *ret_level; false when there is none. */
bool ladder_level_find(const char *name, enum ladder_level *ret_level);

/* What levels are made of. Each needs those above it in this list, apart from the last two. */
enum ladder_feature {
        LADDER_NAMESPACES,
        LADDER_IDS, /* that are not the user's own */
        LADDER_ROOT,
        LADDER_PROC, /* a fresh one */
        LADDER_LANDLOCK,
        LADDER_SECCOMP,
        LADDER_FEATURES
};

const char *ladder_feature_name(enum ladder_feature feature); /* "fresh-proc" */

enum ladder_state {
        LADDER_UNTRIED, /* nobody asked, or what it needs is missing */
        LADDER_THERE,
        LADDER_MISSING,
};

struct ladder_finding {
        enum ladder_state state;
        /* MISSING: */
        enum cause cause;
        struct error error; /* what was refused; its remedy */
};

struct ladder {
        enum ladder_level level; /* the strongest that this host allows */
        uint32_t landlock_abi;   /* 0: none */
        struct ladder_finding findings[LADDER_FEATURES];
};

/* What is to be tried. */
struct ladder_request {
        uint64_t namespaces; /* CLONE_NEW*; 0: none are needed, start at `confine` */
        bool privileged;     /* see struct plan */
        /* Ids of an application's own. Where there are none: PLAN_IDS_NONE, and why. */
        struct plan_identity identity;
        enum cause no_identity;
        struct error no_identity_error;
        /* The user's own id, for namespaces without foreign ones; PLAN_IDS_NONE: not allowed (user 0). */
        struct plan_identity own_identity;
};

/* Blocks for the time of a few clones, some milliseconds each. A host that allows less is no error: 0. */
int ladder_probe(const struct ladder_request *request, struct ladder *ret_ladder,
                 struct error *error);

/* The strongest level that these features make. */
enum ladder_level ladder_level_of(const struct ladder *ladder);

/* The feature that keeps a host below `level`: the first that is missing, or LADDER_FEATURES. */
enum ladder_feature ladder_missing(const struct ladder *ladder, enum ladder_level level);
