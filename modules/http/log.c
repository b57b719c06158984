#include "modules/http/log.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* So much of what a client said is written. Escaped it can be six times as long, and a line still fits a page. */
#define TARGET_MAX 256
#define FIELD_MAX  64
#define LINE_MAX_  3072

struct line {
        char *text;
        size_t size, used;
};

static void add(struct line *line, const char *text)
{
        size_t length = strlen(text);

        if (length > line->size - line->used - 1)
                length = line->size - line->used - 1;
        memcpy(line->text + line->used, text, length);
        line->used += length;
        line->text[line->used] = '\0';
}

/* JSON has no \xHH. Bytes above ASCII are not looked at as UTF-8: they are written as what they are, bytes. */
static void add_escaped(struct line *line, const char *text, size_t most, enum log_format format)
{
        size_t i;

        for (i = 0; i < most && text[i]; i++) {
                unsigned char byte = (unsigned char)text[i];
                char piece[8];

                if (byte == '"' || byte == '\\')
                        snprintf(piece, sizeof(piece), "\\%c", byte);
                else if (byte >= 0x20 && byte < 0x7f)
                        snprintf(piece, sizeof(piece), "%c", byte);
                else
                        snprintf(piece, sizeof(piece), format == LOG_JSON ? "\\u%04x" : "\\x%02x",
                                 byte);
                add(line, piece);
        }
        if (text[i])
                add(line, "...");
}

static void add_member(struct line *line, const char *name, const char *text, size_t most)
{
        if (!text)
                return;
        add(line, ", \"");
        add(line, name);
        add(line, "\": \"");
        add_escaped(line, text, most, LOG_JSON);
        add(line, "\"");
}

static void add_json(struct line *line, const struct log_entry *entry, const struct timespec *time)
{
        char text[128];
        struct tm utc;

        gmtime_r(&time->tv_sec, &utc);
        strftime(text, sizeof(text), "{\"time\": \"%Y-%m-%dT%H:%M:%S", &utc);
        add(line, text);
        snprintf(text, sizeof(text), ".%06ldZ\"", time->tv_nsec / 1000);
        add(line, text);
        add_member(line, "remote", entry->remote, FIELD_MAX);
        add_member(line, "method", entry->method, FIELD_MAX);
        add_member(line, "target", entry->target, TARGET_MAX);
        if (entry->method)
                add_member(line, "version", entry->minor_version ? "HTTP/1.1" : "HTTP/1.0",
                           FIELD_MAX);
        add_member(line, "host", entry->host, FIELD_MAX);
        add_member(line, "referer", entry->referer, FIELD_MAX);
        add_member(line, "user_agent", entry->user_agent, FIELD_MAX);
        snprintf(text, sizeof(text),
                 ", \"status\": %u, \"bytes\": %" PRIu64 ", \"duration_us\": %" PRIu64 "}",
                 entry->status, entry->bytes, entry->duration / 1000);
        add(line, text);
}

/* The names of months are English in it, whatever the locale. */
static void add_common(struct line *line, const struct log_entry *entry,
                       const struct timespec *time)
{
        static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
        char text[128];
        struct tm utc;

        gmtime_r(&time->tv_sec, &utc);
        add(line, entry->remote && *entry->remote ? entry->remote : "-");
        snprintf(text, sizeof(text), " - - [%02d/%.3s/%d:%02d:%02d:%02d +0000] \"", utc.tm_mday,
                 months + utc.tm_mon * 3, utc.tm_year + 1900, utc.tm_hour, utc.tm_min, utc.tm_sec);
        add(line, text);
        if (entry->method) {
                add_escaped(line, entry->method, FIELD_MAX, LOG_COMMON);
                add(line, " ");
                add_escaped(line, entry->target, TARGET_MAX, LOG_COMMON);
                add(line, entry->minor_version ? " HTTP/1.1" : " HTTP/1.0");
        } else {
                add(line, "-");
        }
        snprintf(text, sizeof(text), "\" %u %" PRIu64, entry->status, entry->bytes);
        add(line, text);
}

size_t log_format_line(enum log_format format, const struct log_entry *entry,
                       const struct timespec *time, char *line, size_t size)
{
        struct line text = {.text = line, .size = size};

        if (format == LOG_JSON)
                add_json(&text, entry, time);
        else
                add_common(&text, entry, time);
        return text.used;
}

/* A pipe that can be written to takes PIPE_BUF bytes without waiting. */
static bool can_write(void)
{
        struct pollfd out = {.fd = STDOUT_FILENO, .events = POLLOUT};

        return poll(&out, 1, 0) == 1;
}

void log_flush(struct log *log)
{
        log->due = 0;
        if (log->size == 0)
                return;
        if (can_write() && write(STDOUT_FILENO, log->buffer, log->size) == (ssize_t)log->size)
                log->size = 0;
        if (log->size == 0 && log->dropped > 0) {
                log->size = (size_t)snprintf(log->buffer, sizeof(log->buffer),
                                             "access log: %" PRIu64 " lines were dropped\n",
                                             log->dropped);
                log->dropped = 0;
        }
}

void log_request(struct log *log, const struct log_entry *entry, uint64_t now)
{
        char line[LINE_MAX_];
        struct timespec time;
        size_t length;

        if (log->format == LOG_OFF)
                return;
        clock_gettime(CLOCK_REALTIME, &time);
        length = log_format_line(log->format, entry, &time, line, sizeof(line) - 1);
        line[length++] = '\n';
        if (log->size + length > sizeof(log->buffer))
                log_flush(log);
        if (log->size + length > sizeof(log->buffer)) {
                log->dropped++;
        } else {
                memcpy(log->buffer + log->size, line, length);
                log->size += length;
        }
        if (log->due == 0)
                log->due = now + LOG_DELAY;
}
