/* Text into jansson's tree, and what to say where that fails. */
#pragma once

#include <jansson.h>
#include <stddef.h>

#include "runtime/config/config.h"

/* 0 and a tree; -EINVAL after adding a diagnostic; -ENOMEM. */
int syntax_parse(const char *file, const char *text, size_t size, json_t **ret_root,
                 struct diagnostics *diagnostics);
