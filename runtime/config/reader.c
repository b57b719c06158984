#include "runtime/config/reader.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/own.h"
#include "runtime/config/locate.h"

void reader_no_memory(struct reader *reader)
{
        reader->error = -ENOMEM;
}

/* How many bytes the node's own part of the pointer has, slash and escapes included; written to `out`
 * where there is one. */
static size_t pointer_part(const struct node *node, char *out)
{
        char digits[24];
        const char *part = node->key;
        size_t length = 1;

        if (!part) {
                snprintf(digits, sizeof(digits), "%zu", node->index);
                part = digits;
        }
        if (out)
                *out++ = '/';
        for (; *part; part++) {
                const char *escape = *part == '~' ? "~0" : *part == '/' ? "~1" : NULL;

                length += escape ? 2 : 1;
                if (out && escape)
                        out = stpcpy(out, escape);
                else if (out)
                        *out++ = *part;
        }
        return length;
}

char *node_pointer(const struct node *node)
{
        size_t length = 0;
        char *pointer;

        for (const struct node *at = node; at->up; at = at->up)
                length += pointer_part(at, NULL);
        pointer = malloc(length + 1);
        if (!pointer)
                return NULL;
        pointer[length] = '\0';
        /* from the last part to the first; stpcpy's NUL is overwritten only by what comes after it */
        for (const struct node *at = node; at->up; at = at->up) {
                size_t part = pointer_part(at, NULL);
                char kept = pointer[length];

                length -= part;
                pointer_part(at, pointer + length);
                pointer[length + part] = kept;
        }
        return pointer;
}

static void fault_add(struct reader *reader, const struct node *node, bool key, const char *format,
                      va_list args) __attribute__((format(printf, 4, 0)));

static void fault_add(struct reader *reader, const struct node *node, bool key, const char *format,
                      va_list args)
{
        cleanup_free char *text = NULL, *pointer = NULL;
        struct fault *faults;

        if (reader->fault_count == READER_FAULTS_MAX) {
                reader->left_out++;
                return;
        }
        pointer = node_pointer(node);
        if (vasprintf(&text, format, args) < 0)
                text = NULL;
        faults = reallocarray(reader->faults, reader->fault_count + 1, sizeof(*faults));
        if (faults)
                reader->faults = faults;
        if (!faults || !text || !pointer) {
                reader_no_memory(reader);
                return;
        }
        faults[reader->fault_count++] = (struct fault){
                .pointer = TAKE_PTR(pointer),
                .text = TAKE_PTR(text),
                .key = key,
        };
}

void fault_value(struct reader *reader, const struct node *node, const char *format, ...)
{
        va_list args;

        va_start(args, format);
        fault_add(reader, node, false, format, args);
        va_end(args);
}

void fault_key(struct reader *reader, const struct node *node, const char *format, ...)
{
        va_list args;

        va_start(args, format);
        fault_add(reader, node, true, format, args);
        va_end(args);
}

void fault_expected(struct reader *reader, const struct node *node, const char *expected)
{
        struct quoted found;

        fault_value(reader, node, "found %s, expected %s", text_describe(&found, node->json),
                    expected);
}

bool expect_object(struct reader *reader, const struct node *node, const char *expected)
{
        if (json_is_object(node->json))
                return true;
        fault_expected(reader, node, expected);
        return false;
}

static bool in_schema(const struct schema *schema, const char *name)
{
        for (size_t i = 0; i < schema->count; i++)
                if (strcmp(schema->keys[i].name, name) == 0)
                        return true;
        return false;
}

/* "type, processes, ..." into a fresh string, which the caller frees. */
static char *list_keys(const struct schema *schema)
{
        char *list = NULL;
        size_t size = 0;
        FILE *stream = open_memstream(&list, &size);

        if (!stream)
                return NULL;
        for (size_t i = 0; i < schema->count; i++)
                fprintf(stream, "%s%s", i ? ", " : "", schema->keys[i].name);
        if (fclose(stream) != 0) {
                free(list);
                return NULL;
        }
        return list;
}

static void fault_unknown(struct reader *reader, const struct node *node,
                          const struct schema *schema, const void *target)
{
        struct suggestion near = {.word = node->key};
        cleanup_free char *known = NULL;
        struct quoted key;

        for (size_t i = 0; i < schema->count; i++)
                suggest_offer(&near, schema->keys[i].name);
        if (schema->offer)
                schema->offer(reader, target, &near);
        if (near.best) {
                fault_key(reader, node, "unknown key %s in %s: did you mean \"%s\"?",
                          text_quote(&key, node->key), schema->what, near.best);
                return;
        }
        known = list_keys(schema);
        if (!known) {
                reader_no_memory(reader);
                return;
        }
        fault_key(reader, node, "unknown key %s in %s: expected one of %s",
                  text_quote(&key, node->key), schema->what, known);
}

bool read_object(struct reader *reader, const struct node *node, const struct schema *schema,
                 void *target)
{
        const char *name;
        json_t *value = NULL;

        if (!json_is_object(node->json)) {
                struct quoted found;

                fault_value(reader, node, "found %s, expected %s, which is an object",
                            text_describe(&found, node->json), schema->what);
                return false;
        }
        for (size_t i = 0; i < schema->count; i++) {
                const struct key *key = &schema->keys[i];
                const struct node member =
                        NODE_MEMBER(node, key->name, json_object_get(node->json, key->name));

                if (member.json)
                        key->read(reader, &member, (char *)target + key->offset, key->rule);
                else if (key->required)
                        fault_value(reader, node, "\"%s\" is missing in %s: expected %s", key->name,
                                    schema->what, key->required);
        }
        json_object_foreach (node->json, name, value) {
                const struct node member = NODE_MEMBER(node, name, value);

                if (in_schema(schema, name) ||
                    (schema->other && schema->other(reader, &member, target)))
                        continue;
                if (reader->fault_count == READER_FAULTS_MAX)
                        reader->left_out++;
                else
                        fault_unknown(reader, &member, schema, target);
        }
        return true;
}

/* A fault and its place, to be sorted. */
struct placed {
        const struct fault *fault;
        const struct locate_query *query;
        size_t order;
};

static int compare_placed(const void *a, const void *b)
{
        const struct placed *x = a, *y = b;

        if (x->query->line != y->query->line)
                return x->query->line < y->query->line ? -1 : 1;
        if (x->query->column != y->query->column)
                return x->query->column < y->query->column ? -1 : 1;
        return x->order < y->order ? -1 : x->order > y->order;
}

static int hand_over(const struct placed *placed, const char *file, struct diagnostics *diagnostics)
{
        cleanup_free char *text = text_printable(placed->fault->text);
        cleanup_free char *pointer = text_printable(placed->fault->pointer);

        if (!text || !pointer)
                return -ENOMEM;
        return diagnostics_add(diagnostics, file, placed->query->line, placed->query->column,
                               pointer, "%s", text);
}

static int report(struct reader *reader, const char *file, const char *text, size_t size,
                  struct diagnostics *diagnostics)
{
        size_t count = reader->fault_count;
        cleanup_free struct locate_query *queries = calloc(count, sizeof(*queries));
        cleanup_free struct placed *placed = calloc(count, sizeof(*placed));
        int r;

        if (!queries || !placed)
                return -ENOMEM;
        for (size_t i = 0; i < count; i++) {
                queries[i].pointer = reader->faults[i].pointer;
                queries[i].key = reader->faults[i].key;
                placed[i] = (struct placed){&reader->faults[i], &queries[i], i};
        }
        r = locate(text, size, queries, count);
        if (r < 0)
                return r;
        qsort(placed, count, sizeof(*placed), compare_placed);
        for (size_t i = 0; i < count; i++) {
                r = hand_over(&placed[i], file, diagnostics);
                if (r < 0)
                        return r;
        }
        if (reader->left_out)
                return diagnostics_add(diagnostics, file, 0, 0, "",
                                       "%zu more errors are not shown: mend these first",
                                       reader->left_out);
        return 0;
}

int reader_finish(struct reader *reader, const char *file, const char *text, size_t size,
                  struct diagnostics *diagnostics)
{
        int r = reader->error;

        if (r == 0 && reader->fault_count) {
                r = report(reader, file, text, size, diagnostics);
                if (r == 0)
                        r = -EINVAL;
        }
        for (size_t i = 0; i < reader->fault_count; i++) {
                free(reader->faults[i].pointer);
                free(reader->faults[i].text);
        }
        free(reader->faults);
        reader->faults = NULL;
        reader->fault_count = 0;
        return r;
}
