#include "modules/http/answer.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "base/own.h"
#include "modules/http/head.h"

/* Kept from one answer to the next. */
#define TEXT_KEPT_MAX (128 * 1024)

const char *answer_reason(unsigned status)
{
        static const struct {
                unsigned status;
                const char *reason;
        } reasons[] = {
                {200, "OK"},
                {201, "Created"},
                {202, "Accepted"},
                {203, "Non-Authoritative Information"},
                {204, "No Content"},
                {205, "Reset Content"},
                {206, "Partial Content"},
                {300, "Multiple Choices"},
                {301, "Moved Permanently"},
                {302, "Found"},
                {303, "See Other"},
                {304, "Not Modified"},
                {307, "Temporary Redirect"},
                {308, "Permanent Redirect"},
                {400, "Bad Request"},
                {401, "Unauthorized"},
                {403, "Forbidden"},
                {404, "Not Found"},
                {405, "Method Not Allowed"},
                {406, "Not Acceptable"},
                {408, "Request Timeout"},
                {409, "Conflict"},
                {410, "Gone"},
                {411, "Length Required"},
                {412, "Precondition Failed"},
                {413, "Content Too Large"},
                {414, "URI Too Long"},
                {415, "Unsupported Media Type"},
                {416, "Range Not Satisfiable"},
                {417, "Expectation Failed"},
                {421, "Misdirected Request"},
                {422, "Unprocessable Content"},
                {425, "Too Early"},
                {426, "Upgrade Required"},
                {428, "Precondition Required"},
                {429, "Too Many Requests"},
                {431, "Request Header Fields Too Large"},
                {500, "Internal Server Error"},
                {501, "Not Implemented"},
                {502, "Bad Gateway"},
                {503, "Service Unavailable"},
                {504, "Gateway Timeout"},
                {505, "HTTP Version Not Supported"},
        };

        for (size_t i = 0; i < ARRAY_SIZE(reasons); i++)
                if (reasons[i].status == status)
                        return reasons[i].reason;
        return "";
}

/* --- text that grows ------------------------------------------------------------------------------ */

static int text_add(struct answer_text *text, const void *data, size_t size)
{
        size_t capacity = text->capacity ? text->capacity : 1024;
        char *grown;

        if (text->size + size > text->capacity) {
                while (capacity < text->size + size)
                        capacity *= 2;
                grown = realloc(text->data, capacity);
                if (!grown)
                        return -ENOMEM;
                text->data = grown;
                text->capacity = capacity;
        }
        if (size > 0)
                memcpy(text->data + text->size, data, size);
        text->size += size;
        return 0;
}

static int text_add_string(struct answer_text *text, const char *string)
{
        return text_add(text, string, strlen(string));
}

static void text_clear(struct answer_text *text)
{
        if (text->capacity > TEXT_KEPT_MAX) {
                free(TAKE_PTR(text->data));
                text->capacity = 0;
        }
        text->size = 0;
}

/* --- the object ----------------------------------------------------------------------------------- */

void answer_init(struct answer *answer, struct date *date)
{
        *answer = (struct answer){.file = -1, .date = date};
        pthread_mutex_init(&answer->lock, NULL);
}

void answer_finish(struct answer *answer)
{
        free(TAKE_PTR(answer->head.data));
        free(TAKE_PTR(answer->body.data));
        fd_close(TAKE_FD(answer->file));
        pthread_mutex_destroy(&answer->lock);
}

static void forget(struct answer *answer)
{
        fd_close(TAKE_FD(answer->file));
        text_clear(&answer->head);
        text_clear(&answer->body);
        answer->state = ANSWER_NONE;
        answer->status = 0;
        answer->has_length = false;
        answer->length = answer->written = answer->sent_body = 0;
        answer->file_offset = answer->file_length = 0;
}

void answer_prepare(struct answer *answer, int socket, struct output *output, bool head_only,
                    uint32_t minor_version, bool keep_alive)
{
        forget(answer);
        answer->socket = socket;
        answer->output = output;
        answer->head_only = head_only;
        answer->minor_version = minor_version;
        answer->keep_alive = keep_alive;
        answer->abandoned = false;
}

/* --- the head ------------------------------------------------------------------------------------- */

static int parse_length(const struct clade_field *field, uint64_t *ret_length)
{
        uint64_t length = 0;

        if (field->value_length == 0 || field->value_length > 18)
                return -EINVAL;
        for (size_t i = 0; i < field->value_length; i++) {
                if (field->value[i] < '0' || field->value[i] > '9')
                        return -EINVAL;
                length = length * 10 + (uint64_t)(field->value[i] - '0');
        }
        *ret_length = length;
        return 0;
}

static bool is_ours(const struct clade_field *field)
{
        static const char *const names[] = {"connection", "transfer-encoding", "date",
                                            "keep-alive"};

        for (size_t i = 0; i < ARRAY_SIZE(names); i++)
                if (text_is(field->name, field->name_length, names[i]))
                        return true;
        return false;
}

static int check_field(const struct clade_field *field)
{
        if (field->name_length == 0 || is_ours(field))
                return -EINVAL;
        for (size_t i = 0; i < field->name_length; i++)
                if (!is_token_byte((unsigned char)field->name[i]))
                        return -EINVAL;
        for (size_t i = 0; i < field->value_length; i++)
                if (!is_value_byte((unsigned char)field->value[i]))
                        return -EINVAL;
        return 0;
}

static bool has_no_body(unsigned status)
{
        return status == 204 || status == 304;
}

static int add_field(struct answer *answer, const struct clade_field *field)
{
        int r = check_field(field);

        if (r < 0)
                return r;
        if (text_is(field->name, field->name_length, "content-length")) {
                if (answer->has_length)
                        return -EINVAL;
                r = parse_length(field, &answer->length);
                answer->has_length = r == 0;
                return r;
        }
        r = text_add(&answer->head, field->name, field->name_length);
        if (r == 0)
                r = text_add(&answer->head, ": ", 2);
        if (r == 0)
                r = text_add(&answer->head, field->value, field->value_length);
        return r < 0 ? r : text_add(&answer->head, "\r\n", 2);
}

static int add_status(struct answer *answer, unsigned status, const char *reason)
{
        char line[16];
        int r;

        if (status < 200 || status > 599)
                return -EINVAL;
        if (!reason)
                reason = answer_reason(status);
        for (const char *at = reason; *at; at++)
                if (!is_value_byte((unsigned char)*at))
                        return -EINVAL;
        snprintf(line, sizeof(line), "HTTP/1.1 %u ", status);
        r = text_add_string(&answer->head, line);
        if (r == 0)
                r = text_add_string(&answer->head, reason);
        return r < 0 ? r : text_add(&answer->head, "\r\n", 2);
}

static int respond(struct answer *answer, unsigned status, const char *reason,
                   const struct clade_field *fields, size_t field_count)
{
        int r;

        if (answer->state != ANSWER_NONE)
                return answer->abandoned ? -EPIPE : -EINVAL;
        r = add_status(answer, status, reason);
        for (size_t i = 0; r == 0 && i < field_count; i++)
                r = add_field(answer, &fields[i]);
        if (r < 0) {
                forget(answer);
                return r;
        }
        answer->status = status;
        answer->state = ANSWER_BEGUN;
        return 0;
}

int answer_respond(struct answer *answer, unsigned status, const char *reason,
                   const struct clade_field *fields, size_t field_count)
{
        int r;

        pthread_mutex_lock(&answer->lock);
        r = respond(answer, status, reason, fields, field_count);
        pthread_mutex_unlock(&answer->lock);
        return r;
}

/* What the body's length makes of the head, and the end of that. A HEAD is told what a GET would be as far
 * as it is known. */
static int end_head(struct answer *answer, bool complete)
{
        const struct date *date = date_now(answer->date);
        char line[64];
        int r;

        if (answer->status == 304 || (answer->head_only && answer->written == 0 && complete))
                answer->framing = FRAMING_NONE;
        else if (answer->status == 204)
                answer->framing = FRAMING_NONE, answer->has_length = false;
        else if (answer->has_length || complete)
                answer->framing = FRAMING_LENGTH;
        else if (answer->minor_version == 1)
                answer->framing = FRAMING_CHUNKED;
        else
                answer->framing = FRAMING_CLOSE;
        if (answer->framing == FRAMING_LENGTH && !answer->has_length) {
                answer->has_length = true;
                answer->length = answer->written;
        }
        if (answer->framing == FRAMING_CLOSE && !answer->head_only)
                answer->keep_alive = false;

        r = text_add(&answer->head, date->text, date->length);
        if (r == 0 && answer->has_length) {
                snprintf(line, sizeof(line), "Content-Length: %llu\r\n",
                         (unsigned long long)answer->length);
                r = text_add_string(&answer->head, line);
        }
        if (r == 0 && answer->framing == FRAMING_CHUNKED)
                r = text_add_string(&answer->head, "Transfer-Encoding: chunked\r\n");
        if (r == 0 && !answer->keep_alive)
                r = text_add_string(&answer->head, "Connection: close\r\n");
        else if (r == 0 && answer->minor_version == 0)
                r = text_add_string(&answer->head, "Connection: keep-alive\r\n");
        return r < 0 ? r : text_add(&answer->head, "\r\n", 2);
}

/* --- sending -------------------------------------------------------------------------------------- */

/* Only a stream that is longer than what may wait comes here. */
static int wait_for_client(struct answer *answer)
{
        unsigned queued = output_queued(answer->socket);

        while (output_is_full(answer->output)) {
                struct pollfd socket = {.fd = answer->socket, .events = POLLOUT};
                int n = poll(&socket, 1, (int)answer->send_timeout), r;
                unsigned before = queued;
                bool progress;

                if (n < 0 && errno == EINTR)
                        continue;
                queued = output_queued(answer->socket);
                if (n == 0 && queued < before)
                        continue;
                if (n == 0)
                        return -ETIMEDOUT;
                r = output_send(answer->output, answer->socket, &progress);
                if (r < 0 && r != -EAGAIN)
                        return -EPIPE;
                queued = output_queued(answer->socket);
        }
        return 0;
}

/* All parts, at once if the client takes them, or into the output. */
static int send_parts(struct answer *answer, struct iovec *parts, int count)
{
        struct msghdr message = {.msg_iov = parts, .msg_iovlen = (size_t)count};
        ssize_t n = 0;
        bool progress;
        int r = 0;

        if (!output_is_empty(answer->output))
                r = output_send(answer->output, answer->socket, &progress);
        if (r < 0 && r != -EAGAIN)
                return -EPIPE;
        if (r == 0) {
                do
                        n = sendmsg(answer->socket, &message,
                                    MSG_DONTWAIT | MSG_NOSIGNAL |
                                            (answer->file >= 0 ? MSG_MORE : 0));
                while (n < 0 && errno == EINTR);
                if (n < 0 && errno != EAGAIN)
                        return -EPIPE;
        }
        r = output_add(answer->output, parts, count, n < 0 ? 0 : (size_t)n);
        return r < 0 ? r : wait_for_client(answer);
}

/* The head if it has not gone yet, what was gathered, and `data`. */
static int emit(struct answer *answer, const void *data, size_t size, bool complete)
{
        struct iovec parts[6];
        uint64_t total = answer->body.size + size + (complete ? answer->file_length : 0);
        bool silent = answer->head_only || answer->framing == FRAMING_NONE;
        char line[32];
        int count = 0, r = 0;

        if (answer->state == ANSWER_BEGUN) {
                r = end_head(answer, complete);
                if (r < 0)
                        return r;
                silent = answer->head_only || answer->framing == FRAMING_NONE;
                parts[count++] = (struct iovec){answer->head.data, answer->head.size};
        }
        if (!silent && answer->framing == FRAMING_CHUNKED && total > 0) {
                int length = snprintf(line, sizeof(line), "%llx\r\n", (unsigned long long)total);

                parts[count++] = (struct iovec){line, (size_t)length};
        }
        if (!silent && answer->body.size > 0)
                parts[count++] = (struct iovec){answer->body.data, answer->body.size};
        if (!silent && size > 0)
                parts[count++] = (struct iovec){(void *)data, size};
        if (!silent && answer->framing == FRAMING_CHUNKED && answer->file < 0) {
                if (total > 0)
                        parts[count++] = (struct iovec){(void *)"\r\n", 2};
                if (complete)
                        parts[count++] = (struct iovec){(void *)"0\r\n\r\n", 5};
        }
        if (count > 0)
                r = send_parts(answer, parts, count);
        answer->state = r < 0 ? ANSWER_FAILED : ANSWER_SENDING;
        if (!silent)
                answer->sent_body += answer->body.size + size;
        answer->body.size = 0;
        answer->head.size = 0;
        return r;
}

static int check_writable(const struct answer *answer, uint64_t size)
{
        if (answer->abandoned || answer->state == ANSWER_FAILED)
                return -EPIPE;
        if (answer->state == ANSWER_NONE || answer->file >= 0)
                return -EINVAL;
        if (answer->has_length && size > answer->length - answer->written)
                return -EMSGSIZE;
        return 0;
}

int answer_write(struct answer *answer, const void *data, size_t size)
{
        int r;

        pthread_mutex_lock(&answer->lock);
        r = check_writable(answer, size);
        if (r == 0 && size > 0) {
                answer->written += size;
                /* A body that nobody gets is only counted. */
                if (answer->head_only || has_no_body(answer->status))
                        r = 0;
                else if (answer->body.size + size <= ANSWER_MEMORY)
                        r = text_add(&answer->body, data, size);
                else
                        r = emit(answer, data, size, false);
        }
        pthread_mutex_unlock(&answer->lock);
        return r;
}

int answer_flush(struct answer *answer)
{
        int r;

        pthread_mutex_lock(&answer->lock);
        r = check_writable(answer, 0);
        if (r == 0 && (answer->state == ANSWER_BEGUN || answer->body.size > 0))
                r = emit(answer, NULL, 0, false);
        pthread_mutex_unlock(&answer->lock);
        return r;
}

int answer_send_file(struct answer *answer, int fd, uint64_t offset, uint64_t length)
{
        cleanup_fd int file = fd;
        struct stat status;
        int r;

        pthread_mutex_lock(&answer->lock);
        r = check_writable(answer, length);
        if (r == 0 && (fstat(file, &status) < 0 || !S_ISREG(status.st_mode) || offset > INT64_MAX ||
                       length > INT64_MAX - offset))
                r = -EINVAL;
        if (r == 0 && length > 0) {
                answer->written += length;
                if (!answer->head_only && !has_no_body(answer->status)) {
                        answer->file = TAKE_FD(file);
                        answer->file_offset = offset;
                        answer->file_length = length;
                }
        }
        pthread_mutex_unlock(&answer->lock);
        return r;
}

/* --- its end -------------------------------------------------------------------------------------- */

/* An answer of our own, in place of one that has not begun to be sent. */
static void replace(struct answer *answer, unsigned status, const char *why)
{
        static const struct clade_field type = {"Content-Type", "text/plain", 12, 10};

        forget(answer);
        if (respond(answer, status, NULL, &type, 1) < 0 ||
            (!answer->head_only &&
             (text_add_string(&answer->body, why) < 0 || text_add(&answer->body, "\n", 1) < 0)))
                answer->state = ANSWER_FAILED;
        answer->written = strlen(why) + 1;
        if (answer->state == ANSWER_BEGUN)
                emit(answer, NULL, 0, true);
}

static bool is_short(const struct answer *answer)
{
        return answer->has_length && answer->written != answer->length && !answer->head_only &&
               !has_no_body(answer->status);
}

void answer_complete(struct answer *answer, bool handler_failed)
{
        pthread_mutex_lock(&answer->lock);
        if (answer->abandoned) {
                answer->state = ANSWER_FAILED;
        } else if (answer->state == ANSWER_NONE ||
                   (answer->state == ANSWER_BEGUN && (handler_failed || is_short(answer)))) {
                replace(answer, 500, "The application failed.");
        } else if (answer->state == ANSWER_SENDING && (handler_failed || is_short(answer))) {
                answer->state = ANSWER_FAILED;
        } else if (answer->state != ANSWER_FAILED) {
                bool chunked_file;

                emit(answer, NULL, 0, true);
                chunked_file = answer->framing == FRAMING_CHUNKED;
                if (answer->state != ANSWER_FAILED && answer->file >= 0)
                        output_file(answer->output, TAKE_FD(answer->file), answer->file_offset,
                                    answer->file_length, chunked_file ? "\r\n0\r\n\r\n" : "",
                                    chunked_file ? 7 : 0);
        }
        fd_close(TAKE_FD(answer->file));
        if (answer->state == ANSWER_FAILED)
                answer->keep_alive = false;
        pthread_mutex_unlock(&answer->lock);
}

void answer_refuse(struct answer *answer, unsigned status, const char *why)
{
        pthread_mutex_lock(&answer->lock);
        answer->keep_alive = false;
        replace(answer, status, why);
        pthread_mutex_unlock(&answer->lock);
}

void answer_abandon(struct answer *answer)
{
        /* Somebody who holds the lock all this time is waiting for the client. */
        if (pthread_mutex_trylock(&answer->lock) == 0) {
                if (answer->state <= ANSWER_BEGUN) {
                        answer->keep_alive = false;
                        replace(answer, 503, "The application took too long.");
                }
                answer->abandoned = true;
                pthread_mutex_unlock(&answer->lock);
        }
        shutdown(answer->socket, SHUT_RDWR);
}
