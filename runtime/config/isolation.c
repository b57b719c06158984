/* "isolation": what an application is kept apart from, and what it may see. */
#include "runtime/config/schema.h"

#include <sched.h>
#include <stdlib.h>
#include <string.h>

#include "base/missing.h"
#include "base/own.h"
#include "runtime/config/mounts.h"
#include "runtime/config/path.h"
#include "runtime/config/values.h"

#define TEMPLATE_NAME_MAX 64 /* bytes */

/* The ancestor's names, and two that came later. */
static const struct namespace_name {
        const char *name;
        uint64_t flag;
} namespace_names[] = {
        {"credential", CLONE_NEWUSER}, {"pid", CLONE_NEWPID},   {"mount", CLONE_NEWNS},
        {"network", CLONE_NEWNET},     {"uname", CLONE_NEWUTS}, {"cgroup", CLONE_NEWCGROUP},
        {"ipc", CLONE_NEWIPC},         {"time", CLONE_NEWTIME},
};

/* While it is being read: also what was said in so many words, since saying it twice and differently
 * is an error where leaving it out is not. */
struct draft {
        struct config_isolation *isolation;
        uint64_t named; /* namespaces that the file has */
};

static void read_namespace(struct reader *reader, const struct node *node, void *member,
                           const void *rule)
{
        struct draft *draft = member;
        uint64_t flag = *(const uint64_t *)rule;
        bool wanted = true;

        read_boolean(reader, node, &wanted, NULL);
        draft->named |= flag;
        if (!wanted)
                draft->isolation->namespaces &= ~flag;
}

static void read_namespaces(struct reader *reader, const struct node *node, void *member,
                            const void *rule)
{
        struct key keys[ARRAY_SIZE(namespace_names)];
        const struct schema schema = {"the namespaces", keys, ARRAY_SIZE(keys), NULL, NULL};
        struct draft *draft = member;

        (void)rule;
        for (size_t i = 0; i < ARRAY_SIZE(keys); i++)
                keys[i] = (struct key){.name = namespace_names[i].name,
                                       .read = read_namespace,
                                       .rule = &namespace_names[i].flag};
        read_object(reader, node, &schema, draft);
        /* as the ancestor has it: without a network namespace, the network is the host's */
        if (!(draft->isolation->namespaces & CLONE_NEWNET))
                draft->isolation->network = CONFIG_NETWORK_HOST;
}

static void read_rootfs(struct reader *reader, const struct node *node, void *member,
                        const void *rule)
{
        static const char expected[] = "the name of a template, as in \"minimal\", or an absolute "
                                       "path";
        struct config_isolation *isolation = ((struct draft *)member)->isolation;
        struct quoted quoted;
        const char *rootfs;

        (void)rule;
        if (!value_string(reader, node, expected, &rootfs))
                return;
        if (!(isolation->namespaces & CLONE_NEWNS)) {
                fault_key(reader, node,
                          "without a mount namespace there can be no root of its own: "
                          "remove \"rootfs\" or \"namespaces\": {\"mount\": false}");
                return;
        }
        if (strcmp(rootfs, "/") == 0) {
                fault_value(reader, node,
                            "the host's own root is no root for an application: "
                            "expected another directory, or the template \"host\"");
                return;
        }
        if (rootfs[0] == '/' ? path_fault(rootfs) != NULL
                             : rootfs[0] == '.' || rootfs[0] == '\0' || strchr(rootfs, '/') ||
                                       strlen(rootfs) > TEMPLATE_NAME_MAX) {
                const char *fault = rootfs[0] == '/' ? path_fault(rootfs) : "is no template's name";

                fault_value(reader, node, "%s %s: expected %s", text_quote(&quoted, rootfs), fault,
                            expected);
                return;
        }
        store_string(reader, &isolation->rootfs, rootfs);
}

static void read_isolation_mounts(struct reader *reader, const struct node *node, void *member,
                                  const void *rule)
{
        struct config_isolation *isolation = ((struct draft *)member)->isolation;

        (void)rule;
        if (!(isolation->namespaces & CLONE_NEWNS))
                fault_key(reader, node,
                          "without a mount namespace there can be no mounts: remove "
                          "\"mounts\" or \"namespaces\": {\"mount\": false}");
        else
                read_mounts(reader, node, isolation);
}

static void read_network(struct reader *reader, const struct node *node, void *member,
                         const void *rule)
{
        struct draft *draft = member;
        struct config_isolation *isolation = draft->isolation;
        const char *network = json_string_value(node->json);
        bool host = network && strcmp(network, "host") == 0;

        (void)rule;
        if (!host && !(network && strcmp(network, "none") == 0)) {
                fault_expected(reader, node, "\"none\" or \"host\"");
                return;
        }
        if ((draft->named & CLONE_NEWNET) && host == !!(isolation->namespaces & CLONE_NEWNET)) {
                fault_value(reader, node,
                            "the network \"%s\" contradicts \"namespaces\": {\"network\": %s}: "
                            "remove one of the two",
                            network, host ? "true" : "false");
                return;
        }
        isolation->network = host ? CONFIG_NETWORK_HOST : CONFIG_NETWORK_NONE;
        if (host)
                isolation->namespaces &= ~(uint64_t)CLONE_NEWNET;
}

static void read_unix_clients(struct reader *reader, const struct node *node, void *member,
                              const void *rule)
{
        read_boolean(reader, node, &((struct draft *)member)->isolation->unix_clients, rule);
}

/* The namespaces are first: the others depend on them. */
static const struct key isolation_keys[] = {
        {"namespaces", read_namespaces, 0, NULL, NULL},
        {"rootfs", read_rootfs, 0, NULL, NULL},
        {"mounts", read_isolation_mounts, 0, NULL, NULL},
        {"network", read_network, 0, NULL, NULL},
        {"unix_clients", read_unix_clients, 0, NULL, NULL},
};

static const struct schema isolation_schema = {
        .what = "the isolation",
        .keys = isolation_keys,
        .count = ARRAY_SIZE(isolation_keys),
};

void read_isolation(struct reader *reader, const struct node *node, void *member, const void *rule)
{
        struct draft draft = {.isolation = member};

        (void)rule;
        read_object(reader, node, &isolation_schema, &draft);
        if (!(draft.isolation->namespaces & CLONE_NEWNS)) {
                free(draft.isolation->rootfs);
                draft.isolation->rootfs = NULL;
        }
}

void isolation_defaults(struct reader *reader, struct config_isolation *isolation)
{
        for (size_t i = 0; i < ARRAY_SIZE(namespace_names); i++)
                isolation->namespaces |= namespace_names[i].flag;
        isolation->network = CONFIG_NETWORK_NONE;
        store_string(reader, &isolation->rootfs, "minimal");
}
