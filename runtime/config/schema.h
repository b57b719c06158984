/* The parts of the configuration, each with its tables in a file of its own. */
#pragma once

#include "runtime/config/reader.h"

/* member: struct config_settings */
void read_settings(struct reader *reader, const struct node *node, void *member, const void *rule);
void settings_defaults(struct reader *reader, struct config_settings *settings);

/* member: struct config; the listeners come after the applications, which they name. */
void read_applications(struct reader *reader, const struct node *node, void *member,
                       const void *rule);
void read_listeners(struct reader *reader, const struct node *node, void *member, const void *rule);

/* member: struct config_application */
void read_user(struct reader *reader, const struct node *node, void *member, const void *rule);
void read_group(struct reader *reader, const struct node *node, void *member, const void *rule);

/* member: char ** of an application, "NAME=value" */
void read_environment(struct reader *reader, const struct node *node, void *member,
                      const void *rule);

/* member: struct config_isolation */
void read_isolation(struct reader *reader, const struct node *node, void *member, const void *rule);
void isolation_defaults(struct reader *reader, struct config_isolation *isolation);

/* The options that the module of an application declares; true when the key is one.
 * target: struct config_application */
bool read_option(struct reader *reader, const struct node *node, void *target);
void offer_options(const struct reader *reader, const void *target, struct suggestion *suggestion);
/* Afterwards: what is required and missing. `node` is the application. */
void check_options(struct reader *reader, const struct node *node,
                   struct config_application *application);

/* member: struct config_processes */
void read_processes(struct reader *reader, const struct node *node, void *member, const void *rule);
/* Afterwards: what only works where the module counts requests. `node` is the application. */
void check_processes(struct reader *reader, const struct node *node,
                     const struct config_application *application);
/* Once the listeners are known, too: whether there is anything that an application could start on. `node` is
 * the whole file. */
void check_starts(struct reader *reader, const struct node *node);

/* member: struct config_limits. (A header of its own would have the C library's name.) */
void read_limits(struct reader *reader, const struct node *node, void *member, const void *rule);
void limits_finish(struct config_limits *limits);
