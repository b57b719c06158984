/* subid_granted's parts. */
#pragma once

#include "runtime/compile/subid.h"

int subid_grants_add(struct subid_grants *grants, struct subid_range range, struct error *error);

/* Whether nsswitch.conf(5)'s text has something else than files for subordinate ids. */
bool subid_service_named(const char *text);

/* What getsubids(1) prints, "NUMBER: OWNER FIRST COUNT" in each line. */
int subid_service_parse(char *text, struct subid_grants *grants, struct error *error);
