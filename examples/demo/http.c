#include "examples/demo/http.h"

#include <string.h>
#include <strings.h>

struct span {
        const char *data;
        size_t size;
};

size_t http_head_length(const char *data, size_t size)
{
        const char *end = memmem(data, size, "\r\n\r\n", 4);

        return end ? (size_t)(end - data) + 4 : 0;
}

static bool span_is(struct span span, const char *text)
{
        return span.size == strlen(text) && memcmp(span.data, text, span.size) == 0;
}

static bool field_is(struct span name, const char *text)
{
        return name.size == strlen(text) && strncasecmp(name.data, text, name.size) == 0;
}

/* What is before `separator`, which is dropped with it from *rest. */
static bool cut(struct span *rest, const char *separator, struct span *ret_before)
{
        const char *at = memmem(rest->data, rest->size, separator, strlen(separator));

        if (!at)
                return false;
        *ret_before = (struct span){rest->data, (size_t)(at - rest->data)};
        rest->size -= ret_before->size + strlen(separator);
        rest->data = at + strlen(separator);
        return true;
}

static bool token(struct span span)
{
        static const char allowed[] = "!#$%&'*+-.^_`|~0123456789"
                                      "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";

        for (size_t i = 0; i < span.size; i++)
                if (!span.data[i] || !strchr(allowed, span.data[i]))
                        return false;
        return span.size > 0;
}

bool http_plausible(const char *data, size_t size)
{
        return size == 0 || token((struct span){data, 1});
}

/* Visible characters, spaces and tabs: above all no lone CR, LF or NUL. */
static bool field_value(struct span span)
{
        for (size_t i = 0; i < span.size; i++) {
                unsigned char c = (unsigned char)span.data[i];

                if ((c < 0x20 && c != '\t') || c == 0x7f)
                        return false;
        }
        return true;
}

static int parse_fields(struct span rest, unsigned *ret_hosts)
{
        struct span line;
        unsigned count = 0;

        while (cut(&rest, "\r\n", &line) && line.size) {
                struct span name, value = line;

                if (++count > HTTP_FIELDS_MAX)
                        return 431;
                if (!cut(&value, ":", &name) || !token(name) || !field_value(value))
                        return 400;
                *ret_hosts += field_is(name, "host");
                /* A body is not expected, and not reading one must not desynchronise anybody. */
                if (field_is(name, "transfer-encoding"))
                        return 400;
                while (value.size && (*value.data == ' ' || *value.data == '\t'))
                        value.data++, value.size--;
                if (field_is(name, "content-length") && !span_is(value, "0"))
                        return 400;
        }
        return 200;
}

int http_parse(const char *head, size_t size, struct http_request *ret_request)
{
        struct span rest = {head, size}, line, method, target;
        unsigned hosts = 0;
        int status;

        if (!cut(&rest, "\r\n", &line) || !cut(&line, " ", &method) || !cut(&line, " ", &target) ||
            !token(method) || !field_value(target))
                return 400;
        ret_request->head = span_is(method, "HEAD");
        if (!span_is(line, "HTTP/1.1") && !span_is(line, "HTTP/1.0"))
                return line.size > 5 && memcmp(line.data, "HTTP/", 5) == 0 ? 505 : 400;
        status = parse_fields(rest, &hosts);
        if (status != 200)
                return status;
        if (hosts > 1 || (!hosts && span_is(line, "HTTP/1.1")))
                return 400;
        if (!span_is(method, "GET") && !ret_request->head)
                return 405;
        if (target.size == 0 || target.data[0] != '/')
                return 400;
        if (target.size >= sizeof(ret_request->target))
                return 414;
        memcpy(ret_request->target, target.data, target.size);
        ret_request->target[target.size] = '\0';
        return 200;
}

const char *http_reason(int status)
{
        static const struct {
                int status;
                const char *reason;
        } reasons[] = {
                {200, "OK"},
                {400, "Bad Request"},
                {404, "Not Found"},
                {405, "Method Not Allowed"},
                {408, "Request Timeout"},
                {414, "URI Too Long"},
                {431, "Request Header Fields Too Large"},
                {500, "Internal Server Error"},
                {505, "HTTP Version Not Supported"},
        };

        for (size_t i = 0; i < sizeof(reasons) / sizeof(reasons[0]); i++)
                if (reasons[i].status == status)
                        return reasons[i].reason;
        return "Unknown";
}
