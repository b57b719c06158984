/* Keys of "isolation" that are about one namespace of the application's own: capabilities, host name, clocks. */
#pragma once

#include "runtime/config/reader.h"

/* member: struct config_capabilities */
void read_capabilities(struct reader *reader, const struct node *node, void *member,
                       const void *rule);

/* member: char * */
void read_hostname(struct reader *reader, const struct node *node, void *member, const void *rule);

/* member: struct config_time_offsets */
void read_time_offsets(struct reader *reader, const struct node *node, void *member,
                       const void *rule);

/* There is nothing to store: what it would switch off cannot be done without. */
void read_new_privs(struct reader *reader, const struct node *node, void *member, const void *rule);
