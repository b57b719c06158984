/* What the supervisor keeps of the capabilities that its user has. */
#pragma once

#include "base/error.h"

/* Drops all but those that its work needs, from all sets, for good. Nothing to do for an ordinary user. */
int privileges_trim(struct error *error);
