/* The steps of the prototype, in the order of the table in isolation/apply.c. Each lives in a file of its
 * name, with `apply` and `describe` side by side so that what is told is what is done; a test holds the
 * two together (tests/integration/test_plan_strace.py).
 *
 * What each one may rely on and must not yet do:
 *
 *   tether         Nothing yet. From here on we die with our supervisor.
 *   session        Out of the supervisor's session: its terminal's signals and its keys are not ours.
 *   hostname       Needs the capabilities over the UTS and the network namespace.
 *   propagation    Before any mount: nothing that follows may be seen by the host.
 *   root           A tmpfs over "/", reached by its descriptor only; the process still sees the old root.
 *   entries        Everything that will be visible. Sources by descriptor, targets in the new root only.
 *   seal           The root's own tmpfs becomes read-only. Nothing may be created in it any more.
 *   pivot          The old root is gone. No path of the host means anything from here on.
 *   limits         Before the capabilities go, as raising needs one.
 *   capabilities   All five sets emptied but for what is configured, and locked. By default no mount can be
 *                  changed any more.
 *   no-new-privs   Needed by the two that follow.
 *   landlock       The prototype's own domains, whose rules are opened in the new root; and the ruleset that
 *                  workers will enter, made beforehand.
 *   seccomp        Last: what came before needs calls that the filter refuses.
 */
#pragma once

#include "isolation/apply.h"
#include "isolation/report.h"

#define STEP_FUNCTIONS(name)                                                                       \
        int name##_apply(struct isolation *isolation, struct error *error);                        \
        void name##_describe(const struct plan *plan, const struct isolation_report *report)

STEP_FUNCTIONS(tether);
STEP_FUNCTIONS(session);
STEP_FUNCTIONS(hostname);
STEP_FUNCTIONS(propagation);
STEP_FUNCTIONS(root);
STEP_FUNCTIONS(entries);
STEP_FUNCTIONS(seal);
STEP_FUNCTIONS(pivot);
STEP_FUNCTIONS(limits);
STEP_FUNCTIONS(capabilities);
STEP_FUNCTIONS(no_new_privs);
STEP_FUNCTIONS(landlock);
STEP_FUNCTIONS(seccomp);

#undef STEP_FUNCTIONS

/* One worker's part of the last two. */
int landlock_enter(int ruleset, uint32_t flags, struct error *error);
void landlock_describe_enter(const struct plan_landlock *domain,
                             const struct isolation_report *report);
int seccomp_install(const struct plan_filter *filter, struct error *error);

/* What isolation_clone does before all that, for the report. */
void clone_describe(const struct plan *plan, const struct isolation_report *report);
