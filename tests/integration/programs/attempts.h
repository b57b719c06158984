/* What a worker must not be able to do, tried. Each prints lines "what: ERRNO", or "what: done" where nothing
 * refused it. */
#pragma once

#include <sys/types.h>

#include "serve.h"

void attempt_clone3(struct answer *answer);
void attempt_files(struct answer *answer);           /* create a file on each read-only mount */
void attempt_root(struct answer *answer);            /* leave by "..", by /proc/1/root */
void attempt_peek(struct answer *answer, pid_t pid); /* memory and descriptors of another process */
void attempt_signals(struct answer *answer, pid_t pid);
void attempt_sockets(struct answer *answer, const struct request *request);
