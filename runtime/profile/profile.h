/* Seccomp profiles from files: the form of the OCI runtime specification (linux.seccomp) and Docker's, which
 * has conditions on top (docs/seccomp.md). Read as strictly as the configuration, by the same reader: every
 * fault has its line, column and JSON pointer. */
#pragma once

#include "base/error.h"
#include "isolation/seccomp/profile.h"
#include "runtime/config/config.h"

#define PROFILE_FILE_MAX (1u << 20) /* bytes */

/* Reads a profile from memory; `file` is for messages. 0 and a profile for seccomp_profile_finish; -EINVAL with at
 * least one diagnostic; -ENOMEM. */
int profile_parse(const char *file, const char *text, size_t size,
                  struct seccomp_profile *ret_profile, struct diagnostics *diagnostics);

/* The same from a file that lies open. What is wrong with it is told by `error`: the first fault in full, and
 * how many more there are. */
int profile_read(int fd, const char *file, struct seccomp_profile *ret_profile,
                 struct error *error);
