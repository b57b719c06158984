/* Sealed copies of clade's own binaries, to exec and dlopen from.
 *
 * A private id cannot search the directories that clade may be installed or built in, and need not: a
 * memfd has no directory. Nobody can write to it, through /proc/self/exe or otherwise (CVE-2019-5736), and
 * its name tells nothing of the host. One copy serves every start. */
#pragma once

#include "base/error.h"

/* From an opened file or from a path. The descriptor, or a negative errno. */
int image_copy(int fd, const char *name, struct error *error);
int image_open(const char *path, const char *name, struct error *error);
