/* "listeners": addresses, and which application their connections go to. */
#include "runtime/config/schema.h"

#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/own.h"
#include "runtime/config/address.h"
#include "runtime/config/targets.h"
#include "runtime/config/values.h"

static const char pass_prefix[] = "applications/";

/* While the listeners are being read. */
struct draft {
        struct config_listener *listener;
        json_t *applications; /* name to index, also of those with faults; NULL: there are none to know */
        json_t *taken;        /* address to listener, see take_address */
        const json_t *root; /* the whole file */
};

static void fault_application(struct reader *reader, const struct node *node, struct draft *draft,
                              const char *name)
{
        struct suggestion near = {.word = name};
        struct quoted quoted;
        const char *known;
        json_t *index;

        json_object_foreach (draft->applications, known, index) {
                if (reader->comparisons++ >= READER_COMPARISONS_MAX)
                        break;
                suggest_offer(&near, known);
        }
        text_quote(&quoted, name);
        if (near.best)
                fault_value(reader, node, "there is no application %s: did you mean \"%s%s\"?",
                            quoted.text, pass_prefix, near.best);
        else
                fault_value(reader, node,
                            "there is no application %s: expected \"%sNAME\" with a name out of "
                            "\"applications\"",
                            quoted.text, pass_prefix);
}

/* The application that `passed` names, and behind it, if anything, one of its targets. Names of applications
 * have no slash; one that has is told elsewhere, and is found here all the same. NULL after a fault, or where
 * there is nothing to find. */
static const struct config_application *find_application(struct reader *reader,
                                                         const struct node *node,
                                                         struct draft *draft, const char *passed,
                                                         const char **ret_target)
{
        const json_t *index = json_object_get(draft->applications, passed);
        size_t length = strcspn(passed, "/");
        cleanup_free char *name = NULL;

        *ret_target = NULL;
        if (!index && passed[length]) {
                name = strndup(passed, length);
                if (!name) {
                        reader_no_memory(reader);
                        return NULL;
                }
                index = json_object_get(draft->applications, name);
                *ret_target = passed + length + 1;
        }
        if (!index) {
                if (draft->applications)
                        fault_application(reader, node, draft, name ? name : passed);
                return NULL;
        }
        draft->listener->application = (size_t)json_integer_value(index);
        return &reader->config->applications[draft->listener->application];
}

static void read_pass(struct reader *reader, const struct node *node, void *member,
                      const void *rule)
{
        static const char expected[] = "\"applications/NAME\"";
        const struct config_application *application;
        const char *pass, *target;
        struct draft *draft = member;
        const json_t *all, *json;

        (void)rule;
        if (!value_string(reader, node, expected, &pass))
                return;
        if (strncmp(pass, pass_prefix, sizeof(pass_prefix) - 1) != 0) {
                fault_expected(reader, node, expected);
                return;
        }
        application =
                find_application(reader, node, draft, pass + sizeof(pass_prefix) - 1, &target);
        if (!application)
                return;
        all = json_object_get(draft->root, "applications");
        json = json_object_get(all, application->name);
        if (check_target(reader, node, application, json, target) && target)
                store_string(reader, &draft->listener->target, target);
}

static const struct key listener_keys[] = {
        {"pass", read_pass, 0, NULL, "where its connections go, as in \"applications/NAME\""},
};

static const struct schema listener_schema = {
        .what = "a listener",
        .keys = listener_keys,
        .count = ARRAY_SIZE(listener_keys),
};

/* Notes who has an address, or says who has it already. `taken` maps addresses, as hex digits of
 * their bytes, to listeners' keys; a port of every address is noted twice, so that the wildcard and
 * the others meet: the kernel lets only one of them listen. */
static const char *take_address(struct reader *reader, json_t *taken,
                                const struct config_listener *listener)
{
        char key[2 * sizeof(struct sockaddr_storage) + 8], port[32], *end = key;
        const unsigned char *bytes = (const unsigned char *)&listener->socket_address;
        bool any = address_is_any(&listener->socket_address);
        unsigned number = address_port(&listener->socket_address);
        json_t *holder;

        for (socklen_t i = 0; i < listener->socket_length; i++)
                end += sprintf(end, "%02x", bytes[i]);
        holder = json_object_get(taken, key);
        if (!holder && number) {
                snprintf(port, sizeof(port), "%s %u %u", any ? "some" : "any",
                         listener->socket_address.ss_family, number);
                holder = json_object_get(taken, port);
                snprintf(port, sizeof(port), "%s %u %u", any ? "any" : "some",
                         listener->socket_address.ss_family, number);
                if (json_object_set_new(taken, port, json_string(listener->address)) < 0)
                        reader_no_memory(reader);
        }
        if (!holder && json_object_set_new(taken, key, json_string(listener->address)) < 0)
                reader_no_memory(reader);
        return json_string_value(holder);
}

static void read_listener(struct reader *reader, const struct node *node, struct draft *draft)
{
        struct config_listener *listener = draft->listener;
        struct error error = ERROR_INIT;
        struct quoted quoted, other;
        const char *holder;

        text_quote(&quoted, node->key);
        store_string(reader, &listener->address, node->key);
        if (address_parse(node->key, &listener->socket_address, &listener->socket_length, &error) <
            0) {
                fault_key(reader, node, "%s is no address to listen on: %s%s%s", quoted.text,
                          error.text, error.remedy[0] ? "; " : "", error.remedy);
                if (strlen(node->key) > READER_NAME_MAX)
                        return;
        } else {
                holder = take_address(reader, draft->taken, listener);
                if (holder)
                        fault_key(reader, node,
                                  "%s is taken already by the listener %s: expected every address "
                                  "only once",
                                  quoted.text, text_quote(&other, holder));
        }
        read_object(reader, node, &listener_schema, draft);
}

/* NULL when the file has no object of applications, so that nothing can be said about names; or when
 * there is no memory. */
static json_t *index_applications(struct reader *reader, const struct node *root)
{
        const struct config *config = reader->config;
        json_t *index;

        if (!json_is_object(json_object_get(root->json, "applications")))
                return NULL;
        index = json_object();
        if (!index)
                reader_no_memory(reader);
        for (size_t i = 0; index && i < config->application_count; i++)
                if (json_object_set_new(index, config->applications[i].name,
                                        json_integer((json_int_t)i)) < 0)
                        reader_no_memory(reader);
        return index;
}

void read_listeners(struct reader *reader, const struct node *node, void *member, const void *rule)
{
        size_t count = json_object_size(node->json);
        struct config *config = member;
        struct draft draft = {.root = node->up->json};
        const char *address;
        json_t *json;

        (void)rule;
        if (!expect_object(reader, node, "an object of listeners by their addresses") || !count)
                return;
        config->listeners = calloc(count, sizeof(*config->listeners));
        draft.applications = index_applications(reader, node->up);
        draft.taken = json_object();
        if (!config->listeners || !draft.taken)
                reader_no_memory(reader);
        json_object_foreach (node->json, address, json) {
                const struct node listener = NODE_MEMBER(node, address, json);

                if (reader->error)
                        break;
                draft.listener = &config->listeners[config->listener_count++];
                read_listener(reader, &listener, &draft);
        }
        json_decref(draft.applications);
        json_decref(draft.taken);
}
