/* What a path in the configuration must look like: absolute, and written in the one way there is, so
 * that two paths are the same exactly when their texts are. */
#pragma once

/* NULL when it is absolute, without "." and ".." parts, doubled or trailing slashes, not "/" itself and
 * within PATH_MAX and NAME_MAX; otherwise what is wrong, to be read behind "the path". */
const char *path_fault(const char *path);
