/* Asking the module what it found out at run time, and sending everything that it says. */
#pragma once

#include "base/error.h"
#include "clade/module.h"

/* 0, or a negative errno with `error` filled: the module's fault, except for -EPIPE, which says that
 * nobody listens any more. */
int describe_module(const struct clade_module *module, int channel, struct error *error);
