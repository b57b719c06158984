/* Any bytes as what a client sends. However they are cut into pieces, the same requests come out of them; what comes out
 * is what the unit promises of requests; and nothing comes out behind a refusal. The first two bytes choose how the
 * pieces are cut and how large a body may be. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "modules/http/parser.h"
#include "tests/fuzz/require.h"

#define REQUESTS_MAX 64

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What came of the bytes, as one text that can be compared. */
struct record {
        char *text;
        size_t size, room;
};

static void add(struct record *record, const void *data, size_t size)
{
        if (record->size + size > record->room) {
                record->room = (record->size + size) * 2;
                record->text = realloc(record->text, record->room);
                REQUIRE(record->text);
        }
        if (size > 0)
                memcpy(record->text + record->size, data, size);
        record->size += size;
}

static void add_string(struct record *record, const char *text)
{
        add(record, text, strlen(text) + 1);
}

static void add_number(struct record *record, uint64_t number)
{
        add(record, &number, sizeof(number));
}

/* --- what must hold of every request ------------------------------------------------------------ */

static void require_token(const char *text, size_t length)
{
        REQUIRE(length > 0 && strlen(text) == length);
        for (size_t i = 0; i < length; i++)
                REQUIRE(strchr("!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyz"
                               "ABCDEFGHIJKLMNOPQRSTUVWXYZ",
                               text[i]));
}

static void require_value(const char *text, size_t length)
{
        REQUIRE(strlen(text) == length);
        for (size_t i = 0; i < length; i++)
                REQUIRE((unsigned char)text[i] >= 0x20 ? text[i] != 0x7f : text[i] == '\t');
        if (length > 0)
                REQUIRE(!strchr(" \t", text[0]) && !strchr(" \t", text[length - 1]));
}

static size_t count_fields(const struct head *head, const char *name)
{
        size_t count = 0;

        for (size_t i = 0; i < head->field_count; i++)
                count += text_is(head->fields[i].name, head->fields[i].name_length, name);
        return count;
}

static void require_head(const struct head *head)
{
        REQUIRE(head->minor_version <= 1);
        require_token(head->method, head->method_length);
        REQUIRE(head->target_length > 0 && head->target_length <= HEAD_TARGET_MAX);
        REQUIRE(strlen(head->target) == head->target_length);
        for (size_t i = 0; i < head->target_length; i++)
                REQUIRE(head->target[i] > ' ' && head->target[i] < 0x7f);
        REQUIRE(head->path && head->query && !strchr(head->path, '?'));
        REQUIRE(head->path[0] == '/' || strcmp(head->target, "*") == 0);
        REQUIRE(head->field_count <= HEAD_FIELDS_MAX);
        for (size_t i = 0; i < head->field_count; i++) {
                require_token(head->fields[i].name, head->fields[i].name_length);
                require_value(head->fields[i].value, head->fields[i].value_length);
        }
        REQUIRE(count_fields(head, "host") == (head->host ? 1 : 0));
        REQUIRE(head->host || head->minor_version == 0);
        REQUIRE(count_fields(head, "content-length") == head->has_length);
        REQUIRE(count_fields(head, "transfer-encoding") == head->chunked);
        REQUIRE(!head->chunked || (!head->has_length && head->minor_version == 1));
}

static void record_body(struct record *record, struct parser *parser)
{
        uint64_t size = 0;
        char piece[777];
        ssize_t n;

        while ((n = body_read(&parser->body, piece, sizeof(piece))) > 0) {
                add(record, piece, (size_t)n);
                size += (uint64_t)n;
        }
        REQUIRE(n == 0 && size == parser->body.size && size <= parser->body_max);
        REQUIRE(!parser->head.has_length || size == parser->head.length);
        REQUIRE(parser->head.has_length || parser->head.chunked || size == 0);
}

static void record_request(struct record *record, struct parser *parser)
{
        const struct head *head = &parser->head;

        require_head(head);
        add_string(record, head->method);
        add_string(record, head->target);
        add_string(record, head->path);
        add_string(record, head->query);
        add_string(record, head->host ? head->host : "");
        add_number(record, head->minor_version);
        add_number(record, head->keep_alive);
        for (size_t i = 0; i < head->field_count; i++) {
                add_string(record, head->fields[i].name);
                add_string(record, head->fields[i].value);
        }
        record_body(record, parser);
}

/* --- the same bytes, differently cut ------------------------------------------------------------ */

/* Sizes of pieces: one after the other of a sequence that begins with `seed`; 0: all at once. */
static size_t next_piece(unsigned *seed, size_t left)
{
        size_t size;

        if (*seed == 0)
                return left;
        *seed = *seed * 1103515245 + 12345;
        size = *seed >> 16 & 7 ? (*seed >> 20 & 7) + 1 : (*seed >> 20 & 1023) + 1;
        return size < left ? size : left;
}

/* Takes one piece; false when nothing of what follows has a meaning. */
static bool feed(struct parser *parser, const char *data, size_t size, struct record *record,
                 unsigned *requests)
{
        unsigned standing = 0;

        while (size > 0) {
                size_t used = parser_feed(parser, data, size);

                /* It may stop to think, once; it never stands still. */
                standing = used > 0 ? 0 : standing + 1;
                REQUIRE(used <= size && standing < 2);
                data += used;
                size -= used;
                if (parser->state == PARSER_REFUSED) {
                        REQUIRE(parser->refusal.status >= 400 && parser->refusal.status < 600);
                        REQUIRE(parser->refusal.why && parser->refusal.why[0]);
                        add_number(record, parser->refusal.status);
                        add_string(record, parser->refusal.why);
                        REQUIRE(parser_feed(parser, data, size) == 0);
                        return false;
                }
                if (parser->state != PARSER_DONE)
                        continue;
                record_request(record, parser);
                parser_reset(parser);
                standing = 0;
                REQUIRE(!parser_has_begun(parser));
                if (++*requests == REQUESTS_MAX)
                        return false;
        }
        return true;
}

static struct record parse(const char *data, size_t size, unsigned seed, uint64_t body_max)
{
        struct record record = {0};
        struct parser *parser = parser_create(body_max);
        unsigned requests = 0;

        REQUIRE(parser);
        while (size > 0) {
                size_t piece = next_piece(&seed, size);
                /* of exactly this size, so that reading beyond it is seen */
                char *copy = malloc(piece);
                bool on;

                REQUIRE(copy);
                memcpy(copy, data, piece);
                on = feed(parser, copy, piece, &record, &requests);
                free(copy);
                if (!on)
                        break;
                data += piece;
                size -= piece;
        }
        add_number(&record, parser->state);
        add_number(&record, requests);
        parser_destroy(parser);
        return record;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        static const uint64_t limits[] = {16 << 20, 0, 1, 10, 1000, 70000, UINT64_MAX, INT64_MAX};
        struct record whole, cut;
        uint64_t body_max;

        if (size < 2)
                return 0;
        body_max = limits[data[1] % (sizeof(limits) / sizeof(*limits))];
        whole = parse((const char *)data + 2, size - 2, 0, body_max);
        cut = parse((const char *)data + 2, size - 2, data[0] + 1u, body_max);
        REQUIRE(whole.size == cut.size && memcmp(whole.text, cut.text, whole.size) == 0);
        free(whole.text);
        free(cut.text);
        return 0;
}
