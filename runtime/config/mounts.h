/* "mounts": what else an application sees, in the form of OCI's runtime specification. */
#pragma once

#include "runtime/config/reader.h"

void read_mounts(struct reader *reader, const struct node *node,
                 struct config_isolation *isolation);
