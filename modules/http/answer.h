/* An answer in the making.
 *
 * What a handler writes is gathered, and its head with it, until the handler returns: most answers are small, get
 * their Content-Length and go out with one call. One that grows beyond ANSWER_MEMORY, or is flushed, begins to be
 * sent: as it is where the handler said how long it will be, chunked otherwise, and to HTTP/1.0 until the connection
 * closes. What the client does not take at once waits in the connection's output, which is memory and then a spill; only
 * when that is full the handler has to wait.
 *
 * The watching thread may end an answer while its handler goes on: answer_abandon. */
#pragma once

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <clade/http.h>

#include "modules/http/date.h"
#include "modules/http/output.h"

#define ANSWER_MEMORY (64 * 1024) /* bytes */

enum answer_state {
        ANSWER_NONE,    /* respond has not been called */
        ANSWER_BEGUN,   /* it has; nothing has been sent */
        ANSWER_SENDING, /* the head has gone */
        ANSWER_FAILED,  /* it cannot be completed */
};

enum answer_framing {
        FRAMING_LENGTH,
        FRAMING_CHUNKED,
        FRAMING_CLOSE, /* the body ends with the connection */
        FRAMING_NONE,  /* there is no body: 204, 304 */
};

struct answer_text {
        char *data;
        size_t size, capacity;
};

struct answer {
        pthread_mutex_t lock; /* of all below, between the handler and the watching thread */
        enum answer_state state;
        enum answer_framing framing;

        /* Of the request. */
        int socket;
        struct output *output;
        uint32_t send_timeout; /* ms */
        bool head_only;        /* HEAD */
        uint32_t minor_version;
        bool keep_alive; /* before: whether it may; after: whether it will */
        bool abandoned;

        unsigned status;
        bool has_length;
        uint64_t length;  /* where has_length: what Content-Length says */
        uint64_t written; /* bytes of the body, a file's included */
        uint64_t sent_body;
        struct answer_text head, body;
        int file; /* -1: none */
        uint64_t file_offset, file_length;
        struct date *date;
};

void answer_init(struct answer *answer, struct date *date);
void answer_finish(struct answer *answer);

/* Before a handler is called. */
void answer_prepare(struct answer *answer, int socket, struct output *output, bool head_only,
                    uint32_t minor_version, bool keep_alive);

/* Members of clade_request. */
int answer_respond(struct answer *answer, unsigned status, const char *reason,
                   const struct clade_field *fields, size_t field_count);
int answer_write(struct answer *answer, const void *data, size_t size);
int answer_send_file(struct answer *answer, int fd, uint64_t offset, uint64_t length);
int answer_flush(struct answer *answer);

/* After the handler: sends the rest, or puts it into the output. One that did not begin, or was not what it said,
 * becomes a 500 if that is still possible. answer->keep_alive says whether the connection goes on. */
void answer_complete(struct answer *answer, bool handler_failed);

/* A whole answer of the unit's own, with one line of text; the connection closes after it. */
void answer_refuse(struct answer *answer, unsigned status, const char *why);

/* From the watching thread: a 503 if nothing has been sent, and in any case the end of the connection. */
void answer_abandon(struct answer *answer);

/* "Not Found"; "" for what has no name. */
const char *answer_reason(unsigned status);
