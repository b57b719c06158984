/* "isolation": {"landlock": ...}: files, ports and scopes, beyond what the rest of the configuration implies. */
#pragma once

#include "runtime/config/reader.h"

/* member: struct config_landlock */
void read_landlock(struct reader *reader, const struct node *node, void *member, const void *rule);
void landlock_finish(struct config_landlock *landlock);
