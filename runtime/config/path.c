#include "runtime/config/path.h"

#include <limits.h>
#include <stddef.h>
#include <string.h>

static const char *part_fault(const char *part, size_t length)
{
        if (length == 0)
                return "has a doubled or trailing slash";
        if (length == 1 && part[0] == '.')
                return "has a \".\" part";
        if (length == 2 && part[0] == '.' && part[1] == '.')
                return "has a \"..\" part";
        if (length > NAME_MAX)
                return "has a part of more than 255 bytes";
        return NULL;
}

const char *path_fault(const char *path)
{
        if (path[0] != '/')
                return "is not absolute";
        if (path[1] == '\0')
                return "is the root itself";
        if (strlen(path) >= PATH_MAX)
                return "has more than 4095 bytes";
        while (*path == '/') {
                size_t length = strcspn(++path, "/");
                const char *fault = part_fault(path, length);

                if (fault)
                        return fault;
                path += length;
        }
        return NULL;
}
