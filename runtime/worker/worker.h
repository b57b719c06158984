/* A worker's first moments, between the clone and the application. */
#pragma once

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "clade/module.h"
#include "isolation/plan.h"

/* What a module's hook writes its failure into (opaque in the module API). */
struct clade_failure {
        struct error error;
};

/* What a worker tells its prototype before it hands over, on a pipe that closes with the exec or just
 * before the application's code is called. */
struct worker_word {
        uint32_t step; /* 0: "I hand over now"; otherwise the step that failed */
        uint32_t spare;
        struct error error;
};

struct worker_start {
        const struct clade_module *module;
        struct clade_application *application;
        struct clade_failure *failure;
        const struct plan_filter *difference;
        char *title;             /* argv[0]: "clade: prototype NAME", to be written over */
        const char *title_new;   /* ... by this, which is shorter */
        const sigset_t *signals; /* that are not as a fresh process has them */
        const char *notify;      /* value of NOTIFY_SOCKET, or NULL */
        uint32_t slot;
        uint64_t serial;
        pid_t prototype; /* our parent's pid, as we see it */

        /* descriptors, by the prototype's numbers */
        const int *listeners;
        int out, err;
        int handshake;
        int scoreboard;
        int kick;
        int ruleset;            /* -1: none */
        uint32_t ruleset_flags; /* of its landlock_restrict_self */
        bool tells_load;        /* launch.tells_load */
};

/* In a fresh clone of the prototype. Never returns. */
_Noreturn void worker_run(const struct worker_start *start);
