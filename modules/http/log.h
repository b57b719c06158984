/* The access log: a line for each request, on the worker's stdout.
 *
 * Lines are gathered and written a page at a time, or after a fifth of a second, so that a busy worker does not spend a
 * call on each. A write is never longer than what a pipe takes in one piece (PIPE_BUF): lines of threads, and
 * of what the application prints, stay whole. Nobody waits for a log that is not read: what does not fit is dropped and
 * counted.
 *
 * All that came from a client is escaped. What is left is printable ASCII without quotes or backslashes that would
 * mean anything: no client ends a line, or writes one of its own. */
#pragma once

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

enum log_format { LOG_OFF, LOG_COMMON, LOG_JSON };

#define LOG_DELAY 200 /* ms */

struct log {
        enum log_format format;
        char buffer[PIPE_BUF];
        size_t size;
        uint64_t due; /* ms: when what is there is to be written; 0: nothing is */
        uint64_t dropped;
};

struct log_entry {
        const char *remote, *method, *target, *host, *referer, *user_agent; /* NULL: unknown */
        unsigned minor_version, status;
        uint64_t bytes;    /* of the answer's body */
        uint64_t duration; /* ns in the handler */
};

/* A line; `now` is in ms. */
void log_request(struct log *log, const struct log_entry *entry, uint64_t now);

/* Writes what there is. */
void log_flush(struct log *log);

/* The line alone, without its end, at most `size` - 1 bytes: its length. */
size_t log_format_line(enum log_format format, const struct log_entry *entry,
                       const struct timespec *time, char *line, size_t size);
