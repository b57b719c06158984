#include "modules/http/head.h"

#include <arpa/inet.h>
#include <string.h>

static void refuse(struct refusal *refusal, unsigned status, const char *why)
{
        if (refusal->status == 0)
                *refusal = (struct refusal){status, why};
}

enum {
        TOKEN = 1,  /* tchar */
        VALUE = 2,  /* a field's value: visible, space, tab, bytes above ASCII */
        TARGET = 4, /* visible ASCII, but for "#", which never leaves a client */
};

static const unsigned char classes[256] = {
        ['\t'] = VALUE,
        [' '] = VALUE,
        ['!'] = TOKEN | VALUE | TARGET,
        ['"'] = VALUE | TARGET,
        ['#'] = TOKEN | VALUE,
        ['$' ... '\''] = TOKEN | VALUE | TARGET,
        ['(' ... ')'] = VALUE | TARGET,
        ['*' ... '+'] = TOKEN | VALUE | TARGET,
        [','] = VALUE | TARGET,
        ['-' ... '.'] = TOKEN | VALUE | TARGET,
        ['/'] = VALUE | TARGET,
        ['0' ... '9'] = TOKEN | VALUE | TARGET,
        [':' ... '@'] = VALUE | TARGET,
        ['A' ... 'Z'] = TOKEN | VALUE | TARGET,
        ['[' ... ']'] = VALUE | TARGET,
        ['^' ... 'z'] = TOKEN | VALUE | TARGET,
        ['{'] = VALUE | TARGET,
        ['|'] = TOKEN | VALUE | TARGET,
        ['}'] = VALUE | TARGET,
        ['~'] = TOKEN | VALUE | TARGET,
        [0x80 ... 0xff] = VALUE,
};

bool is_token_byte(unsigned char byte)
{
        return classes[byte] & TOKEN;
}

bool is_value_byte(unsigned char byte)
{
        return classes[byte] & VALUE;
}

static unsigned char lower(unsigned char byte)
{
        return byte >= 'A' && byte <= 'Z' ? byte | 0x20 : byte;
}

static bool is_digit(char byte)
{
        return byte >= '0' && byte <= '9';
}

bool text_is(const char *text, size_t length, const char *lower_case)
{
        for (size_t i = 0; i < length; i++)
                if (lower_case[i] == '\0' ||
                    lower((unsigned char)text[i]) != (unsigned char)lower_case[i])
                        return false;
        return lower_case[length] == '\0';
}

/* --- bytes ---------------------------------------------------------------------------------------- */

/* The next state, or HEAD_START with a refusal. */
static enum head_where step(struct head_scan *scan, unsigned char byte, struct refusal *refusal)
{
        switch (scan->where) {
        case HEAD_START:
                if (byte == '\r' && scan->size == 0)
                        return HEAD_START_LF;
                if (classes[byte] & TOKEN)
                        return HEAD_REQUEST;
                refuse(refusal, 400, "no method where a request begins");
                break;
        case HEAD_START_LF:
                if (byte == '\n')
                        return HEAD_START;
                refuse(refusal, 400, "a CR without its LF");
                break;
        case HEAD_REQUEST:
                if (byte == '\r')
                        return HEAD_REQUEST_LF;
                if (classes[byte] & TARGET || byte == ' ')
                        return HEAD_REQUEST;
                refuse(refusal, 400,
                       byte == '\n' ? "an LF without its CR" : "a byte that no request line has");
                break;
        case HEAD_REQUEST_LF:
        case HEAD_VALUE_LF:
                if (byte == '\n')
                        return HEAD_FIELD;
                refuse(refusal, 400, "a CR without its LF");
                break;
        case HEAD_FIELD:
                if (byte == '\r')
                        return HEAD_END_LF;
                if (classes[byte] & TOKEN)
                        return HEAD_NAME;
                refuse(refusal, 400,
                       byte == ' ' || byte == '\t' ? "a folded field"
                                                   : "a byte that no field's name has");
                break;
        case HEAD_NAME:
                if (byte == ':')
                        return HEAD_VALUE;
                if (classes[byte] & TOKEN)
                        return HEAD_NAME;
                refuse(refusal, 400, "a byte that no field's name has");
                break;
        case HEAD_VALUE:
                if (byte == '\r')
                        return HEAD_VALUE_LF;
                if (classes[byte] & VALUE)
                        return HEAD_VALUE;
                refuse(refusal, 400,
                       byte == '\n' ? "an LF without its CR" : "a byte that no field's value has");
                break;
        case HEAD_END_LF:
                if (byte == '\n')
                        return HEAD_COMPLETE;
                refuse(refusal, 400, "a CR without its LF");
                break;
        case HEAD_COMPLETE:
                break;
        }
        return HEAD_START;
}

/* Most bytes are of targets and values: those are passed over without the table of states. */
static size_t run(const struct head_scan *scan, const char *data, size_t size)
{
        unsigned char wanted = scan->where == HEAD_VALUE     ? VALUE
                               : scan->where == HEAD_REQUEST ? TARGET
                               : scan->where == HEAD_NAME    ? TOKEN
                                                             : 0;
        size_t i = 0;

        while (i < size && classes[(unsigned char)data[i]] & wanted)
                i++;
        return i;
}

/* A request line that is too long is told by its longest part, which is the target. */
static void check_sizes(const struct head_scan *scan, struct refusal *refusal)
{
        if (scan->line > HEAD_METHOD_MAX + HEAD_TARGET_MAX + sizeof(" HTTP/1.1") + 1)
                refuse(refusal, 414, "a target of more than 8192 bytes");
        else if (scan->size > HEAD_SIZE_MAX)
                refuse(refusal, 431, "a head of more than 32768 bytes");
        else if (scan->fields > HEAD_FIELDS_MAX)
                refuse(refusal, 431, "more than 100 fields");
}

size_t head_scan(struct head_scan *scan, const char *data, size_t size, size_t *ret_skip,
                 struct refusal *refusal)
{
        size_t i = 0;

        *ret_skip = 0;
        while (i < size && scan->where != HEAD_COMPLETE && refusal->status == 0) {
                size_t passed = run(scan, data + i, size - i);
                enum head_where before = scan->where;

                if (passed == 0) {
                        scan->where = step(scan, (unsigned char)data[i], refusal);
                        passed = 1;
                }
                if (before <= HEAD_START_LF && scan->where <= HEAD_START_LF)
                        *ret_skip += passed;
                if (before == HEAD_START || before == HEAD_REQUEST)
                        scan->line += passed;
                scan->fields += before == HEAD_FIELD && scan->where == HEAD_NAME;
                scan->size += passed;
                i += passed;
                check_sizes(scan, refusal);
        }
        return i;
}

/* --- the request line ----------------------------------------------------------------------------- */

static bool port_is_valid(const char *port, size_t length)
{
        unsigned number = 0;

        if (length == 0 || length > 5)
                return false;
        for (size_t i = 0; i < length; i++) {
                if (!is_digit(port[i]))
                        return false;
                number = number * 10 + (unsigned)(port[i] - '0');
        }
        return number <= 65535;
}

static bool is_ipv6(const char *text, size_t length)
{
        char copy[INET6_ADDRSTRLEN];
        struct in6_addr address;

        if (length >= sizeof(copy))
                return false;
        memcpy(copy, text, length);
        copy[length] = '\0';
        return inet_pton(AF_INET6, copy, &address) == 1;
}

/* Of a registered name's bytes (RFC 3986) only those that names and addresses are made of: no comma, which
 * joins lists, and no percent sign, which some decode. */
bool head_host_is_valid(const char *host, size_t length)
{
        const char *end = host + length, *at = host;

        if (length > 0 && *host == '[') {
                const char *close = memchr(host, ']', length);

                if (!close || !is_ipv6(host + 1, (size_t)(close - host) - 1))
                        return false;
                at = close + 1;
        } else {
                while (at < end &&
                       (is_digit(*at) ||
                        (lower((unsigned char)*at) >= 'a' && lower((unsigned char)*at) <= 'z') ||
                        *at == '-' || *at == '.' || *at == '_' || *at == '~'))
                        at++;
                if (at == host)
                        return false;
        }
        return at == end || (*at == ':' && port_is_valid(at + 1, (size_t)(end - at) - 1));
}

/* Where in the target the authority of "http://AUTHORITY/path" begins. 0: it is no such target. */
static size_t absolute_form(const struct head *head, size_t *ret_length)
{
        static const char *const schemes[] = {"http://", "https://"};

        for (size_t i = 0; i < sizeof(schemes) / sizeof(*schemes); i++) {
                size_t scheme = strlen(schemes[i]), length = 0;
                const char *authority = head->target + scheme;

                if (head->target_length < scheme || !text_is(head->target, scheme, schemes[i]))
                        continue;
                while (scheme + length < head->target_length && authority[length] != '/' &&
                       authority[length] != '?')
                        length++;
                *ret_length = length;
                return scheme;
        }
        return 0;
}

static bool same_text(const char *a, size_t a_length, const char *b, size_t b_length)
{
        if (a_length != b_length)
                return false;
        for (size_t i = 0; i < a_length; i++)
                if (lower((unsigned char)a[i]) != lower((unsigned char)b[i]))
                        return false;
        return true;
}

/* "/path?query"; the same with a scheme and the authority that Host has; "*" for OPTIONS. */
static void check_target(const struct head *head, const struct clade_field *host,
                         struct refusal *refusal)
{
        size_t length, authority;

        if (text_is(head->method, head->method_length, "connect"))
                return refuse(refusal, 501, "CONNECT: this is no proxy");
        if (*head->target == '/')
                return;
        if (head->target_length == 1 && *head->target == '*') {
                if (head->method_length != 7 || memcmp(head->method, "OPTIONS", 7) != 0)
                        refuse(refusal, 400, "\"*\" is for OPTIONS only");
                return;
        }
        authority = absolute_form(head, &length);
        if (!authority)
                return refuse(refusal, 400, "a target that is neither a path nor an http URI");
        if (!head_host_is_valid(head->target + authority, length))
                return refuse(refusal, 400, "the target names no valid host");
        if (host && !same_text(head->target + authority, length, host->value, host->value_length))
                refuse(refusal, 400, "the target names another host than Host");
}

static char *find(char *data, char *end, char byte)
{
        char *found = memchr(data, byte, (size_t)(end - data));

        return found ? found : end;
}

static void parse_version(struct head *head, const char *text, size_t length,
                          struct refusal *refusal)
{
        if (length != 8 || memcmp(text, "HTTP/", 5) != 0 || !is_digit(text[5]) || text[6] != '.' ||
            !is_digit(text[7]))
                return refuse(refusal, 400, "no HTTP version at the end of the request line");
        if (text[5] != '1' || text[7] > '1')
                return refuse(refusal, 505, "a version other than HTTP/1.0 and 1.1");
        head->minor_version = (uint32_t)(text[7] - '0');
}

static void parse_request_line(char *data, char *end, struct head *head, struct refusal *refusal)
{
        char *method_end = find(data, end, ' ');
        char *target = method_end < end ? method_end + 1 : end;
        char *target_end = find(target, end, ' ');

        head->method = data;
        head->method_length = (size_t)(method_end - data);
        head->target = target;
        head->target_length = (size_t)(target_end - target);
        for (const char *at = data; at < method_end; at++)
                if (!(classes[(unsigned char)*at] & TOKEN))
                        return refuse(refusal, 400, "a method that is no token");
        if (head->target_length == 0 || target_end == end)
                return refuse(refusal, 400, "a request line that is not three words");
        if (head->method_length > HEAD_METHOD_MAX)
                return refuse(refusal, 501, "a method of more than 32 bytes");
        if (head->target_length > HEAD_TARGET_MAX)
                return refuse(refusal, 414, "a target of more than 8192 bytes");
        parse_version(head, target_end + 1, (size_t)(end - target_end) - 1, refusal);
}

/* --- fields --------------------------------------------------------------------------------------- */

static bool is_blank(char byte)
{
        return byte == ' ' || byte == '\t';
}

static struct clade_field split_field(char *line, char *end)
{
        char *colon = find(line, end, ':');
        char *value = colon + 1;

        while (value < end && is_blank(*value))
                value++;
        while (end > value && is_blank(end[-1]))
                end--;
        return (struct clade_field){
                .name = line,
                .value = value,
                .name_length = (size_t)(colon - line),
                .value_length = (size_t)(end - value),
        };
}

/* The fields that decide where a request ends and whom it is for; each may stand there once. */
struct special {
        const struct clade_field *host, *length, *encoding, *expect;
        bool close, keep_alive; /* words of Connection, which may be several */
};

static void check_length(struct head *head, const struct clade_field *field,
                         struct refusal *refusal)
{
        const char *digits = field->value;
        uint64_t length = 0;

        if (field->value_length == 0 || (field->value_length > 1 && digits[0] == '0'))
                return refuse(refusal, 400, "a Content-Length that is no plain number");
        for (size_t i = 0; i < field->value_length; i++) {
                if (!is_digit(digits[i]))
                        return refuse(refusal, 400, "a Content-Length that is no plain number");
                if (i < 18)
                        length = length * 10 + (uint64_t)(digits[i] - '0');
        }
        if (field->value_length > 18)
                return refuse(refusal, 413, "a Content-Length of more than 18 digits");
        head->has_length = true;
        head->length = length;
}

static void check_special(struct head *head, const struct special *special, struct refusal *refusal)
{
        const struct clade_field *host = special->host, *encoding = special->encoding;

        if (!host && head->minor_version == 1)
                return refuse(refusal, 400, "HTTP/1.1 without Host");
        if (host && !head_host_is_valid(host->value, host->value_length))
                return refuse(refusal, 400, "a Host that is no name or address with a port");
        check_target(head, host, refusal);
        if (encoding && special->length)
                return refuse(refusal, 400, "both Content-Length and Transfer-Encoding");
        if (encoding && head->minor_version == 0)
                return refuse(refusal, 400, "Transfer-Encoding in HTTP/1.0");
        if (encoding && !text_is(encoding->value, encoding->value_length, "chunked"))
                return refuse(refusal, 400, "a Transfer-Encoding other than \"chunked\"");
        head->chunked = encoding != NULL;
        if (special->length)
                check_length(head, special->length, refusal);
        if (special->expect && head->minor_version == 1) {
                if (!text_is(special->expect->value, special->expect->value_length, "100-continue"))
                        return refuse(refusal, 417, "an Expect other than \"100-continue\"");
                head->expects = true;
        }
}

/* Whether one of a list's words is that. */
static bool has_word(const struct clade_field *field, const char *word)
{
        const char *at = field->value, *end = at + field->value_length;

        while (at < end) {
                const char *comma = memchr(at, ',', (size_t)(end - at));
                const char *last = comma ? comma : end;

                while (at < last && is_blank(*at))
                        at++;
                while (last > at && is_blank(last[-1]))
                        last--;
                if (text_is(at, (size_t)(last - at), word))
                        return true;
                at = comma ? comma + 1 : end;
        }
        return false;
}

/* "close" wins, wherever it stands. */
static void note_connection(struct special *special, const struct clade_field *field)
{
        if (!text_is(field->name, field->name_length, "connection"))
                return;
        special->close = special->close || has_word(field, "close");
        special->keep_alive = special->keep_alive || has_word(field, "keep-alive");
}

static void note_special(struct special *special, const struct clade_field *field,
                         struct refusal *refusal)
{
        const struct {
                const char *name;
                const struct clade_field **place;
        } names[] = {
                {"host", &special->host},
                {"content-length", &special->length},
                {"transfer-encoding", &special->encoding},
                {"expect", &special->expect},
        };

        for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
                if (!text_is(field->name, field->name_length, names[i].name))
                        continue;
                if (*names[i].place)
                        refuse(refusal, 400, "a field twice that decides what the request is");
                *names[i].place = field;
        }
}

void head_parse(char *data, size_t size, struct head *ret_head, struct refusal *refusal)
{
        char *end = data + size;
        char *line_end = find(data, end, '\r');
        struct special special = {0};

        ret_head->field_count = 0;
        ret_head->chunked = ret_head->has_length = ret_head->expects = false;
        ret_head->length = 0;
        ret_head->minor_version = 0;
        ret_head->host = ret_head->path = ret_head->query = NULL;
        parse_request_line(data, line_end, ret_head, refusal);
        for (char *line = line_end + 2; refusal->status == 0 && line < end && *line != '\r';
             line = line_end + 2) {
                struct clade_field *field = &ret_head->fields[ret_head->field_count++];

                line_end = find(line, end, '\r');
                *field = split_field(line, line_end);
                note_special(&special, field, refusal);
                note_connection(&special, field);
        }
        ret_head->keep_alive =
                !special.close && (ret_head->minor_version == 1 || special.keep_alive);
        if (refusal->status == 0)
                check_special(ret_head, &special, refusal);
        if (special.host)
                ret_head->host = (char *)special.host->value;
}

void head_terminate(struct head *head, char *room)
{
        size_t length = 0, authority = absolute_form(head, &length);
        const char *path = head->target + authority + length;
        size_t path_length = (size_t)(head->target + head->target_length - path), at = 0;
        char *question;

        /* "http://host" and "http://host?query" have no path: it is "/" then. */
        if (path_length == 0 || *path == '?')
                room[at++] = '/';
        while (path_length-- > 0)
                room[at++] = *path++;
        path_length = at;
        room[path_length] = '\0';
        question = memchr(room, '?', path_length);
        head->path = room;
        head->query = question ? question + 1 : room + path_length;
        if (question)
                *question = '\0';
        head->method[head->method_length] = '\0';
        head->target[head->target_length] = '\0';
        for (size_t i = 0; i < head->field_count; i++) {
                char *name = (char *)head->fields[i].name, *value = (char *)head->fields[i].value;

                name[head->fields[i].name_length] = '\0';
                value[head->fields[i].value_length] = '\0';
        }
}
