/* Reading jansson's tree into structs by tables, collecting every fault on the way.
 *
 * A schema names the keys of one kind of object; each row says how the value is read and where in the
 * target struct it goes. Keys are read in the order of the table, not of the file, so a row may rely
 * on those above it. Whatever is wrong becomes a fault that remembers its JSON pointer, and reading goes
 * on; where the faults stand in the file is found at the end, for all of them at once.
 *
 * Readers return nothing: a fault or a lack of memory sticks to the struct reader, and who asked
 * for the whole finds it there.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "runtime/config/config.h"
#include "runtime/config/suggest.h"
#include "runtime/config/text.h"

/* As many faults are told at most; then only that there are more. Nobody mends a thousand at a time,
 * and a hostile file must not make us remember millions. */
#define READER_FAULTS_MAX 1000

/* Below a bad name of more bytes nothing is looked at: each fault there would repeat it in its pointer. */
#define READER_NAME_MAX 1024

/* How many names are compared, at most, to find near ones: a large file full of mistakes must not take
 * minutes to refuse. */
#define READER_COMPARISONS_MAX 100000

struct fault {
        char *pointer;
        char *text;
        bool key; /* it is about the key rather than the value */
};

struct reader {
        const struct catalogue *catalogue;
        struct config *config;
        struct fault *faults;
        size_t fault_count;
        size_t left_out;    /* faults beyond the maximum */
        size_t comparisons; /* of names, looking for near ones among those that the user chose */
        int error;          /* -ENOMEM once memory was short */
};

/* A value and the way to it. Lives on the stack of whoever goes down to it. */
struct node {
        const struct node *up; /* NULL: the whole file */
        const char *key;       /* NULL: an element of an array */
        size_t index;
        json_t *json;
};

#define NODE_MEMBER(up_, key_, json_) ((struct node){.up = (up_), .key = (key_), .json = (json_)})
#define NODE_ELEMENT(up_, index_)                                                                  \
        ((struct node){                                                                            \
                .up = (up_), .index = (index_), .json = json_array_get((up_)->json, (index_))})

void reader_no_memory(struct reader *reader);

/* A fault of the value, or of its key. One sentence without a full stop. */
void fault_value(struct reader *reader, const struct node *node, const char *format, ...)
        __attribute__((format(printf, 3, 4)));
void fault_key(struct reader *reader, const struct node *node, const char *format, ...)
        __attribute__((format(printf, 3, 4)));

/* "found ..., expected EXPECTED". */
void fault_expected(struct reader *reader, const struct node *node, const char *expected);

/* The node's JSON pointer; the caller frees it. NULL when there is no memory. */
char *node_pointer(const struct node *node);

struct key {
        const char *name;
        void (*read)(struct reader *reader, const struct node *node, void *member,
                     const void *rule);
        size_t offset;    /* of the member in the target */
        const void *rule; /* for `read` */
        const char *
                required; /* NULL: need not be there; otherwise what it is, for when it is missing */
};

struct schema {
        const char *what; /* "a listener", for messages */
        const struct key *keys;
        size_t count;
        /* For keys outside the table: true when it is one after all, and has been dealt with. */
        bool (*other)(struct reader *reader, const struct node *node, void *target);
        /* Offers the names that `other` would take. */
        void (*offer)(const struct reader *reader, const void *target,
                      struct suggestion *suggestion);
};

/* False when the node is no object at all. */
bool read_object(struct reader *reader, const struct node *node, const struct schema *schema,
                 void *target);

/* An object whose keys the user chooses: `expected` names it in messages. */
bool expect_object(struct reader *reader, const struct node *node, const char *expected);

/* Ends the reading: finds where the faults stand in `text` and hands them over in the file's order.
 * 0 when there were none, -EINVAL when there were, -ENOMEM. */
int reader_finish(struct reader *reader, const char *file, const char *text, size_t size,
                  struct diagnostics *diagnostics);
