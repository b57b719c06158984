/* The system call filter of clade-discovery, as a finished program. */
#pragma once

#include <linux/filter.h>
#include <stddef.h>

#define FILTER_ROOM 640 /* instructions that are always enough; asserted where it is made */

/* Writes the program and returns its length. `self` is the pid that this process knows itself by. */
size_t filter_build(struct sock_filter program[FILTER_ROOM], int self);
