/* The sandbox of clade-discovery: what this process takes from itself before it loads a module. */
#pragma once

#include "base/error.h"

/* Nothing of it can be taken back. 0, or a negative errno with `error` filled: then the caller leaves. */
int sandbox_enter(struct error *error);
