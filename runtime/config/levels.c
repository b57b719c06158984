#include "runtime/config/levels.h"

#include <sched.h>

#include "runtime/config/values.h"

static const char expected[] =
        "\"full\", \"user\", \"shared-proc\", \"confine\", \"filter\" or \"none\"";

static bool read_level(struct reader *reader, const struct node *node, enum ladder_level *ret_level)
{
        const char *name = json_string_value(node->json);

        if (name && ladder_level_find(name, ret_level))
                return true;
        fault_expected(reader, node, expected);
        return false;
}

/* The namespace that a level promises and the configuration switches off, or NULL. */
static const char *contradiction(const struct config_isolation *isolation, enum ladder_level level)
{
        if (level >= LADDER_SHARED_PROC && !(isolation->namespaces & CLONE_NEWNS))
                return "mount";
        if (level >= LADDER_USER && !(isolation->namespaces & CLONE_NEWPID))
                return "pid";
        return NULL;
}

void read_maximum(struct reader *reader, const struct node *node,
                  struct config_isolation *isolation)
{
        enum ladder_level level;

        if (read_level(reader, node, &level))
                isolation->maximum = level;
}

void read_minimum(struct reader *reader, const struct node *node,
                  struct config_isolation *isolation)
{
        enum ladder_level level;
        const char *off;

        if (!read_level(reader, node, &level))
                return;
        off = contradiction(isolation, level);
        if (off) {
                fault_value(reader, node,
                            "the level \"%s\" needs the namespace that \"namespaces\": {\"%s\": "
                            "false} switches off: remove one of the two",
                            ladder_level_name(level), off);
                return;
        }
        if (level > isolation->maximum) {
                fault_value(reader, node,
                            "the minimum \"%s\" is above the maximum \"%s\": swap them, or remove "
                            "one",
                            ladder_level_name(level), ladder_level_name(isolation->maximum));
                return;
        }
        isolation->minimum = level;
        isolation->minimum_named = true;
}

enum ladder_level levels_asked(const struct config_isolation *isolation)
{
        const uint64_t root = CLONE_NEWNS | CLONE_NEWPID;
        enum ladder_level asked = LADDER_SHARED_PROC;

        if (!isolation->namespaces)
                asked = LADDER_CONFINE;
        else if ((isolation->namespaces & root) == root)
                asked = LADDER_USER;
        return asked < isolation->maximum ? asked : isolation->maximum;
}
