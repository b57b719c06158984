#include "modules/http/parser.h"

#include <errno.h>
#include <llhttp.h>
#include <string.h>

#include "base/own.h"

static void refuse(struct parser *parser, unsigned status, const char *why)
{
        if (parser->refusal.status == 0)
                parser->refusal = (struct refusal){status, why};
        parser->state = PARSER_REFUSED;
}

/* --- llhttp's view, held against ours ------------------------------------------------------------- */

static struct parser *parser_of(llhttp_t *llhttp)
{
        return llhttp->data;
}

static int disagree(struct parser *parser)
{
        parser->disagree = true;
        return -1;
}

static int on_method(llhttp_t *llhttp, const char *at, size_t length)
{
        const struct parser *parser = parser_of(llhttp);

        return at == parser->head.method && length == parser->head.method_length
                       ? 0
                       : disagree(parser_of(llhttp));
}

static int on_url(llhttp_t *llhttp, const char *at, size_t length)
{
        const struct parser *parser = parser_of(llhttp);

        return at == parser->head.target && length == parser->head.target_length
                       ? 0
                       : disagree(parser_of(llhttp));
}

/* Trailers come the same way, after the head; ours has looked at them, and nobody else will. */
static int on_field(llhttp_t *llhttp, const char *at, size_t length)
{
        struct parser *parser = parser_of(llhttp);
        const struct clade_field *field = &parser->head.fields[parser->seen_fields];

        if (parser->seen_head)
                return 0;
        if (parser->seen_fields >= parser->head.field_count || at != field->name ||
            length != field->name_length)
                return disagree(parser);
        parser->seen_fields++;
        return 0;
}

static int on_value(llhttp_t *llhttp, const char *at, size_t length)
{
        struct parser *parser = parser_of(llhttp);
        const struct clade_field *field = &parser->head.fields[parser->seen_values];

        if (parser->seen_head)
                return 0;
        while (length > 0 && (at[length - 1] == ' ' || at[length - 1] == '\t'))
                length--;
        if (parser->seen_values >= parser->head.field_count || length != field->value_length ||
            (length > 0 && at != field->value))
                return disagree(parser);
        return 0;
}

static int on_value_complete(llhttp_t *llhttp)
{
        struct parser *parser = parser_of(llhttp);

        parser->seen_values += !parser->seen_head;
        return 0;
}

static int on_headers_complete(llhttp_t *llhttp)
{
        struct parser *parser = parser_of(llhttp);
        const struct head *head = &parser->head;
        uint64_t length = llhttp->flags & F_CONTENT_LENGTH ? llhttp->content_length : 0;

        parser->seen_head = true;
        /* Whoever wants another protocol is answered in this one. */
        llhttp->upgrade = 0;
        if (parser->seen_fields != head->field_count || parser->seen_values != head->field_count ||
            llhttp->http_major != 1 || llhttp->http_minor != head->minor_version ||
            !(llhttp->flags & F_CHUNKED) == head->chunked ||
            !(llhttp->flags & F_CONTENT_LENGTH) == head->has_length ||
            (head->has_length && length != head->length))
                return disagree(parser);
        return 0;
}

static int on_body(llhttp_t *llhttp, const char *at, size_t length)
{
        struct parser *parser = parser_of(llhttp);

        parser->body_error = body_append(&parser->body, at, length);
        return parser->body_error < 0 ? -1 : 0;
}

static int on_message_complete(llhttp_t *llhttp)
{
        parser_of(llhttp)->seen_end = true;
        return HPE_PAUSED;
}

static const llhttp_settings_t settings = {
        .on_method = on_method,
        .on_url = on_url,
        .on_header_field = on_field,
        .on_header_value = on_value,
        .on_header_value_complete = on_value_complete,
        .on_headers_complete = on_headers_complete,
        .on_body = on_body,
        .on_message_complete = on_message_complete,
};

/* Lets llhttp read what ours has passed, all of which it must take. */
static void second_reader(struct parser *parser, const char *data, size_t size)
{
        llhttp_errno_t code = llhttp_execute(parser->llhttp, data, size);

        if (code == HPE_OK && !parser->seen_end)
                return;
        if (code == HPE_PAUSED && parser->seen_end &&
            llhttp_get_error_pos(parser->llhttp) == data + size)
                return;
        if (parser->body_error < 0)
                return refuse(parser, 503, "no room for the body");
        if (code == HPE_INVALID_METHOD)
                return refuse(parser, 501, "an unknown method");
        refuse(parser, 400, "a message that two readers understand differently");
}

/* --- the object ----------------------------------------------------------------------------------- */

struct both {
        struct parser parser;
        llhttp_t llhttp;
};

struct parser *parser_create(uint64_t body_max)
{
        struct both *both = malloc(sizeof(*both));
        struct parser *parser;

        if (!both)
                return NULL;
        parser = &both->parser;
        parser->llhttp = &both->llhttp;
        parser->memory = NULL;
        parser->memory_capacity = 0;
        parser->body_max = body_max;
        body_init(&parser->body);
        llhttp_init(parser->llhttp, HTTP_REQUEST, &settings);
        parser->llhttp->data = parser;
        parser_reset(parser);
        return parser;
}

struct parser *parser_destroy(struct parser *parser)
{
        if (!parser)
                return NULL;
        body_finish(&parser->body);
        free(TAKE_PTR(parser->memory));
        free(parser);
        return NULL;
}

/* Heads of ordinary size reuse the memory; one large head does not hold its 40 KB for ever. */
void parser_reset(struct parser *parser)
{
        if (parser->memory_capacity > 8 * 1024) {
                free(TAKE_PTR(parser->memory));
                parser->memory_capacity = 0;
        }
        body_clear(&parser->body);
        parser->state = PARSER_HEAD;
        parser->refusal = (struct refusal){0};
        parser->scan = (struct head_scan){0};
        parser->memory_size = 0;
        parser->chunk = (struct chunk){0};
        parser->seen_fields = parser->seen_values = 0;
        parser->seen_head = parser->seen_end = parser->disagree = false;
        parser->body_error = 0;
        llhttp_reset(parser->llhttp);
}

bool parser_has_begun(const struct parser *parser)
{
        return parser->scan.size > 0;
}

static int reserve(struct parser *parser, size_t size)
{
        size_t capacity = parser->memory_capacity ? parser->memory_capacity : 1024;
        char *memory;

        if (size <= parser->memory_capacity)
                return 0;
        while (capacity < size)
                capacity *= 2;
        memory = realloc(parser->memory, capacity);
        if (!memory)
                return -ENOMEM;
        parser->memory = memory;
        parser->memory_capacity = capacity;
        return 0;
}

/* White space behind a value, which is no part of it, llhttp would take for one in some: it goes to the front. */
static void move_blanks(struct head *head)
{
        for (size_t i = 0; i < head->field_count; i++) {
                struct clade_field *field = &head->fields[i];
                char *value = (char *)field->value;
                size_t blanks = 0;

                while (value[field->value_length + blanks] != '\r')
                        blanks++;
                if (blanks == 0 || field->value_length == 0)
                        continue;
                memmove(value + blanks, value, field->value_length);
                memset(value, ' ', blanks);
                field->value += blanks;
        }
        if (head->host)
                for (size_t i = 0; i < head->field_count; i++)
                        if (text_is(head->fields[i].name, head->fields[i].name_length, "host"))
                                head->host = (char *)head->fields[i].value;
}

/* Room for the path's copy must be there before pointers lead into the memory. */
static void head_complete(struct parser *parser)
{
        struct head *head = &parser->head;
        size_t size = parser->memory_size;

        if (reserve(parser, size * 2 + 2) < 0)
                return refuse(parser, 503, "no memory for the head");
        head_parse(parser->memory, size, head, &parser->refusal);
        if (parser->refusal.status != 0)
                return refuse(parser, 400, NULL);
        parser->state = PARSER_BODY;
        move_blanks(head);
        second_reader(parser, parser->memory, size);
        if (parser->state == PARSER_REFUSED)
                return;
        head_terminate(head, parser->memory + size);
        if (head->has_length && head->length > parser->body_max)
                return refuse(parser, 413, "a body larger than max_body_size");
        if (parser->seen_end != (!head->chunked && head->length == 0))
                return refuse(parser, 400, "a message that two readers understand differently");
        if (parser->seen_end)
                parser->state = PARSER_DONE;
}

static size_t feed_head(struct parser *parser, const char *data, size_t size)
{
        size_t skip, used = head_scan(&parser->scan, data, size, &skip, &parser->refusal);

        if (parser->refusal.status != 0) {
                refuse(parser, 400, NULL);
                return used;
        }
        if (reserve(parser, parser->memory_size + used - skip) < 0) {
                refuse(parser, 503, "no memory for the head");
                return used;
        }
        if (used > skip)
                memcpy(parser->memory + parser->memory_size, data + skip, used - skip);
        parser->memory_size += used - skip;
        if (parser->scan.where == HEAD_COMPLETE)
                head_complete(parser);
        return used;
}

static size_t feed_body(struct parser *parser, const char *data, size_t size)
{
        const struct head *head = &parser->head;
        uint64_t expected;
        bool complete;

        if (head->chunked) {
                bool extension = parser->chunk.where == CHUNK_EXTENSION;

                size = chunk_scan(&parser->chunk, data, size, parser->body_max, &parser->refusal);
                if (parser->refusal.status != 0)
                        refuse(parser, 400, NULL);
                /* Extensions are for nobody, and llhttp does not know all of their forms. */
                if (parser->refusal.status != 0 || extension)
                        return size;
                complete = parser->chunk.where == CHUNK_COMPLETE;
                expected = parser->chunk.total;
        } else {
                if (size > head->length - parser->body.size)
                        size = (size_t)(head->length - parser->body.size);
                expected = parser->body.size + size;
                complete = expected == head->length;
        }
        second_reader(parser, data, size);
        if (parser->state == PARSER_REFUSED)
                return size;
        if (parser->body.size != expected || parser->seen_end != complete)
                refuse(parser, 400, "a message that two readers understand differently");
        else if (complete)
                parser->state = PARSER_DONE;
        return size;
}

size_t parser_feed(struct parser *parser, const char *data, size_t size)
{
        switch (parser->state) {
        case PARSER_HEAD:
                return feed_head(parser, data, size);
        case PARSER_BODY:
                return feed_body(parser, data, size);
        case PARSER_DONE:
        case PARSER_REFUSED:
                break;
        }
        return 0;
}
