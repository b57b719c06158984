/* The steps of a start that are the runtime's own, behind those of isolation/apply.h. Numbers are exit
 * statuses and stand in events: keep them. */
#pragma once

#include "isolation/apply.h"

enum runtime_step_id {
        STEP_PLAN = 96,         /* the prototype reads its plan */
        STEP_MODULE,            /* ... loads its module */
        STEP_SETUP,             /* ... lets it set up, before the root changes */
        STEP_WORKING_DIRECTORY, /* ... goes where the application shall live */
        STEP_PRELOAD,           /* ... loads the application, after the last lock */
        STEP_WORKER,            /* a worker arranges what is its own */
        STEP_AFTER_CLONE,       /* ... resets what must not be shared */
        STEP_START,             /* ... hands over to the application */
        STEP_CGROUP,            /* the supervisor makes the control group; nobody's exit status */
};

/* A name for any step, of either enum; "unknown" for other numbers. */
const char *step_name(unsigned id);
