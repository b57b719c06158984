#include "runtime/protocol/messages.h"

#include "base/own.h"

#define STARTING (1u << PROTOTYPE_STARTING)
#define RUNNING  (1u << PROTOTYPE_RUNNING)

static const char *const prototype_phases[PROTOTYPE_PHASES] = {
        [PROTOTYPE_STARTING] = "starting",
        [PROTOTYPE_RUNNING] = "running",
        [PROTOTYPE_FAILED] = "failed",
};

static const char *const order_phases[] = {"serving"};

static const struct message_rule order_rules[] = {
        {ORDER_CLONE, "clone", sizeof(struct order_clone), 1, false},
        {ORDER_ACKNOWLEDGE, "acknowledge", sizeof(struct order_acknowledge), 1, false},
        {ORDER_STOP, "stop", sizeof(struct order_stop), 1, true},
};

const struct message_table order_table = {
        "supervisor", order_phases, ARRAY_SIZE(order_phases), order_rules, ARRAY_SIZE(order_rules),
};

static const struct message_rule report_rules[] = {
        {REPORT_READY, "ready", sizeof(struct report_ready), STARTING, true},
        {REPORT_FAILED, "failed", sizeof(struct report_failed), STARTING, true},
        {REPORT_CLONED, "cloned", sizeof(struct report_cloned), RUNNING, false},
        {REPORT_CLONE_FAILED, "clone-failed", sizeof(struct report_clone_failed), RUNNING, false},
        {REPORT_STARTED, "started", sizeof(struct report_worker), RUNNING, false},
        {REPORT_WORKER_READY, "worker-ready", sizeof(struct report_worker), RUNNING, false},
        {REPORT_WORKER_FAILED, "worker-failed", sizeof(struct report_worker_failed), RUNNING,
         false},
        {REPORT_EXITED, "exited", sizeof(struct report_exited), RUNNING, false},
};

const struct message_table report_table = {
        "prototype", prototype_phases, PROTOTYPE_PHASES, report_rules, ARRAY_SIZE(report_rules),
};
