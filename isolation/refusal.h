/* Why a host refuses namespaces, as far as it can be found out, in words and with a remedy. */
#pragma once

#include "base/error.h"
#include "isolation/plan.h"

/* Fills `error` for a clone3 that failed with `code` when asked for `namespaces`. Returns -code. */
int refusal_explain(struct error *error, int code, uint64_t namespaces);
