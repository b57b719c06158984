/* The head of a request, checked before anything else reads it.
 *
 * Two readers of one message that see different requests in it are how one client's bytes become another's
 * request. So whatever a proxy, a cache or an older server might read in another way than we do is refused here, even where
 * RFC 9112 would let a recipient be lenient: a line end that is not CR LF, a control byte, a folded line, white space
 * before a colon, a second Host or Content-Length, a list where one number belongs.
 *
 * First head_scan looks at bytes as they come and finds the head's end, or the first byte that has no place; then
 * head_parse splits the whole and checks what its parts mean. Both touch nothing but the memory they are given.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <clade/http.h>

#define HEAD_SIZE_MAX   (32 * 1024) /* bytes, all of it; more is 431 */
#define HEAD_FIELDS_MAX 100         /* more are 431 */
#define HEAD_TARGET_MAX 8192        /* bytes; more is 414 */
#define HEAD_METHOD_MAX 32          /* bytes; more is 501 */

/* Why a request is not served. `why` is a constant text. */
struct refusal {
        unsigned status; /* 0: it is not refused */
        const char *why;
};

/* Where in the grammar the next byte stands. */
enum head_where {
        HEAD_START,      /* before the request line; one empty line may stand there */
        HEAD_START_LF,   /* in that */
        HEAD_REQUEST,    /* in the request line, from its first byte on */
        HEAD_REQUEST_LF, /* its CR was the last byte */
        HEAD_FIELD,      /* at a line's beginning */
        HEAD_NAME,       /* in a field's name, from its second byte on */
        HEAD_VALUE,      /* behind its colon */
        HEAD_VALUE_LF,   /* the value's CR was the last byte */
        HEAD_END_LF,     /* the CR of the empty line was */
        HEAD_COMPLETE,
};

struct head_scan {
        enum head_where where;
        size_t size;   /* bytes seen that belong to the head */
        size_t fields; /* lines behind the request line that have begun */
        size_t line;   /* bytes of the request line so far */
};

/* What a whole head says. Strings lie in the memory that was parsed. */
struct head {
        char *method, *target, *path, *query, *host;
        size_t method_length, target_length;
        uint32_t minor_version;
        struct clade_field fields[HEAD_FIELDS_MAX];
        size_t field_count;
        bool chunked;
        bool has_length;
        uint64_t length; /* of the body, where has_length */
        bool expects;    /* Expect: 100-continue, of HTTP/1.1 */
        bool keep_alive; /* what version and Connection say together */
};

/* Looks at more bytes. Returns how many of them belong to the head: fewer than `size` only when it is complete
 * (scan->where) or refused. An empty line before the request line counts as part of the head, and is to be
 * left out of what head_parse gets: *ret_skip bytes of those looked at. */
size_t head_scan(struct head_scan *scan, const char *data, size_t size, size_t *ret_skip,
                 struct refusal *refusal);

/* Splits a complete head: `size` bytes that ended well in head_scan. Changes nothing in it. */
void head_parse(char *data, size_t size, struct head *ret_head, struct refusal *refusal);

/* Puts NULs behind all strings, over what separates them. `room` is for the path and the query: target_length + 2
 * bytes. */
void head_terminate(struct head *head, char *room);

/* uri-host [":" port], of a kind that everybody reads alike. */
bool head_host_is_valid(const char *host, size_t length);

/* Of names and values: ASCII, whatever the locale. */
bool text_is(const char *text, size_t length, const char *lower_case);

/* tchar of RFC 9110, 5.6.2; what a field's value may hold (5.5, without CR, LF and NUL). */
bool is_token_byte(unsigned char byte);
bool is_value_byte(unsigned char byte);
