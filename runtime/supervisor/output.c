#include "runtime/supervisor/output.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include "base/own.h"
#include "runtime/supervisor/output_file.h"

/* Bytes per read. Into the log it is less: each byte could be a line, and each line is an event. */
#define CHUNK     8192u
#define LOG_CHUNK 512u
#define TURN      OUTPUT_TURN /* cost of one turn of the loop, so that others get theirs */
#define SECOND    1000000u    /* µs */
#define ACCURACY  10000u      /* µs that a timer may be late */

/* Edges: of thousands of pipes that end at once, as at a stop, each is told once. By their level all of them
 * would be told again in every turn until theirs has come. */
#define READABLE (EPOLLIN | EPOLLET)

struct output {
        struct output_sink *sink;
        sd_event_source *readable;
        sd_event_source *pause; /* only while throttled */
        int fd;                 /* -1 after the end of the file */
        pid_t pid;
        uint32_t isolated_pid;
        char *line; /* a line that has begun; OUTPUT_LINE_MAX bytes, only while there is one */
        size_t length;
        bool held;     /* its writer is not known yet */
        uint64_t debt; /* cost of what was read already and is not yet paid for */
};

static uint64_t now_us(void)
{
        struct timespec now;

        clock_gettime(CLOCK_MONOTONIC, &now);
        return (uint64_t)now.tv_sec * SECOND + (uint64_t)now.tv_nsec / 1000;
}

static bool is_due(uint64_t *last, uint64_t now)
{
        if (*last && now - *last < SECOND)
                return false;
        *last = now;
        return true;
}

int output_sink_init(struct output_sink *sink, struct log *log, const char *application,
                     const char *stream, const char *path, enum path_links links,
                     struct budget *budget, struct error *error)
{
        *sink = (struct output_sink){
                .application = application,
                .stream = stream,
                .fd = -1,
                .log = log,
                .budget = budget,
        };
        if (!path)
                return 0;
        sink->path = strdup(path);
        if (!sink->path)
                return error_set(error, ENOMEM, "opening %s", path);
        sink->fd = output_file_open(path, links, error);
        if (sink->fd < 0) {
                int r = sink->fd;

                output_sink_finish(sink);
                return r;
        }
        return 0;
}

static void report_dropped(struct output_sink *sink)
{
        log_event(sink->log, LOG_ERROR, "output-dropped", sink->application,
                  LOG_TEXT_FIELD("stream", sink->stream), LOG_TEXT_FIELD("path", sink->path),
                  LOG_TEXT_FIELD("errno", error_name(sink->code)),
                  LOG_NUMBER("bytes", sink->unreported), LOG_NUMBER("bytes_total", sink->dropped));
        sink->unreported = 0;
}

void output_sink_lost(struct output_sink *sink, uint64_t bytes)
{
        sink->code = ENOBUFS;
        sink->dropped += bytes;
        sink->unreported += bytes;
        if (is_due(&sink->reported_us, now_us()))
                report_dropped(sink);
}

void output_sink_finish(struct output_sink *sink)
{
        if (sink->unreported)
                report_dropped(sink);
        fd_close(TAKE_FD(sink->fd));
        free(TAKE_PTR(sink->path));
}

static void write_file(struct output_sink *sink, const char *data, size_t size)
{
        while (size > 0) {
                ssize_t n = write(sink->fd, data, size);

                if (n < 0 && errno == EINTR)
                        continue;
                if (n <= 0) {
                        sink->code = n < 0 ? errno : EIO;
                        sink->dropped += size;
                        sink->unreported += size;
                        break;
                }
                data += n;
                size -= (size_t)n;
        }
        if (sink->unreported && is_due(&sink->reported_us, now_us()))
                report_dropped(sink);
}

static void emit(struct output *output, const char *text, size_t length, bool partial)
{
        struct output_sink *sink = output->sink;
        struct log_field pid = LOG_NUMBER("pid", output->pid);
        struct log_field isolated_pid = LOG_NUMBER("isolated_pid", output->isolated_pid);
        struct log_field cut = LOG_NUMBER("partial", 1);

        if (output->pid == 0)
                pid.length = isolated_pid.length = LOG_LEFT_OUT;
        if (!partial)
                cut.length = LOG_LEFT_OUT;
        log_event(sink->log, LOG_INFO, "output", sink->application,
                  LOG_TEXT_FIELD("stream", sink->stream), pid, isolated_pid, cut,
                  log_bytes_field("text", text, length));
}

static void emit_line(struct output *output, bool partial)
{
        emit(output, output->line, output->length, partial);
        output->length = 0;
}

/* Where to cut `length` bytes so that no character of UTF-8 falls apart: before a lead byte among the
 * last three. Bytes that are not UTF-8 are cut where they are. */
static size_t whole_characters(const char *text, size_t length)
{
        for (size_t back = 1; back <= 3 && back < length; back++) {
                unsigned char byte = (unsigned char)text[length - back];

                if (byte < 0x80)
                        return length;
                if (byte >= 0xc0)
                        return back < (byte >= 0xf0   ? 4u
                                       : byte >= 0xe0 ? 3u
                                                      : 2u)
                                       ? length - back
                                       : length;
        }
        return length;
}

/* Adds to the line that has begun; a full buffer goes out as a piece of it. How many events that was. */
static size_t gather(struct output *output, const char *data, size_t size)
{
        size_t events = 0;

        while (size > 0) {
                size_t part = OUTPUT_LINE_MAX - output->length, whole;

                if (part > size)
                        part = size;
                memcpy(output->line + output->length, data, part);
                output->length += part;
                data += part;
                size -= part;
                if (output->length < OUTPUT_LINE_MAX || size == 0)
                        continue;
                whole = whole_characters(output->line, OUTPUT_LINE_MAX);
                emit(output, output->line, whole, true);
                output->length -= whole;
                memmove(output->line, output->line + whole, output->length);
                events++;
        }
        return events;
}

/* Splits what was read into lines. How many events that was. */
static size_t split(struct output *output, const char *data, size_t size)
{
        const char *end = data + size, *newline;
        size_t events = 0;

        if (!output->line)
                output->line = malloc(OUTPUT_LINE_MAX);
        if (!output->line) {
                /* No memory for a line: pieces are better than nothing. */
                emit(output, data, size, true);
                return 1;
        }
        for (; (newline = memchr(data, '\n', (size_t)(end - data))); data = newline + 1) {
                events += gather(output, data, (size_t)(newline - data)) + 1;
                emit_line(output, false);
        }
        events += gather(output, data, (size_t)(end - data));
        if (output->length == 0)
                free(TAKE_PTR(output->line));
        return events;
}

static uint64_t consume(struct output *output, const char *data, size_t size)
{
        if (output->sink->fd < 0)
                return size + split(output, data, size) * OUTPUT_LINE_COST;
        write_file(output->sink, data, size);
        return size;
}

static void flush(struct output *output)
{
        if (output->length > 0)
                emit_line(output, false);
        free(TAKE_PTR(output->line));
}

/* One read. What it cost; 0 when there is nothing now, or nothing ever again. */
static uint64_t read_some(struct output *output, bool *ret_ended)
{
        char data[CHUNK];
        ssize_t n;
        uint64_t cost;

        do
                n = read(output->fd, data, output->sink->fd < 0 ? LOG_CHUNK : CHUNK);
        while (n < 0 && errno == EINTR);
        if (n <= 0) {
                *ret_ended = n == 0 || errno != EAGAIN;
                return 0;
        }
        cost = consume(output, data, (size_t)n);
        output->debt += cost;
        return cost;
}

/* Pays with what the application has left this second. True when nothing is owed any more. */
static bool pay(struct output *output, uint64_t now)
{
        struct budget *budget = output->sink->budget;

        while (output->debt > 0) {
                uint32_t part = budget->capacity / 4 + 1;

                if (part > output->debt)
                        part = (uint32_t)output->debt;
                if (!budget_spend(budget, part, now))
                        return false;
                output->debt -= part;
        }
        return true;
}

/* Reads what is there, for `allowance` at most, and nothing for whoever is over its rate already. What is left
 * stays in the pipe. */
static void drain(struct output *output, uint64_t *allowance)
{
        bool ended = false;
        uint64_t cost = 1;

        while (output->fd >= 0 && !ended && cost > 0 && *allowance > 0 && pay(output, now_us())) {
                cost = read_some(output, &ended);
                *allowance -= cost < *allowance ? cost : *allowance;
        }
}

static int on_pause(sd_event_source *source, uint64_t usec, void *context)
{
        struct output *output = context;

        (void)source, (void)usec;
        output->pause = sd_event_source_unref(output->pause);
        if (output->held)
                return 0;
        return sd_event_source_set_enabled(output->readable, SD_EVENT_ON);
}

/* What was left in the pipe is no edge: it is looked at again in the next turn. */
static int once_more(struct output *output)
{
        return sd_event_source_set_io_events(output->readable, READABLE);
}

/* Leaves the pipe unread until there is something to pay with: the writer waits meanwhile. */
static int pause_reading(struct output *output, uint64_t now)
{
        struct output_sink *sink = output->sink;
        sd_event *event = sd_event_source_get_event(output->readable);
        uint32_t part = sink->budget->capacity / 4 + 1;
        uint64_t wait;
        int r;

        if (part > output->debt)
                part = (uint32_t)output->debt;
        wait = budget_wait(sink->budget, part, now);
        r = sd_event_add_time_relative(event, &output->pause, CLOCK_MONOTONIC, wait, ACCURACY,
                                       on_pause, output);
        /* Without a timer the pipe stays on, and we come here again until there is enough. */
        if (r < 0)
                return once_more(output);
        if (is_due(&sink->throttled_us, now))
                log_event(sink->log, LOG_WARNING, "output-throttled", sink->application,
                          LOG_TEXT_FIELD("stream", sink->stream),
                          LOG_NUMBER("bytes_per_second", sink->budget->per_second));
        return sd_event_source_set_enabled(output->readable, SD_EVENT_OFF);
}

static int on_readable(sd_event_source *source, int fd, uint32_t revents, void *context)
{
        struct output *output = context;
        uint64_t spent = 0, cost = 1, now = now_us();
        bool ended = false;

        (void)source, (void)fd, (void)revents;
        while (spent < TURN && cost > 0) {
                if (!pay(output, now))
                        return pause_reading(output, now);
                cost = read_some(output, &ended);
                spent += cost;
        }
        if (ended) {
                flush(output);
                output->readable = sd_event_source_unref(output->readable);
                fd_close(TAKE_FD(output->fd));
                return 0;
        }
        return cost > 0 ? once_more(output) : 0;
}

int output_create(sd_event *event, struct output_sink *sink, struct output **ret_output,
                  int *ret_writer, struct error *error)
{
        cleanup_free struct output *output = calloc(1, sizeof(*output));
        cleanup_fd int reader = -1, writer = -1;
        int fds[2], r;

        if (!output)
                return error_set(error, ENOMEM, "a pipe for %s", sink->stream);
        if (pipe2(fds, O_CLOEXEC) < 0) {
                error_set(error, errno, "a pipe for %s", sink->stream);
                return error_remedy(error,
                                    "each process needs two pipes: raise the limit of open files "
                                    "(ulimit -n, LimitNOFILE=), or lower \"processes\"");
        }
        reader = fds[0];
        writer = fds[1];
        /* Ours alone: the two ends of a pipe have open file descriptions of their own, and the writer
         * expects to wait. */
        r = fd_nonblock(reader, true);
        if (r == 0)
                r = sd_event_add_io(event, &output->readable, reader, READABLE, on_readable,
                                    output);
        if (r < 0)
                return error_set(error, -r, "watching a pipe for %s", sink->stream);
        sd_event_source_set_description(output->readable, "output");
        output->sink = sink;
        output->fd = TAKE_FD(reader);
        *ret_writer = TAKE_FD(writer);
        *ret_output = TAKE_PTR(output);
        return 0;
}

static void resign(struct output *output)
{
        uint64_t allowance = TURN;

        if (output->pid)
                drain(output, &allowance);
        flush(output);
        output->pid = 0;
        output->isolated_pid = 0;
}

void output_assign(struct output *output, pid_t pid, uint32_t isolated_pid)
{
        resign(output);
        output->pid = pid;
        output->isolated_pid = isolated_pid;
        output->held = false;
        if (output->readable && !output->pause)
                sd_event_source_set_enabled(output->readable, SD_EVENT_ON);
}

void output_hold(struct output *output)
{
        resign(output);
        output->held = true;
        if (output->readable)
                sd_event_source_set_enabled(output->readable, SD_EVENT_OFF);
}

struct output *output_destroy(struct output *output, uint64_t *allowance)
{
        struct output_sink *sink;
        int left = 0;

        if (!output)
                return NULL;
        sink = output->sink;
        drain(output, allowance);
        flush(output);
        /* A new incarnation does not begin with a clean slate, nor does what was not read go unsaid. */
        budget_charge(sink->budget, output->debt, now_us());
        if (output->fd >= 0 && ioctl(output->fd, FIONREAD, &left) == 0 && left > 0)
                output_sink_lost(sink, (uint64_t)left);
        sd_event_source_unref(output->readable);
        sd_event_source_unref(output->pause);
        fd_close(output->fd);
        free(output);
        return NULL;
}
