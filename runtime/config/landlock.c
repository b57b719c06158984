#include "runtime/config/landlock.h"

#include <stdlib.h>
#include <string.h>

#include "base/missing.h"
#include "base/own.h"
#include "runtime/config/values.h"

#define PORT_MAX 65535

struct word {
        const char *word;
        uint64_t flags;
};

/* The kernel's names in small letters, and words for those that are wanted together. */
static const struct word rights[] = {
        {"read", LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR},
        {"write", LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_TRUNCATE},
        {"execute", LANDLOCK_ACCESS_FS_EXECUTE},
        {"make", LANDLOCK_ACCESS_FS_MAKE_REG | LANDLOCK_ACCESS_FS_MAKE_DIR |
                         LANDLOCK_ACCESS_FS_MAKE_SYM | LANDLOCK_ACCESS_FS_MAKE_FIFO |
                         LANDLOCK_ACCESS_FS_MAKE_SOCK},
        {"remove", LANDLOCK_ACCESS_FS_REMOVE_FILE | LANDLOCK_ACCESS_FS_REMOVE_DIR},
        {"refer", LANDLOCK_ACCESS_FS_REFER},
        {"read_file", LANDLOCK_ACCESS_FS_READ_FILE},
        {"read_dir", LANDLOCK_ACCESS_FS_READ_DIR},
        {"write_file", LANDLOCK_ACCESS_FS_WRITE_FILE},
        {"truncate", LANDLOCK_ACCESS_FS_TRUNCATE},
        {"make_reg", LANDLOCK_ACCESS_FS_MAKE_REG},
        {"make_dir", LANDLOCK_ACCESS_FS_MAKE_DIR},
        {"make_sym", LANDLOCK_ACCESS_FS_MAKE_SYM},
        {"make_fifo", LANDLOCK_ACCESS_FS_MAKE_FIFO},
        {"make_sock", LANDLOCK_ACCESS_FS_MAKE_SOCK},
        {"remove_file", LANDLOCK_ACCESS_FS_REMOVE_FILE},
        {"remove_dir", LANDLOCK_ACCESS_FS_REMOVE_DIR},
        {"ioctl_dev", LANDLOCK_ACCESS_FS_IOCTL_DEV},
};

static const struct word scopes[] = {
        {"signal", LANDLOCK_SCOPE_SIGNAL},
        {"abstract_unix", LANDLOCK_SCOPE_ABSTRACT_UNIX_SOCKET},
};

struct words {
        const char *what, *expected;
        const struct word *list;
        size_t count;
};

static const struct words right_words = {
        .what = "a right",
        .expected = "a right, as in \"read\"",
        .list = rights,
        .count = ARRAY_SIZE(rights),
};

static const struct words scope_words = {
        .what = "a scope",
        .expected = "\"signal\" or \"abstract_unix\"",
        .list = scopes,
        .count = ARRAY_SIZE(scopes),
};

static uint64_t read_word(struct reader *reader, const struct node *node, const struct words *words)
{
        struct suggestion near = {.word = ""};
        struct quoted quoted;
        const char *word;

        if (!value_string(reader, node, words->expected, &word))
                return 0;
        near.word = word;
        for (size_t i = 0; i < words->count; i++) {
                suggest_offer(&near, words->list[i].word);
                if (strcmp(words->list[i].word, word) == 0)
                        return words->list[i].flags;
        }
        if (near.best)
                fault_value(reader, node, "%s is not %s. Did you mean \"%s\"?",
                            text_quote(&quoted, word), words->what, near.best);
        else
                fault_expected(reader, node, words->expected);
        return 0;
}

/* member: uint64_t */
static void read_words(struct reader *reader, const struct node *node, void *member,
                       const void *rule)
{
        uint64_t *flags = member;

        if (json_array_size(node->json) == 0) {
                fault_expected(reader, node, "an array of at least one word");
                return;
        }
        for (size_t i = 0; i < json_array_size(node->json); i++) {
                const struct node element = NODE_ELEMENT(node, i);

                *flags |= read_word(reader, &element, rule);
        }
}

static const struct key path_keys[] = {
        {"path", read_path, offsetof(struct config_landlock_path, path),
         &(const struct path_rule){.root = true}, "the path inside beneath which the rights hold"},
        {"rights", read_words, offsetof(struct config_landlock_path, rights), &right_words,
         "what is allowed beneath it, as in [\"read\"]"},
};

static const struct schema path_schema = {
        .what = "a Landlock rule",
        .keys = path_keys,
        .count = ARRAY_SIZE(path_keys),
};

static void read_paths(struct reader *reader, const struct node *node, void *member,
                       const void *rule)
{
        struct config_landlock *landlock = member;
        size_t count = json_array_size(node->json);

        (void)rule;
        if (!json_is_array(node->json)) {
                fault_expected(reader, node, "an array of paths with rights");
                return;
        }
        landlock->has_paths = true;
        landlock->paths = calloc(count + 1, sizeof(*landlock->paths));
        if (!landlock->paths) {
                reader_no_memory(reader);
                return;
        }
        for (size_t i = 0; i < count; i++) {
                const struct node element = NODE_ELEMENT(node, i);

                read_object(reader, &element, &path_schema,
                            &landlock->paths[landlock->path_count++]);
        }
}

/* member: struct config_ports */
static void read_ports(struct reader *reader, const struct node *node, void *member,
                       const void *rule)
{
        const struct integer_rule port_rule = {*(const int64_t *)rule, PORT_MAX, NULL};
        struct config_ports *ports = member;
        size_t count = json_array_size(node->json);

        if (!json_is_array(node->json)) {
                fault_expected(reader, node, "an array of TCP ports");
                return;
        }
        ports->given = true;
        ports->list = calloc(count + 1, sizeof(*ports->list));
        if (!ports->list) {
                reader_no_memory(reader);
                return;
        }
        for (size_t i = 0; i < count; i++) {
                const struct node element = NODE_ELEMENT(node, i);
                int64_t port;

                if (value_integer(reader, &element, &port_rule, &port))
                        ports->list[ports->count++] = (uint16_t)port;
        }
}

/* Port 0 binds any that is free; there is none to connect to. */
static const int64_t bind_least = 0, connect_least = 1;

static const struct key landlock_keys[] = {
        {"paths", read_paths, 0, NULL, NULL},
        {"bind", read_ports, offsetof(struct config_landlock, bind), &bind_least, NULL},
        {"connect", read_ports, offsetof(struct config_landlock, connect), &connect_least, NULL},
        {"scopes", read_words, offsetof(struct config_landlock, scopes), &scope_words, NULL},
        {"audit", read_boolean, offsetof(struct config_landlock, audit), NULL, NULL},
};

static const struct schema landlock_schema = {
        .what = "the Landlock rules",
        .keys = landlock_keys,
        .count = ARRAY_SIZE(landlock_keys),
};

void read_landlock(struct reader *reader, const struct node *node, void *member, const void *rule)
{
        (void)rule;
        read_object(reader, node, &landlock_schema, member);
}

void landlock_finish(struct config_landlock *landlock)
{
        for (size_t i = 0; i < landlock->path_count; i++)
                free(landlock->paths[i].path);
        free(landlock->paths);
        free(landlock->bind.list);
        free(landlock->connect.list);
}
