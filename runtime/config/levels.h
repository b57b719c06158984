/* "minimum" and "maximum" of the isolation: how far down the ladder an application may be (isolation/ladder.h). */
#pragma once

#include "runtime/config/reader.h"

/* member: struct config_isolation, whose namespaces have been read; the maximum before the minimum. */
void read_maximum(struct reader *reader, const struct node *node,
                  struct config_isolation *isolation);
void read_minimum(struct reader *reader, const struct node *node,
                  struct config_isolation *isolation);

/* The level that isolation needs when no minimum is named: all that it asks for. */
enum ladder_level levels_asked(const struct config_isolation *isolation);
