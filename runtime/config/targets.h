/* The entry points of an application that has several (CLADE_TARGETS in clade/module.h). */
#pragma once

#include "runtime/config/reader.h"

/* Reads an object of them; adds a value named "OPTION/TARGET/MEMBER" for each member of each. */
void read_targets(struct reader *reader, const struct node *node,
                  const struct catalogue_option *option, struct config_application *application);

/* A listener's "pass" is `node`, and what stands behind "applications/NAME/" there is `target`, NULL where
 * nothing does; `json` is the application in the file. True when the two fit, or when the application's faults,
 * told already, leave no way to know. Otherwise there is one more fault. */
bool check_target(struct reader *reader, const struct node *node,
                  const struct config_application *application, const json_t *json,
                  const char *target);
