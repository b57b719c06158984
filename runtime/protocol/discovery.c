#include "runtime/protocol/discovery.h"

#include "base/own.h"

#define CONFINING  (1u << DISCOVERY_CONFINING)
#define LOADING    (1u << DISCOVERY_LOADING)
#define DESCRIBING (1u << DISCOVERY_DESCRIBING)

static const char *const phases[DISCOVERY_PHASES] = {
        [DISCOVERY_CONFINING] = "not confined yet",
        [DISCOVERY_LOADING] = "loading",
        [DISCOVERY_DESCRIBING] = "describing",
        [DISCOVERY_ENDED] = "done",
};

static const struct message_rule rules[] = {
        {DISCOVERY_CONFINED, "confined", sizeof(struct discovery_confined), CONFINING, true},
        {DISCOVERY_FAILED, "failed", sizeof(struct discovery_failed),
         CONFINING | LOADING | DESCRIBING, true},
        {DISCOVERY_MODULE, "module", sizeof(struct discovery_module), LOADING, true},
        {DISCOVERY_ALIAS, "alias", sizeof(struct discovery_alias), DESCRIBING, false},
        {DISCOVERY_OPTION, "option", sizeof(struct discovery_option), DESCRIBING, false},
        {DISCOVERY_MOUNT, "mount", sizeof(struct discovery_mount), DESCRIBING, false},
        {DISCOVERY_DONE, "done", sizeof(struct discovery_done), DESCRIBING, true},
};

const struct message_table discovery_table = {
        "clade-discovery", phases, DISCOVERY_PHASES, rules, ARRAY_SIZE(rules),
};
