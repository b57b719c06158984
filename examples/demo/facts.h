/* What a process can find out about itself, from the kernel's own files. */
#pragma once

#include "clade/module.h"
#include "examples/demo/json.h"

/* Where demo.py puts what only the host can know (demo.json.in mounts it). */
#define FACTS_OUTSIDE "/run/demo/outside.json"

void facts_report(struct json *json, const struct clade_native *native, int connection);
