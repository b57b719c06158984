/* From bytes to requests. What is refused, and with which status, is the table of tests/integration's smuggling tests;
 * here is what cannot be seen from outside: how it comes in pieces, what is left in the memory. */
#include <criterion/criterion.h>

#include <stdio.h>
#include <string.h>

#include "modules/http/parser.h"

#define BODY_MAX (256 * 1024)

static size_t feed(struct parser *parser, const char *data, size_t size, size_t piece)
{
        size_t at = 0;

        while (at < size && parser->state < PARSER_DONE) {
                size_t now = size - at < piece ? size - at : piece;

                at += parser_feed(parser, data + at, now);
        }
        return at;
}

static size_t feed_text(struct parser *parser, const char *text, size_t piece)
{
        return feed(parser, text, strlen(text), piece);
}

static void expect_field(const struct parser *parser, size_t number, const char *name,
                         const char *value)
{
        const struct clade_field *field = &parser->head.fields[number];

        cr_assert_lt(number, parser->head.field_count);
        cr_assert_str_eq(field->name, name);
        cr_assert_str_eq(field->value, value);
        cr_assert_eq(field->name_length, strlen(name));
        cr_assert_eq(field->value_length, strlen(value));
}

static void expect_body(struct parser *parser, const char *text)
{
        char buffer[1024];
        ssize_t n = body_read(&parser->body, buffer, sizeof(buffer));

        cr_assert_eq(n, (ssize_t)strlen(text));
        cr_assert_eq(memcmp(buffer, text, strlen(text)), 0);
        cr_assert_eq(body_read(&parser->body, buffer, sizeof(buffer)), 0);
}

Test(parser, pieces_of_every_size)
{
        static const char text[] =
                "\r\nPOST /a%20b?c=d?e HTTP/1.1\r\nHost: h:80\r\nX: \t y z \t\r\n"
                "Empty:\r\nTransfer-Encoding: chunked \r\n\r\n"
                "5;a=\"b;\"\r\nhello\r\n1\r\n!\r\n0\r\nT: u\r\n\r\nGET";

        for (size_t piece = 1; piece <= sizeof(text); piece++) {
                struct parser *parser = parser_create(BODY_MAX);
                size_t used = feed_text(parser, text, piece);

                cr_assert_eq(parser->state, PARSER_DONE, "piece %zu: %u %s", piece,
                             parser->refusal.status, parser->refusal.why);
                cr_assert_eq(used, strlen(text) - strlen("GET"));
                cr_assert_str_eq(parser->head.method, "POST");
                cr_assert_str_eq(parser->head.target, "/a%20b?c=d?e");
                cr_assert_str_eq(parser->head.path, "/a%20b");
                cr_assert_str_eq(parser->head.query, "c=d?e");
                cr_assert_str_eq(parser->head.host, "h:80");
                cr_assert_eq(parser->head.field_count, 4);
                expect_field(parser, 0, "Host", "h:80");
                expect_field(parser, 1, "X", "y z");
                expect_field(parser, 2, "Empty", "");
                expect_field(parser, 3, "Transfer-Encoding", "chunked");
                expect_body(parser, "hello!");
                parser_destroy(parser);
        }
}

Test(parser, one_request_after_the_other)
{
        static const char text[] =
                "GET / HTTP/1.1\r\nHost: a\r\n\r\n"
                "POST /x HTTP/1.0\r\nContent-Length: 3\r\nConnection: keep-alive\r\n\r\nabc"
                "OPTIONS * HTTP/1.1\r\nHost: a\r\nConnection: x, close\r\n\r\n";
        struct parser *parser = parser_create(BODY_MAX);
        const char *at = text;

        at += feed_text(parser, at, SIZE_MAX);
        cr_assert_eq(parser->state, PARSER_DONE);
        cr_assert(parser->head.keep_alive);
        cr_assert_eq(parser->body.size, 0);
        parser_reset(parser);
        cr_assert_not(parser_has_begun(parser));
        at += feed_text(parser, at, SIZE_MAX);
        cr_assert_eq(parser->state, PARSER_DONE);
        cr_assert_eq(parser->head.minor_version, 0);
        cr_assert(parser->head.keep_alive);
        cr_assert_null(parser->head.host);
        expect_body(parser, "abc");
        parser_reset(parser);
        at += feed_text(parser, at, SIZE_MAX);
        cr_assert_eq(parser->state, PARSER_DONE);
        cr_assert_str_eq(parser->head.path, "*");
        cr_assert_not(parser->head.keep_alive);
        cr_assert_str_empty(at);
        parser_destroy(parser);
}

static const struct target {
        const char *target, *path, *query;
} targets[] = {
        {"/", "/", ""},          {"/?", "/", ""},          {"//a//b", "//a//b", ""},
        {"http://h", "/", ""},   {"http://h?q", "/", "q"}, {"HTTP://H/p?q", "/p", "q"},
        {"https://h/", "/", ""},
};

Test(parser, forms_of_targets)
{
        for (size_t i = 0; i < sizeof(targets) / sizeof(*targets); i++) {
                struct parser *parser = parser_create(BODY_MAX);
                char text[128];

                snprintf(text, sizeof(text), "GET %s HTTP/1.1\r\nHost: h\r\n\r\n",
                         targets[i].target);
                feed_text(parser, text, SIZE_MAX);
                cr_assert_eq(parser->state, PARSER_DONE, "%s", targets[i].target);
                cr_assert_str_eq(parser->head.target, targets[i].target);
                cr_assert_str_eq(parser->head.path, targets[i].path);
                cr_assert_str_eq(parser->head.query, targets[i].query);
                parser_destroy(parser);
        }
}

Test(parser, large_bodies_spill)
{
        static char text[128], data[200 * 1024], back[200 * 1024];
        struct parser *parser = parser_create(sizeof(data));
        size_t got = 0;

        for (size_t i = 0; i < sizeof(data); i++)
                data[i] = (char)(i * 7 + i / 1000);
        snprintf(text, sizeof(text), "PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: %zu\r\n\r\n",
                 sizeof(data));
        feed_text(parser, text, SIZE_MAX);
        cr_assert_eq(parser->state, PARSER_BODY);
        cr_assert_eq(feed(parser, data, sizeof(data), 10000), sizeof(data));
        cr_assert_eq(parser->state, PARSER_DONE);
        cr_assert_geq(parser->body.spill, 0);
        for (int round = 0; round < 2; round++) {
                ssize_t n;

                for (got = 0; (n = body_read(&parser->body, back + got, 7777)) > 0;)
                        got += (size_t)n;
                cr_assert_eq(n, 0);
                cr_assert_eq(got, sizeof(data));
                cr_assert_eq(memcmp(data, back, sizeof(data)), 0);
                parser->body.position = 0;
        }
        parser_reset(parser);
        cr_assert_eq(parser->body.spill, -1);
        parser_destroy(parser);
}

/* Each as soon as it is known, not at the message's end. */
static const struct early {
        const char *text;
        unsigned status;
} early[] = {
        {"\x16\x03\x01", 400},
        {"GET /\n", 400},
        {"GET / HTTP/1.1\r\n ", 400},
        {"GET / HTTP/1.1\r\nHost :", 400},
        {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 262145\r\n\r\n", 413},
        {"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n40001\r\n", 413},
        {"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5x", 400},
        {"BREW / HTTP/1.1\r\nHost: a\r\n\r\n", 501},
        {"GET / HTTP/3.0\r\nHost: a\r\n\r\n", 505},
};

Test(parser, refusals_are_early)
{
        for (size_t i = 0; i < sizeof(early) / sizeof(*early); i++) {
                struct parser *parser = parser_create(BODY_MAX);

                feed_text(parser, early[i].text, 1);
                cr_assert_eq(parser->state, PARSER_REFUSED, "%s", early[i].text);
                cr_assert_eq(parser->refusal.status, early[i].status, "%s: %u", early[i].text,
                             parser->refusal.status);
                cr_assert_not_null(parser->refusal.why);
                cr_assert_eq(parser_feed(parser, "x", 1), 0);
                parser_destroy(parser);
        }
}

Test(parser, limits_are_exact)
{
        struct parser *parser = parser_create(BODY_MAX);
        static char text[HEAD_SIZE_MAX + 64];
        int length = snprintf(text, sizeof(text), "GET / HTTP/1.1\r\nHost: a\r\nX: ");

        /* A head of just so many bytes is taken, one more is not. */
        memset(text + length, 'x', HEAD_SIZE_MAX - (size_t)length - 4);
        memcpy(text + HEAD_SIZE_MAX - 4, "\r\n\r\n", 5);
        cr_assert_eq(feed_text(parser, text, SIZE_MAX), HEAD_SIZE_MAX);
        cr_assert_eq(parser->state, PARSER_DONE);
        parser_reset(parser);
        text[HEAD_SIZE_MAX - 4] = 'x';
        memcpy(text + HEAD_SIZE_MAX - 3, "\r\n\r\n", 5);
        feed_text(parser, text, SIZE_MAX);
        cr_assert_eq(parser->refusal.status, 431);
        parser_destroy(parser);
}

Test(parser, hosts)
{
        static const char *const good[] = {"a",   "a.b-c_d~", "127.0.0.1",   "[::1]",    "[::1]:80",
                                           "a:0", "a:65535",  "[1::2]:8080", "A.Example"};
        static const char *const bad[] = {"",      ":80", "a:",  "a:b",     "a:65536", "a:000001",
                                          "[::1",  "[]",  "[a]", "[::1]a",  "a b",     "a,b",
                                          "a%20b", "a/b", "u@a", "[::1%1]", "a:80:80", "\xc3\xa4"};

        for (size_t i = 0; i < sizeof(good) / sizeof(*good); i++)
                cr_assert(head_host_is_valid(good[i], strlen(good[i])), "%s", good[i]);
        for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
                cr_assert_not(head_host_is_valid(bad[i], strlen(bad[i])), "%s", bad[i]);
}
