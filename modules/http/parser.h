/* From bytes to requests: no sockets, no clocks, nothing but what it is fed.
 *
 * Two readers must agree on every message. Ours (head.h, chunk.h) refuses whatever could be understood in two ways;
 * llhttp, which a large part of the web's servers read with, then parses the same bytes, says where the body lies and
 * decodes it. Each field, each length and the end of the message must come out the same, or the request is
 * refused: a fault in one of them alone lets nothing through.
 *
 *     while (size > 0) {
 *             used = parser_feed(parser, data, size);
 *             data += used, size -= used;
 *             switch (parser->state) {
 *             case PARSER_BODY: the head can be looked at; feed what comes next
 *             case PARSER_DONE: serve it, then parser_reset
 *             case PARSER_REFUSED: answer parser->refusal, then close: what follows means nothing
 *             }
 *     }
 */
#pragma once

#include "modules/http/body.h"
#include "modules/http/chunk.h"
#include "modules/http/head.h"

struct llhttp__internal_s;

enum parser_state {
        PARSER_HEAD, /* it is not complete */
        PARSER_BODY, /* the head is, the body is not */
        PARSER_DONE,
        PARSER_REFUSED,
};

struct parser {
        enum parser_state state;
        struct refusal refusal;
        uint64_t body_max; /* bytes */

        struct head_scan scan;
        char *memory; /* of the head, and its path behind it */
        size_t memory_size, memory_capacity;
        struct head head; /* from PARSER_BODY on */

        struct chunk chunk;
        struct body body; /* grows in PARSER_BODY */

        /* What llhttp says. */
        struct llhttp__internal_s *llhttp; /* allocated with the parser */
        size_t seen_fields, seen_values;
        bool seen_head, seen_end, disagree;
        int body_error; /* what body_append said */
};

/* A body may have `body_max` bytes. NULL: there is no memory. */
struct parser *parser_create(uint64_t body_max);
struct parser *parser_destroy(struct parser *parser);

/* For the next request, in the memory that it has. */
void parser_reset(struct parser *parser);

/* Whether a request has begun. */
bool parser_has_begun(const struct parser *parser);

/* Takes bytes up to the end of a head, of a request, or of `size`, whichever comes first, and returns how many. */
size_t parser_feed(struct parser *parser, const char *data, size_t size);
