/* "limits" of an application: what it may use up. */
#pragma once

#include "runtime/config/reader.h"

/* member: struct config_limits */
void read_limits(struct reader *reader, const struct node *node, void *member, const void *rule);
void limits_finish(struct config_limits *limits);
