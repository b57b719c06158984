/* Why a program could not be executed, in words. */
#pragma once

#include <clade/module.h>

/* Fails the worker's start with the errno of execve(2) and what would help, having looked at the file as
 * this worker sees it. Returns -code. */
int explain_exec(const struct clade_worker *worker, const char *executable, int code);
