/* Opening a file for the output of a tenant, with the supervisor's rights.
 *
 * Links of anybody else's are not followed (base/path.h): root appends nothing where a tenant's link
 * leads. */
#pragma once

#include "base/error.h"
#include "base/path.h"

/* For appending, created with mode 0640. Only a regular file or a character device is accepted; nothing
 * here waits for a reader. The descriptor or a negative errno. */
int output_file_open(const char *path, enum path_links links, struct error *error);
