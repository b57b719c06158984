#include "runtime/supervisor/log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/own.h"

/* What every line needs at its end, whatever had to be left out: an ellipsis, a quote, a brace, the
 * newline. */
#define RESERVE  32
#define KEY_ROOM 64 /* a key, a number and their punctuation */

static const char *const level_names[][2] = {
        [LOG_DEBUG] = {"DEBUG", "debug"},
        [LOG_INFO] = {"INFO ", "info"},
        [LOG_WARNING] = {"WARN ", "warning"},
        [LOG_ERROR] = {"ERROR", "error"},
};

struct line {
        size_t size;
        char data[LOG_EVENT_MAX];
};

struct log_field log_text_field(const char *key, const char *value)
{
        return log_bytes_field(key, value, value ? strlen(value) : 0);
}

struct log_field log_bytes_field(const char *key, const char *data, size_t length)
{
        return (struct log_field){.key = key, .text = data, .length = data ? length : LOG_LEFT_OUT};
}

static size_t room(const struct line *line)
{
        return sizeof(line->data) - RESERVE - line->size;
}

/* For what we wrote ourselves; callers have made sure that there is room. */
static void put(struct line *line, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void put(struct line *line, const char *format, ...)
{
        size_t left = sizeof(line->data) - line->size;
        va_list args;
        int n;

        va_start(args, format);
        n = vsnprintf(line->data + line->size, left, format, args);
        va_end(args);
        if (n > 0)
                line->size += (size_t)n < left ? (size_t)n : left - 1;
}

static void put_bytes(struct line *line, const void *bytes, size_t size)
{
        memcpy(line->data + line->size, bytes, size);
        line->size += size;
}

/* The code point at `at`, and how many bytes it takes. What is not UTF-8 (overlong forms, surrogates and
 * numbers beyond the last one included) is a U+FFFD for each byte. */
static size_t utf8_next(const unsigned char *at, size_t left, uint32_t *ret_point)
{
        static const uint32_t smallest[] = {0, 0, 0x80, 0x800, 0x10000};
        uint32_t point = at[0];
        size_t length = point < 0x80             ? 1
                        : (point & 0xe0) == 0xc0 ? 2
                        : (point & 0xf0) == 0xe0 ? 3
                        : (point & 0xf8) == 0xf0 ? 4
                                                 : 0;

        *ret_point = 0xfffd;
        if (length == 0 || length > left)
                return 1;
        if (length == 1) {
                *ret_point = point;
                return 1;
        }
        point &= 0x7fu >> length;
        for (size_t i = 1; i < length; i++) {
                if ((at[i] & 0xc0) != 0x80)
                        return 1;
                point = point << 6 | (at[i] & 0x3f);
        }
        if (point < smallest[length] || point > 0x10ffff || (point >= 0xd800 && point < 0xe000))
                return 1;
        *ret_point = point;
        return length;
}

/* Whatever moves a terminal's cursor or makes a reader see something else than what is there: C0, DEL,
 * C1, the line and paragraph separators, and the marks that turn the direction of writing. */
static bool is_control(uint32_t point)
{
        return point < 0x20 || (point >= 0x7f && point < 0xa0) || point == 0x2028 ||
               point == 0x2029 || point == 0x200e || point == 0x200f || point == 0x61c ||
               (point >= 0x202a && point <= 0x202e) || (point >= 0x2066 && point <= 0x2069);
}

/* One code point, escaped as JSON has it. Where nobody will parse the line the escapes serve the eye,
 * and quotes and backslashes stay what they are. */
static void put_point(struct line *line, uint32_t point, const unsigned char *bytes, size_t length,
                      bool quoted)
{
        static const char shorts[] = {
                ['\b'] = 'b', ['\t'] = 't', ['\n'] = 'n', ['\f'] = 'f', ['\r'] = 'r'};

        if (quoted && (point == '"' || point == '\\'))
                put(line, "\\%c", (int)point);
        else if (point < sizeof(shorts) && shorts[point])
                put(line, "\\%c", shorts[point]);
        else if (is_control(point))
                put(line, "\\u%04x", point);
        else if (point == 0xfffd)
                put_bytes(line, "\xef\xbf\xbd", 3);
        else
                put_bytes(line, bytes, length);
}

static void put_escaped(struct line *line, const char *text, size_t length, bool quoted)
{
        const unsigned char *at = (const unsigned char *)text;

        while (length > 0) {
                uint32_t point;
                size_t n = utf8_next(at, length, &point);

                if (room(line) < 8) {
                        put(line, "\xe2\x80\xa6");
                        return;
                }
                put_point(line, point, at, n, quoted);
                at += n;
                length -= n;
        }
}

static void put_quoted(struct line *line, const char *text, size_t length)
{
        put(line, "\"");
        put_escaped(line, text, length, true);
        put(line, "\"");
}

static void put_time(struct line *line, enum log_format format)
{
        struct timespec now;
        struct tm parts;
        char text[32];

        clock_gettime(CLOCK_REALTIME, &now);
        gmtime_r(&now.tv_sec, &parts);
        strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", &parts);
        if (format == LOG_JSON)
                put(line, "%s.%06ldZ", text, now.tv_nsec / 1000);
        else
                put(line, "%s.%03ldZ", text, now.tv_nsec / 1000000);
}

static bool has_room_for(const struct line *line, const struct log_field *field)
{
        return field->length != LOG_LEFT_OUT && room(line) > KEY_ROOM + strlen(field->key);
}

static void json_field(struct line *line, const struct log_field *field)
{
        if (!has_room_for(line, field))
                return;
        put(line, ",\"%s\":", field->key);
        if (field->text)
                put_quoted(line, field->text, field->length);
        else
                put(line, "%lld", (long long)field->number);
}

static void json_line(struct line *line, const struct log *log, enum log_level level,
                      const char *event, const char *application, const struct log_field *fields)
{
        struct log_field whose = log_text_field("application", application);
        struct log_field lost = LOG_NUMBER("events_dropped", log->dropped);

        put(line, "{\"time\":\"");
        put_time(line, LOG_JSON);
        put(line, "\",\"level\":\"%s\",\"event\":\"%s\"", level_names[level][1], event);
        json_field(line, &whose);
        if (log->dropped)
                json_field(line, &lost);
        for (; fields->key; fields++)
                json_field(line, fields);
        put(line, "}\n");
}

/* A person wants the sentences last and without quotes. */
static bool is_sentence(const struct log_field *field)
{
        return field->text &&
               (strcmp(field->key, "text") == 0 || strcmp(field->key, "message") == 0 ||
                strcmp(field->key, "remedy") == 0);
}

static bool is_plain(const char *text, size_t length)
{
        for (size_t i = 0; i < length; i++)
                if (text[i] <= ' ' || text[i] > '~' || strchr("\"\\=|", text[i]))
                        return false;
        return length > 0;
}

static void text_field(struct line *line, const struct log_field *field)
{
        if (!has_room_for(line, field))
                return;
        if (is_sentence(field)) {
                put(line, " | ");
                put_escaped(line, field->text, field->length, false);
                return;
        }
        put(line, " %s=", field->key);
        if (!field->text)
                put(line, "%lld", (long long)field->number);
        else if (is_plain(field->text, field->length))
                put_escaped(line, field->text, field->length, true);
        else
                put_quoted(line, field->text, field->length);
}

static void text_line(struct line *line, const struct log *log, enum log_level level,
                      const char *event, const char *application, const struct log_field *fields)
{
        struct log_field lost = LOG_NUMBER("events_dropped", log->dropped);

        put_time(line, LOG_TEXT);
        put(line, " %s ", level_names[level][0]);
        if (!application)
                put(line, "-");
        else if (is_plain(application, strlen(application)))
                put_escaped(line, application, strlen(application), true);
        else
                put_quoted(line, application, strlen(application));
        put(line, " %s", event);
        if (log->dropped)
                text_field(line, &lost);
        for (int last = 0; last < 2; last++)
                for (const struct log_field *field = fields; field->key; field++)
                        if (is_sentence(field) == (last == 1))
                                text_field(line, field);
        put(line, "\n");
}

static void write_line(struct log *log, const struct line *line)
{
        ssize_t n;

        do
                n = write(log->fd, line->data, line->size);
        while (n < 0 && errno == EINTR);

        /* A pipe that does not block takes up to PIPE_BUF bytes whole or not at all; only a longer event
         * can be torn. */
        if (n > 0)
                log->torn = (size_t)n < line->size;
        if (n == (ssize_t)line->size)
                log->dropped = 0;
        else
                log->dropped++;
}

void log_event_fields(struct log *log, enum log_level level, const char *event,
                      const char *application, const struct log_field *fields)
{
        struct line line;

        if (level < log->minimum)
                return;
        line.size = 0;
        if (log->torn)
                put(&line, "\n");
        fields++; /* the macro log_event puts an empty one in front, so that there may be none */
        if (log->format == LOG_JSON)
                json_line(&line, log, level, event, application, fields);
        else
                text_line(&line, log, level, event, application, fields);
        write_line(log, &line);
}
