/* The head of an HTTP/1.1 request, read strictly: RFC 9112 without its allowances. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#define HTTP_HEAD_MAX   8192 /* bytes */
#define HTTP_FIELDS_MAX 64

struct http_request {
        bool head;        /* HEAD: the same answer without its body */
        char target[256]; /* path and query as sent */
};

/* Whether what has come so far could be HTTP at all: TLS, for one, is not. */
bool http_plausible(const char *data, size_t size);

/* Looks for the end of the head. 0: not there yet. Positive: its length. */
size_t http_head_length(const char *data, size_t size);

/* 200, or the status to refuse the request with. Only GET and HEAD without a body are
 * taken. ret_request->head is known for any request line that could be read. */
int http_parse(const char *head, size_t size, struct http_request *ret_request);

const char *http_reason(int status);
