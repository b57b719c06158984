/* A request that has come completely: handed to the module, and written down. */
#pragma once

#include "modules/http/loop.h"

/* Calls the handler for the request in connection->parser; the loop's answer is complete afterwards. */
void request_handle(struct loop *loop, struct connection *connection);

/* What no handler has seen is written down as well, as far as it was understood. */
void request_refused(struct loop *loop, struct connection *connection);
