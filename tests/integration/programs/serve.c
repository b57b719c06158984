#include "serve.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define REQUEST_MAX   4096
#define LISTENERS_MAX 16

static void answer_reserve(struct answer *answer, size_t more)
{
        size_t room = answer->room ? answer->room : 1024;
        char *text;

        while (room < answer->length + more + 1)
                room *= 2;
        text = realloc(answer->text, room);
        if (!text)
                abort();
        answer->text = text;
        answer->room = room;
}

void answer_bytes(struct answer *answer, const char *bytes, size_t length)
{
        answer_reserve(answer, length);
        memcpy(answer->text + answer->length, bytes, length);
        answer->length += length;
        answer->text[answer->length] = '\0';
}

void answer_print(struct answer *answer, const char *format, ...)
{
        char text[4096];
        va_list args;
        int n;

        va_start(args, format);
        n = vsnprintf(text, sizeof(text), format, args);
        va_end(args);
        if (n > 0)
                answer_bytes(answer, text, (size_t)n < sizeof(text) ? (size_t)n : sizeof(text) - 1);
}

int answer_file(struct answer *answer, const char *path)
{
        int fd = open(path, O_RDONLY | O_CLOEXEC);
        char buffer[4096];
        ssize_t n;

        if (fd < 0)
                return -errno;
        while ((n = read(fd, buffer, sizeof(buffer))) > 0)
                answer_bytes(answer, buffer, (size_t)n);
        n = n < 0 ? -errno : 0;
        close(fd);
        return (int)n;
}

void query(const char *target, const char *name, char *value, size_t room)
{
        const char *at = strchr(target, '?');
        size_t length = strlen(name);

        value[0] = '\0';
        while (at) {
                at++;
                if (strncmp(at, name, length) == 0 && at[length] == '=') {
                        at += length + 1;
                        snprintf(value, room, "%.*s", (int)strcspn(at, "&"), at);
                        return;
                }
                at = strchr(at, '&');
        }
}

long query_number(const char *target, const char *name)
{
        char value[32];

        query(target, name, value, sizeof(value));
        return strtol(value, NULL, 10);
}

static void send_all(int fd, const char *bytes, size_t length)
{
        while (length > 0) {
                ssize_t n = send(fd, bytes, length, MSG_NOSIGNAL);

                if (n <= 0)
                        return;
                bytes += n;
                length -= (size_t)n;
        }
}

static void answer_one(struct request *request, handler *handle)
{
        char head[REQUEST_MAX + 1], line[128], *end;
        struct answer answer = {.text = NULL};
        size_t length = 0;
        int n;

        head[0] = '\0';
        while (!strstr(head, "\r\n\r\n") && length < REQUEST_MAX) {
                ssize_t got = recv(request->connection, head + length, REQUEST_MAX - length, 0);

                if (got <= 0)
                        return;
                length += (size_t)got;
                head[length] = '\0';
        }
        if (strncmp(head, "GET ", 4) != 0)
                return;
        end = strchr(head + 4, ' ');
        if (!end)
                return;
        *end = '\0';
        request->target = head + 4;
        answer_reserve(&answer, 1);
        handle(request, &answer);
        n = snprintf(line, sizeof(line),
                     "HTTP/1.1 200 OK\r\nContent-Length: %zu\r\nConnection: close\r\n\r\n",
                     answer.length);
        send_all(request->connection, line, (size_t)n);
        send_all(request->connection, answer.text, answer.length);
        free(answer.text);
}

int serve(const struct clade_native *native, handler *handle)
{
        struct pollfd polled[LISTENERS_MAX];
        size_t count = native->listener_count;

        if (count > LISTENERS_MAX)
                return 1;
        for (size_t i = 0; i < count; i++) {
                polled[i] = (struct pollfd){.fd = native->listeners[i], .events = POLLIN};
                /* Several workers are woken by one connection, and one of them gets it. */
                fcntl(polled[i].fd, F_SETFL, fcntl(polled[i].fd, F_GETFL) | O_NONBLOCK);
        }
        native->ready(native);
        for (;;) {
                if (poll(polled, count, -1) < 0)
                        continue;
                for (size_t i = 0; i < count; i++) {
                        struct request request = {.native = native, .listener = polled[i].fd};

                        if (!polled[i].revents)
                                continue;
                        request.connection = accept4(polled[i].fd, NULL, NULL, SOCK_CLOEXEC);
                        if (request.connection < 0 && errno == EINVAL)
                                return 3; /* it has been shut down */
                        if (request.connection < 0)
                                continue;
                        answer_one(&request, handle);
                        close(request.connection);
                }
        }
}
