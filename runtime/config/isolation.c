/* "isolation": what an application is kept apart from, and what it may see. */
#include "runtime/config/schema.h"

#include <sched.h>
#include <stdlib.h>
#include <string.h>

#include "base/missing.h"
#include "base/own.h"
#include "runtime/config/id_maps.h"
#include "runtime/config/landlock.h"
#include "runtime/config/levels.h"
#include "runtime/config/mounts.h"
#include "runtime/config/path.h"
#include "runtime/config/privileges.h"
#include "runtime/config/rootfs.h"
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

static void read_map(struct reader *reader, const struct node *node, struct draft *draft,
                     struct config_id_map *map)
{
        if (draft->isolation->namespaces & CLONE_NEWUSER)
                read_id_map(reader, node, map);
        else
                fault_key(reader, node,
                          "without a user namespace there is nothing to map: remove \"%s\" or "
                          "\"namespaces\": {\"credential\": false}",
                          node->key);
}

static void read_uidmap(struct reader *reader, const struct node *node, void *member,
                        const void *rule)
{
        struct draft *draft = member;

        (void)rule;
        read_map(reader, node, draft, &draft->isolation->uid_map);
}

static void read_gidmap(struct reader *reader, const struct node *node, void *member,
                        const void *rule)
{
        struct draft *draft = member;

        (void)rule;
        read_map(reader, node, draft, &draft->isolation->gid_map);
}

static const struct network_name {
        const char *name;
        enum config_network network;
} network_names[] = {
        {"none", CONFIG_NETWORK_NONE},
        {"loopback", CONFIG_NETWORK_LOOPBACK},
        {"host", CONFIG_NETWORK_HOST},
};

static void read_network(struct reader *reader, const struct node *node, void *member,
                         const void *rule)
{
        const char *word = json_string_value(node->json);
        struct draft *draft = member;
        struct config_isolation *isolation = draft->isolation;
        const struct network_name *network = NULL;
        bool host;

        (void)rule;
        for (size_t i = 0; word && i < ARRAY_SIZE(network_names); i++)
                if (strcmp(network_names[i].name, word) == 0)
                        network = &network_names[i];
        if (!network) {
                fault_expected(reader, node, "\"none\", \"loopback\" or \"host\"");
                return;
        }
        host = network->network == CONFIG_NETWORK_HOST;
        if ((draft->named & CLONE_NEWNET) && host == !!(isolation->namespaces & CLONE_NEWNET)) {
                fault_value(reader, node,
                            "the network \"%s\" contradicts \"namespaces\": {\"network\": %s}: "
                            "remove one of the two",
                            word, host ? "true" : "false");
                return;
        }
        isolation->network = network->network;
        if (host)
                isolation->namespaces &= ~(uint64_t)CLONE_NEWNET;
}

/* A key that means nothing without a namespace of the application's own. */
struct owned_rule {
        uint64_t namespace;
        const char *name; /* of it, in "namespaces" */
        void (*read)(struct reader *, const struct node *, void *, const void *);
        size_t offset; /* in struct config_isolation */
};

static void read_owned(struct reader *reader, const struct node *node, void *member,
                       const void *rule)
{
        struct config_isolation *isolation = ((struct draft *)member)->isolation;
        const struct owned_rule *owned = rule;

        if (isolation->namespaces & owned->namespace)
                owned->read(reader, node, (char *)isolation + owned->offset, NULL);
        else
                fault_key(reader, node,
                          "this needs the application's own namespace \"%s\": remove \"%s\", or "
                          "\"namespaces\": {\"%s\": false}",
                          owned->name, node->key, owned->name);
}

/* Where the network is empty there is no port to name. */
static void check_ports(struct reader *reader, const struct node *node,
                        const struct config_isolation *isolation, const char *key,
                        const struct config_ports *ports)
{
        const struct node at = NODE_MEMBER(node, key, json_object_get(node->json, key));

        if (ports->count > 0 && isolation->network == CONFIG_NETWORK_NONE)
                fault_value(reader, &at,
                            "the network \"none\" has no TCP at all: remove the ports, "
                            "or set \"network\" to \"loopback\" or \"host\"");
}

static void read_isolation_landlock(struct reader *reader, const struct node *node, void *member,
                                    const void *rule)
{
        struct config_isolation *isolation = ((struct draft *)member)->isolation;

        read_landlock(reader, node, &isolation->landlock, rule);
        check_ports(reader, node, isolation, "bind", &isolation->landlock.bind);
        check_ports(reader, node, isolation, "connect", &isolation->landlock.connect);
}

static void read_unix_clients(struct reader *reader, const struct node *node, void *member,
                              const void *rule)
{
        read_boolean(reader, node, &((struct draft *)member)->isolation->unix_clients, rule);
}

static void read_seccomp(struct reader *reader, const struct node *node, void *member,
                         const void *rule)
{
        static const char expected[] = "\"default\", \"strict\", or the absolute path of a profile";
        struct config_isolation *isolation = ((struct draft *)member)->isolation;
        const char *word, *fault;
        struct quoted quoted;

        (void)rule;
        if (!value_string(reader, node, expected, &word))
                return;
        fault = word[0] == '/' ? path_fault(word) : "is no profile's name";
        if (fault && strcmp(word, "default") != 0 && strcmp(word, "strict") != 0)
                fault_value(reader, node, "%s %s: expected %s", text_quote(&quoted, word), fault,
                            expected);
        else
                store_string(reader, &isolation->seccomp, word);
}

static void read_deny_write_execute(struct reader *reader, const struct node *node, void *member,
                                    const void *rule)
{
        read_boolean(reader, node, &((struct draft *)member)->isolation->deny_write_execute, rule);
}

static void read_isolation_maximum(struct reader *reader, const struct node *node, void *member,
                                   const void *rule)
{
        (void)rule;
        read_maximum(reader, node, ((struct draft *)member)->isolation);
}

static void read_isolation_minimum(struct reader *reader, const struct node *node, void *member,
                                   const void *rule)
{
        (void)rule;
        read_minimum(reader, node, ((struct draft *)member)->isolation);
}

#define ROOT_KEY(read, member)                                                                     \
        (const struct owned_rule)                                                                  \
        {                                                                                          \
                CLONE_NEWNS, "mount", read, offsetof(struct config_isolation, member)              \
        }

/* The namespaces are first: the others depend on them. */
static const struct key isolation_keys[] = {
        {"namespaces", read_namespaces, 0, NULL, NULL},
        {"maximum", read_isolation_maximum, 0, NULL, NULL},
        {"minimum", read_isolation_minimum, 0, NULL, NULL},
        {"uidmap", read_uidmap, 0, NULL, NULL},
        {"gidmap", read_gidmap, 0, NULL, NULL},
        {"rootfs", read_rootfs, 0, NULL, NULL},
        {"writable", read_owned, 0, &ROOT_KEY(read_writable, root_writable), NULL},
        {"root_size", read_owned, 0, &ROOT_KEY(read_root_size, root_size), NULL},
        {"root_inodes", read_owned, 0, &ROOT_KEY(read_root_inodes, root_inodes), NULL},
        {"maskedPaths", read_owned, 0, &ROOT_KEY(read_paths, masked), NULL},
        {"readonlyPaths", read_owned, 0, &ROOT_KEY(read_paths, read_only), NULL},
        {"mounts", read_isolation_mounts, 0, NULL, NULL},
        {"network", read_network, 0, NULL, NULL},
        {"unix_clients", read_unix_clients, 0, NULL, NULL},
        {"seccomp", read_seccomp, 0, NULL, NULL},
        {"memory_deny_write_execute", read_deny_write_execute, 0, NULL, NULL},
        {"landlock", read_isolation_landlock, 0, NULL, NULL},
        {"capabilities", read_owned, 0,
         &(const struct owned_rule){CLONE_NEWUSER, "credential", read_capabilities,
                                    offsetof(struct config_isolation, capabilities)},
         NULL},
        {"new_privs", read_new_privs, 0, NULL, NULL},
        {"hostname", read_owned, 0,
         &(const struct owned_rule){CLONE_NEWUTS, "uname", read_hostname,
                                    offsetof(struct config_isolation, hostname)},
         NULL},
        {"time_offsets", read_owned, 0,
         &(const struct owned_rule){CLONE_NEWTIME, "time", read_time_offsets,
                                    offsetof(struct config_isolation, time_offsets)},
         NULL},
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
        if (!draft.isolation->minimum_named)
                draft.isolation->minimum = levels_asked(draft.isolation);
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
        isolation->maximum = LADDER_FULL;
        isolation->minimum = levels_asked(isolation);
        store_string(reader, &isolation->rootfs, "minimal");
}
