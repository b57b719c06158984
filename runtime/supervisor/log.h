/* Events: one line each, on the supervisor's stderr, as text or as JSON.
 *
 *     log_event(log, LOG_INFO, "worker-started", app->name, LOG_NUMBER("pid", pid),
 *               LOG_NUMBER("isolated_pid", isolated_pid));
 *
 * The names of events and fields are an interface (docs/events.md). Values may come from a tenant: text is
 * made valid UTF-8, control characters are escaped, lengths are bounded, so no line can be forged.
 *
 * An event is a single write(2). A descriptor that blocks makes us wait, as its owner chose; one that
 * does not (O_NONBLOCK is the pipe's, not ours) loses the event, and the next one that gets through says
 * in `events_dropped` how many were lost. The process must ignore SIGPIPE.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

enum log_level { LOG_DEBUG, LOG_INFO, LOG_WARNING, LOG_ERROR };
enum log_format { LOG_TEXT, LOG_JSON };

struct log {
        int fd;
        enum log_format format;
        enum log_level minimum;
        uint64_t dropped; /* events lost since the last one that got through */
        bool torn;        /* the last one got through in part: its line is still open */
};

/* Longer events lose the end of a text (which then ends with an ellipsis) and the fields behind it. It is
 * enough for OUTPUT_LINE_MAX bytes that all have to be escaped. */
#define LOG_EVENT_MAX 32768 /* bytes, with the newline */

#define LOG_LEFT_OUT SIZE_MAX

struct log_field {
        const char *key;
        const char *text; /* NULL: it is a number */
        size_t length;    /* of text; LOG_LEFT_OUT: there is no such field in this event */
        int64_t number;
};

#define LOG_NUMBER(name, value)                                                                    \
        (struct log_field)                                                                         \
        {                                                                                          \
                .key = (name), .number = (int64_t)(value)                                          \
        }
#define LOG_TEXT_FIELD(name, value) log_text_field((name), (value))

/* A NULL value is left out of the event. */
struct log_field log_text_field(const char *key, const char *value);
struct log_field log_bytes_field(const char *key, const char *data, size_t length);

/* `application` may be NULL. */
#define log_event(log, level, event, application, ...)                                             \
        log_event_fields((log), (level), (event), (application),                                   \
                         (const struct log_field[]){{.key = NULL}, ##__VA_ARGS__, {.key = NULL}})
void log_event_fields(struct log *log, enum log_level level, const char *event,
                      const char *application, const struct log_field *fields);

/* An event with an error's text, errno name and remedy, and further fields. */
#define log_error(log, level, event, application, error, ...)                                      \
        log_event((log), (level), (event), (application),                                          \
                  LOG_TEXT_FIELD("message", (error)->text),                                        \
                  LOG_TEXT_FIELD("errno", (error)->code ? error_name((error)->code) : NULL),       \
                  LOG_TEXT_FIELD("remedy", (error)->remedy[0] ? (error)->remedy : NULL),           \
                  ##__VA_ARGS__)
