#include "runtime/config/rootfs.h"

#include <stdlib.h>
#include <string.h>

#include "base/own.h"
#include "runtime/config/path.h"
#include "runtime/config/resources.h"
#include "runtime/config/values.h"

#define SIZE_LEAST   (64u << 10)         /* bytes */
#define SIZE_MOST    (UINT64_C(1) << 40) /* as for every tmpfs: compile/mount_options.c */
#define INODES_LEAST 64
#define INODES_MOST  2147483648
#define PATHS_MAX    256 /* each is a mount of every start */

void read_writable(struct reader *reader, const struct node *node, void *member, const void *rule)
{
        const char *word = json_string_value(node->json);
        bool *writable = member;

        (void)rule;
        if (word && (strcmp(word, "no") == 0 || strcmp(word, "tmpfs") == 0))
                *writable = strcmp(word, "tmpfs") == 0;
        else
                fault_expected(reader, node, "\"no\" or \"tmpfs\"");
}

void read_root_size(struct reader *reader, const struct node *node, void *member, const void *rule)
{
        uint64_t *size = member, found = *size;

        (void)rule;
        if (!value_size(reader, node, &found))
                return;
        if (found < SIZE_LEAST || found > SIZE_MOST)
                fault_value(reader, node,
                            "found %llu bytes, expected from 65536 (\"64K\") to "
                            "1099511627776 (\"1T\")",
                            (unsigned long long)found);
        else
                *size = found;
}

void read_root_inodes(struct reader *reader, const struct node *node, void *member,
                      const void *rule)
{
        static const struct integer_rule inodes = {INODES_LEAST, INODES_MOST, "files"};
        int64_t value;

        (void)rule;
        if (value_integer(reader, node, &inodes, &value))
                *(uint64_t *)member = (uint64_t)value;
}

static void read_one(struct reader *reader, const struct node *node, struct config_paths *paths)
{
        const struct path_rule below_root = {.root = false};
        struct quoted quoted;
        const char *path;

        if (!value_path(reader, node, &below_root, &path))
                return;
        for (size_t i = 0; i < paths->count; i++)
                if (paths->list[i] && strcmp(paths->list[i], path) == 0) {
                        fault_value(reader, node, "%s is already there: expected every path once",
                                    text_quote(&quoted, path));
                        return;
                }
        store_string(reader, &paths->list[paths->count], path);
        paths->count += paths->list[paths->count] != NULL;
}

void read_paths(struct reader *reader, const struct node *node, void *member, const void *rule)
{
        struct config_paths *paths = member;
        size_t count = json_array_size(node->json);

        (void)rule;
        if (!json_is_array(node->json)) {
                fault_expected(reader, node, "an array of absolute paths inside the root");
                return;
        }
        if (count > PATHS_MAX) {
                fault_value(reader, node,
                            "it has %zu paths: expected at most %d, since each is a "
                            "mount: name directories in place of what is in them",
                            count, PATHS_MAX);
                return;
        }
        paths->given = true;
        paths->list = calloc(count + 1, sizeof(*paths->list));
        if (!paths->list) {
                reader_no_memory(reader);
                return;
        }
        for (size_t i = 0; i < count && !reader->error; i++) {
                const struct node path = NODE_ELEMENT(node, i);

                read_one(reader, &path, paths);
        }
}

void paths_free(struct config_paths *paths)
{
        for (size_t i = 0; i < paths->count; i++)
                free(paths->list[i]);
        free(paths->list);
        *paths = (struct config_paths){.given = false};
}
