/* Sets of programs on the disk: one file for each key, which holds the key itself, the programs, their texts
 * and a checksum. A file is believed only when it is ours, nobody else's to write to, complete, of exactly
 * the key that was asked for, and of programs that the kernel would take. */
#pragma once

#include "isolation/seccomp/compiler.h"

struct store_key {
        char *bytes; /* all that the programs depend on: request, machine, kernel, libseccomp, clade */
        size_t size;
};

/* 0 and a set whose memory is the caller's (seccomp_filter_finish), or a negative errno: -ENOENT where there is
 * none, -EBADMSG for a file that is not believed. */
int store_read(int directory, const struct store_key *key, struct seccomp_set *ret_set);

/* Written beside, then renamed: a reader sees all of it or nothing. 0 or a negative errno; then there is no
 * trace of the attempt. */
int store_write(int directory, const struct store_key *key, const struct seccomp_set *set);

int store_open(const char *path);
