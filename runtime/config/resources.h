/* The part of "limits" that control groups hold: memory, swap, cpu, tasks, io. */
#pragma once

#include "runtime/config/reader.h"

/* member: struct config_resources of which `limits` is the node */
void read_memory(struct reader *reader, const struct node *node, void *member, const void *rule);
void read_swap(struct reader *reader, const struct node *node, void *member, const void *rule);
void read_cpu(struct reader *reader, const struct node *node, void *member, const void *rule);
void read_tasks(struct reader *reader, const struct node *node, void *member, const void *rule);
void read_io(struct reader *reader, const struct node *node, void *member, const void *rule);

/* True and the bytes, or false after a fault. */
bool value_size(struct reader *reader, const struct node *node, uint64_t *ret_size);

/* member: uint64_t, bytes; at least 1. */
void read_size(struct reader *reader, const struct node *node, void *member, const void *rule);

/* Everything unlimited. */
void resources_defaults(struct config_resources *resources);

/* Afterwards: what only makes sense together. `node` is the application. */
void check_resources(struct reader *reader, const struct node *node,
                     const struct config_application *application);
void resources_finish(struct config_resources *resources);
