/* Readers for plain values, to be named in the tables of a schema. Each checks the value against its
 * rule and stores it in the member, or adds a fault and leaves the member as it is. A member that is a
 * pointer gets memory of its own. */
#pragma once

#include "runtime/config/reader.h"

struct integer_rule {
        int64_t minimum, maximum;
        const char *unit; /* "seconds", or NULL */
};

struct path_rule {
        bool root; /* "/" itself will do */
};

void read_u32(struct reader *reader, const struct node *node, void *member, const void *rule);
void read_u64(struct reader *reader, const struct node *node, void *member, const void *rule);
void read_boolean(struct reader *reader, const struct node *node, void *member, const void *rule);
void read_string(struct reader *reader, const struct node *node, void *member, const void *rule);
void read_path(struct reader *reader, const struct node *node, void *member, const void *rule);
/* member: char **, NULL so far. One path or an array of such; never an empty list. */
void read_path_list(struct reader *reader, const struct node *node, void *member, const void *rule);
void read_strings(struct reader *reader, const struct node *node, void *member, const void *rule);

/* What they are made of. True and the value, or false after a fault. The string stays jansson's. */
bool value_integer(struct reader *reader, const struct node *node, const struct integer_rule *rule,
                   int64_t *ret_value);
bool value_string(struct reader *reader, const struct node *node, const char *expected,
                  const char **ret_value);
bool value_path(struct reader *reader, const struct node *node, const struct path_rule *rule,
                const char **ret_value);

/* An application's or a target's name: it becomes part of "pass", of cgroup, file and host names. */
bool is_name(const char *name);

/* The node's key must be one; false after a fault. `what`: "an application". */
bool check_name(struct reader *reader, const struct node *node, const char *what);

/* A new value of a module's option, under a copy of `name`; NULL without memory. It is the application's, and
 * stays where it is until the next one is added. */
struct config_value *value_add(struct reader *reader, struct config_application *application,
                               const char *name, enum clade_type type);

/* A copy into *member, which is freed first. */
void store_string(struct reader *reader, char **member, const char *string);
