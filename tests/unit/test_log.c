#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <regex.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/own.h"
#include "runtime/supervisor/log.h"

struct capture {
        int reader, writer;
        struct log log;
        char text[LOG_EVENT_MAX * 2];
};

static void capture_init(struct capture *capture, enum log_format format)
{
        int fds[2];

        cr_assert_eq(pipe2(fds, O_CLOEXEC), 0);
        cr_assert_eq(fd_nonblock(fds[0], true), 0);
        capture->reader = fds[0];
        capture->writer = fds[1];
        capture->log = (struct log){.fd = fds[1], .format = format, .minimum = LOG_INFO};
        signal(SIGPIPE, SIG_IGN);
}

static const char *captured(struct capture *capture)
{
        ssize_t n = read(capture->reader, capture->text, sizeof(capture->text) - 1);

        cr_assert(n > 0 || errno == EAGAIN);
        capture->text[n > 0 ? n : 0] = '\0';
        return capture->text;
}

static bool matches(const char *text, const char *pattern)
{
        regex_t regex;
        bool found;

        cr_assert_eq(regcomp(&regex, pattern, REG_EXTENDED | REG_NOSUB), 0);
        found = regexec(&regex, text, 0, NULL, 0) == 0;
        regfree(&regex);
        return found;
}

/* One line of JSON, read by somebody else's parser. */
static json_t *parsed(struct capture *capture)
{
        const char *text = captured(capture);
        json_error_t error;
        json_t *object = json_loads(text, JSON_REJECT_DUPLICATES, &error);

        cr_assert(object, "%s in %s", error.text, text);
        cr_assert_eq(strchr(text, '\n'), text + strlen(text) - 1);
        return object;
}

static void expect_string(json_t *object, const char *key, const char *value)
{
        const char *got = json_string_value(json_object_get(object, key));

        cr_expect(got && strcmp(got, value) == 0, "%s is %s", key, got ? got : "(missing)");
}

Test(log, json)
{
        struct capture capture;
        json_t *object;

        capture_init(&capture, LOG_JSON);
        log_event(&capture.log, LOG_WARNING, "worker-started", "hello", LOG_NUMBER("pid", 123),
                  LOG_TEXT_FIELD("nothing", NULL), LOG_NUMBER("big", INT64_MIN),
                  LOG_TEXT_FIELD("empty", ""));
        object = parsed(&capture);
        expect_string(object, "level", "warning");
        expect_string(object, "event", "worker-started");
        expect_string(object, "application", "hello");
        expect_string(object, "empty", "");
        cr_expect_eq(json_integer_value(json_object_get(object, "pid")), 123);
        cr_expect_eq(json_integer_value(json_object_get(object, "big")), INT64_MIN);
        cr_expect_eq(json_object_get(object, "nothing"), NULL);
        cr_expect_eq(json_object_size(object), 7);
        cr_expect(matches(json_string_value(json_object_get(object, "time")),
                          "^20[0-9]{2}-[01][0-9]-[0-3][0-9]T[0-2][0-9]:[0-5][0-9]:[0-6][0-9]"
                          "\\.[0-9]{6}Z$"));
        json_decref(object);
}

Test(log, without_application_or_fields)
{
        struct capture capture;
        json_t *object;

        capture_init(&capture, LOG_JSON);
        log_event(&capture.log, LOG_INFO, "stopped", NULL);
        object = parsed(&capture);
        cr_expect_eq(json_object_size(object), 3);
        json_decref(object);

        capture.log.format = LOG_TEXT;
        log_event(&capture.log, LOG_INFO, "stopped", NULL);
        cr_expect(matches(captured(&capture), "^[-0-9T:.]+Z INFO  - stopped\n$"));
        log_event(&capture.log, LOG_DEBUG, "below-the-minimum", NULL);
        cr_expect_str_eq(captured(&capture), "");
}

Test(log, text)
{
        struct error error = ERROR_INIT;
        struct capture capture;

        capture_init(&capture, LOG_TEXT);
        error_set(&error, ENOENT, "open of \"/srv/x\"");
        error_remedy(&error, "Create it.");
        log_error(&capture.log, LOG_ERROR, "application-failed", "hello", &error,
                  LOG_TEXT_FIELD("step", "root"), LOG_TEXT_FIELD("odd", "a \"b\"\x1b[0m"));
        cr_expect(matches(captured(&capture),
                          "^[-0-9T:.]+\\.[0-9]{3}Z ERROR hello application-failed errno=ENOENT "
                          "step=root odd=\"a \\\\\"b\\\\\"\\\\u001b\\[0m\" \\| open of \"/srv/x\": "
                          "No "
                          "such file or directory \\(ENOENT\\) \\| Create it\\.\n$"),
                  "%s", capture.text);
}

/* As bytes, since a compiler rightly warns of it in a literal. */
static const char right_to_left[] = {'\xe2', '\x80', '\xae', '\0'};

/* Each row: what a tenant may write, and what a reader of the JSON gets. */
static const struct {
        const char *bytes;
        size_t length;
        const char *read, *shown;
} hostile[] = {
        {"a\nb", 3, "a\nb", "a\\nb"},
        {"x\r\t\x7f", 4, "x\r\t\x7f", "x\\r\\t\\u007f"},
        {"\xc2\x9b"
         "2J",
         4,
         "\xc2\x9b"
         "2J",
         "\\u009b2J"},
        {right_to_left, 3, right_to_left, "\\u202e"},
        {"\xe2\x80\xa8", 3, "\xe2\x80\xa8", "\\u2028"},
        {"\"},{\"", 5, "\"},{\"", "\"},{\""},
        {"\\n", 2, "\\n", "\\n"},
        {"\xff\xfe", 2, "\xef\xbf\xbd\xef\xbf\xbd", "\xef\xbf\xbd\xef\xbf\xbd"},
        {"\xc0\xaf", 2, "\xef\xbf\xbd\xef\xbf\xbd", "\xef\xbf\xbd\xef\xbf\xbd"},
        {"\xed\xa0\x80", 3, "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd",
         "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"},
        {"\xf4\x90\x80\x80", 4, "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd",
         "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"},
        {"a\xe2\x82", 3, "a\xef\xbf\xbd\xef\xbf\xbd", "a\xef\xbf\xbd\xef\xbf\xbd"},
        {"gr\xc3\xbc\xc3\x9f \xf0\x9f\x8c\xb1", 11, "gr\xc3\xbc\xc3\x9f \xf0\x9f\x8c\xb1",
         "gr\xc3\xbc\xc3\x9f \xf0\x9f\x8c\xb1"},
};

Test(log, hostile_text)
{
        struct capture capture;

        capture_init(&capture, LOG_JSON);
        for (size_t i = 0; i < ARRAY_SIZE(hostile); i++) {
                char shown[256];
                json_t *object;

                capture.log.format = LOG_JSON;
                log_event(&capture.log, LOG_INFO, "output", "a",
                          log_bytes_field("text", hostile[i].bytes, hostile[i].length));
                object = parsed(&capture);
                expect_string(object, "text", hostile[i].read);
                json_decref(object);

                capture.log.format = LOG_TEXT;
                log_event(&capture.log, LOG_INFO, "output", "a",
                          log_bytes_field("text", hostile[i].bytes, hostile[i].length));
                snprintf(shown, sizeof(shown), " a output | %s\n", hostile[i].shown);
                cr_expect(strstr(captured(&capture), shown), "row %zu: %s", i, capture.text);
        }
}

Test(log, a_nul_is_escaped)
{
        struct capture capture;

        capture_init(&capture, LOG_JSON);
        log_event(&capture.log, LOG_INFO, "output", "a", log_bytes_field("text", "a\0b", 3));
        cr_expect(strstr(captured(&capture), "\"text\":\"a\\u0000b\"}\n"));
}

Test(log, too_long_stays_json)
{
        static char large[2 * LOG_EVENT_MAX];
        struct capture capture;

        capture_init(&capture, LOG_JSON);
        for (int kind = 0; kind < 2; kind++) {
                json_t *object;

                memset(large, kind ? 1 : 'x', sizeof(large));
                log_event(&capture.log, LOG_INFO, "output", "a",
                          log_bytes_field("text", large, sizeof(large)), LOG_NUMBER("after", 1));
                object = parsed(&capture);
                cr_expect_leq(strlen(capture.text), LOG_EVENT_MAX);
                cr_expect_gt(strlen(capture.text), LOG_EVENT_MAX - 64);
                cr_expect(strstr(capture.text, "\xe2\x80\xa6\"}\n"));
                json_decref(object);
        }
}

Test(log, a_full_pipe_drops_and_counts)
{
        struct capture capture;
        json_t *object;
        ssize_t n;

        capture_init(&capture, LOG_JSON);
        fd_nonblock(capture.writer, true);
        do {
                log_event(&capture.log, LOG_INFO, "output", "a");
                /* nothing is torn: every event is below PIPE_BUF */
                cr_assert(!capture.log.torn);
        } while (capture.log.dropped < 3);
        do
                n = read(capture.reader, capture.text, sizeof(capture.text));
        while (n > 0);

        log_event(&capture.log, LOG_INFO, "output", "a");
        object = parsed(&capture);
        cr_expect_eq(json_integer_value(json_object_get(object, "events_dropped")), 3);
        json_decref(object);
        log_event(&capture.log, LOG_INFO, "output", "a");
        object = parsed(&capture);
        cr_expect_eq(json_object_get(object, "events_dropped"), NULL);
        json_decref(object);
}

Test(log, a_torn_line_is_ended)
{
        static char large[20000];
        struct capture capture;
        ssize_t n;

        capture_init(&capture, LOG_JSON);
        fd_nonblock(capture.writer, true);
        memset(large, 'x', sizeof(large));
        while (!capture.log.torn)
                log_event(&capture.log, LOG_INFO, "output", "a",
                          log_bytes_field("text", large, sizeof(large)));
        do
                n = read(capture.reader, capture.text, sizeof(capture.text));
        while (n > 0);
        log_event(&capture.log, LOG_INFO, "output", "a");
        cr_expect(strncmp(captured(&capture), "\n{\"time\"", 8) == 0);
        cr_expect(strstr(capture.text, "\"events_dropped\":1"));
        cr_expect(!capture.log.torn);
}

Test(log, nobody_reads)
{
        struct capture capture;

        capture_init(&capture, LOG_TEXT);
        close(capture.reader);
        log_event(&capture.log, LOG_INFO, "output", "a");
        cr_expect_eq(capture.log.dropped, 1);
}

/* Four processes, one pipe: every line that arrives is whole. */
Test(log, writers_do_not_interleave)
{
        struct capture capture;
        char line[8192];
        FILE *stream;
        size_t lines = 0;

        capture_init(&capture, LOG_JSON);
        fd_nonblock(capture.reader, false);
        memset(line, 'y', sizeof(line));
        for (int child = 0; child < 4; child++) {
                if (fork() != 0)
                        continue;
                for (int i = 0; i < 200; i++)
                        log_event(&capture.log, LOG_INFO, "output", "a", LOG_NUMBER("child", child),
                                  log_bytes_field("text", line, (size_t)(i * 3)));
                _exit(0);
        }
        close(capture.writer);
        stream = fdopen(capture.reader, "r");
        while (fgets(line, sizeof(line), stream)) {
                json_t *object = json_loads(line, JSON_REJECT_DUPLICATES, NULL);

                cr_assert(object, "%s", line);
                json_decref(object);
                lines++;
        }
        cr_expect_eq(lines, 800);
        fclose(stream);
        while (wait(NULL) > 0)
                ;
}
