/* One clade-discovery and the module file that it looks at, from the clone to the verdict. */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

#include "base/error.h"
#include "isolation/plan.h"
#include "runtime/catalogue/intake.h"

enum probe_state {
        PROBE_WAITING, /* for its process */
        PROBE_RUNNING,
        PROBE_GOOD,   /* intake.module is whole */
        PROBE_BAD,    /* `error` says why */
        PROBE_FAULTY, /* it never got to look at the module: the sandbox, or the program itself */
};

struct probe {
        enum probe_state state;
        char *path; /* of the module; owned, as all that follows */
        int file;
        int channel;
        int output; /* what the process wrote to its stdout and stderr */
        int pidfd;
        struct intake intake;
        struct error error;
        bool foreign; /* BAD: built for another clade */
};

/* A module file that can be looked at at all. 0, or a negative errno and the probe is BAD. */
int probe_open(struct probe *probe, const char *path);

/* Starts its process under the plan; WAITING or FAULTY before, RUNNING or FAULTY after. `executable` is
 * clade-discovery, opened for reading. */
void probe_start(struct probe *probe, int executable, const struct plan *plan);

/* Takes what has come on the channel. When that was the end, of whatever kind, the process has been
 * killed and reaped and the state says what came of it. */
void probe_receive(struct probe *probe);

/* The deadline has passed. */
void probe_expire(struct probe *probe, int deadline_ms);

void probe_finish(struct probe *probe);
