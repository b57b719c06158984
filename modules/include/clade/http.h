/* clade/http.h - a request, as modules and `native` applications see it.
 *
 * The HTTP/1.1 unit runs inside each worker, behind the last lock. It reads a whole request, head and body, before
 * anybody is called; it writes answers by itself, so that no handler ever waits for a slow client, but for one
 * that streams more than may be buffered.
 *
 * A `native` application that exports
 *
 *     int clade_handle(struct clade_request *request);
 *
 * instead of clade_main needs no loop of its own. It is called with one request at a time and returns 0; with
 * anything else, or without an answer, the client gets a 500. Whatever the request points to is gone when it
 * returns.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* Both strings end with a NUL and have none inside; the value has no white space around it. */
struct clade_field {
        const char *name, *value;
        size_t name_length, value_length;
};

struct clade_request {
        uint32_t
                size; /* sizeof(struct clade_request) on clade's side; members are only ever added */
        uint32_t minor_version; /* HTTP/1.0 or 1.1 */
        const char *method;     /* a token, as sent: "GET" */
        const char *target;     /* as sent: "/a%20b?c=d"; "*" for OPTIONS */
        const char *path;       /* what stands before the "?" of it, not decoded */
        const char *query;      /* what stands behind; "" */
        const char *host;       /* "example.com:8080"; "" where HTTP/1.0 has none */
        const struct clade_field
                *fields; /* in the order in which they came, hop-by-hop ones included */
        size_t field_count;
        uint64_t body_size;               /* known, since it has been read */
        size_t listener;                  /* the worker's listener that the connection came from */
        const char *remote_address;       /* "192.0.2.1", "2001:db8::1"; "" over a unix socket */
        const char *local_address;        /* of this connection; the path of a unix socket */
        uint16_t remote_port, local_port; /* 0 over a unix socket */

        /* The next bytes of the body, at most `size`; 0 at its end, or a negative errno. */
        ssize_t (*read)(struct clade_request *request, void *buffer, size_t size);
        /* Goes back to the body's beginning, so that it can be read again. 0 or a negative errno. */
        int (*rewind)(struct clade_request *request);
        /* Begins the answer: once. `reason` may be NULL. Content-Length, Connection, Transfer-Encoding, Date and
         * Keep-Alive are the unit's: of those only Content-Length may be among `fields`, and the body is then
         * held to it; without it the answer is chunked, or, if it ends before much of it was
         * written, gets one. -EINVAL: a status (200 to 599) or field that HTTP does not have; nothing is sent. */
        int (*respond)(struct clade_request *request, unsigned status, const char *reason,
                       const struct clade_field *fields, size_t field_count);
        /* Adds to the body; takes all of it, or fails: -EPIPE the client is gone, -EMSGSIZE it is more than
         * Content-Length said, -ETIMEDOUT the client does not take it. */
        int (*write)(struct clade_request *request, const void *data, size_t size);
        /* The rest of the body is what `fd` has from `offset` on, `length` bytes; takes fd in any case, and
         * sends after the handler has returned. */
        int (*send_file)(struct clade_request *request, int fd, uint64_t offset, uint64_t length);
        /* Sends what has been written so far without waiting for the end. */
        int (*flush)(struct clade_request *request);
        void *internal; /* the unit's */
};
