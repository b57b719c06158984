/* What concerns the root as a whole: whether it can be written to, its size, what is hidden in it. */
#pragma once

#include "runtime/config/reader.h"

/* member: bool */
void read_writable(struct reader *reader, const struct node *node, void *member, const void *rule);

/* member: uint64_t, bytes and files */
void read_root_size(struct reader *reader, const struct node *node, void *member, const void *rule);
void read_root_inodes(struct reader *reader, const struct node *node, void *member,
                      const void *rule);

/* member: struct config_paths */
void read_paths(struct reader *reader, const struct node *node, void *member, const void *rule);
void paths_free(struct config_paths *paths);
