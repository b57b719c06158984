/* What somebody who has taken over this process would try first. */
#pragma once

#include "examples/demo/json.h"

/* Tries every one of them, each in a child of its own, and writes the answers as an array under
 * "escapes". `connection` is the visitor's: it was accepted from a socket of the host's network. */
void escapes_report(struct json *json, int connection);
