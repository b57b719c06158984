/* Opening a file for the output of a tenant, with the supervisor's rights.
 *
 * The path is the administrator's, and so may be its symbolic links. A link of anybody else's on the
 * way is not followed: whoever can write to the log's directory (often the tenant itself, by a mount)
 * could lead root's hand to any file of the host, and choose what is appended there. Each part is
 * therefore looked at before it is entered, by descriptor.
 */
#pragma once

#include "base/error.h"

/* For appending, created with mode 0640. Only a regular file or a character device is accepted; nothing
 * here waits for a reader. The descriptor or a negative errno. */
int output_file_open(const char *path, struct error *error);
