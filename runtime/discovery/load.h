/* Loading the module and telling whether it is one of ours. From the first call on its code runs here. */
#pragma once

#include "base/error.h"
#include "clade/module.h"
#include "runtime/protocol/discovery.h"

/* 0, or a negative errno with `error` filled and *ret_fault saying whose fault it is. */
int load_module(const struct clade_module **ret_module, enum discovery_fault *ret_fault,
                struct error *error);
