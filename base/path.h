/* Opening what an administrator named, on ground that others may walk on, too.
 *
 * A path in the configuration is the administrator's, and so may be the symbolic links on its way. A link of
 * anybody else's is not followed: whoever can write to one of the directories (often the tenant itself)
 * could lead our hand to any file of the host. Each part is therefore looked at before it is entered, by
 * descriptor, and what was opened is what was looked at.
 */
#pragma once

#include <sys/types.h>

#include "base/error.h"

/* Whose links are followed. Root's always are. In a user namespace that does not map the host's root its files
 * show the overflow id: such a link is taken for root's where nobody else can write to its directory. */
enum path_links {
        PATH_LINKS_OF_ROOT,
        PATH_LINKS_OF_OURS, /* and those of our own user: only where no tenant has our id */
};

/* As open(2) with these flags and mode, except that other links are not followed (-ELOOP). Close-on-exec. The
 * descriptor or a negative errno; the error names the part of the path at which it went wrong. */
int path_open(const char *path, int flags, mode_t mode, enum path_links links, struct error *error);

/* Where an open descriptor lies, without any links: at most PATH_MAX bytes. -ENOENT when it has no path any
 * more, or one that does not reach from the root. */
int path_of(int fd, char *ret_path);
