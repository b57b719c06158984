#include "runtime/config/address.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/un.h>

#include "runtime/config/path.h"

union address {
        struct sockaddr_storage storage;
        struct sockaddr_in in;
        struct sockaddr_in6 in6;
        struct sockaddr_un un;
};

/* What every family makes of the text behind its prefix. */
struct parsed {
        union address address;
        socklen_t length;
};

static int parse_port(const char *text, in_port_t *ret_port, struct error *error)
{
        unsigned port = 0;
        size_t digits = strspn(text, "0123456789");

        if (digits == 0 || text[digits] || digits > 5 || text[0] == '0') {
                error_say(error, EINVAL, "its port is not a number from 1 to 65535");
                return error_remedy(error, "write the port in digits, as in 127.0.0.1:8080");
        }
        for (const char *digit = text; *digit; digit++)
                port = port * 10 + (unsigned)(*digit - '0');
        if (port > 65535)
                return error_say(error, EINVAL, "its port is beyond 65535");
        *ret_port = htons((in_port_t)port);
        return 0;
}

/* sun_path holds 108 bytes. A path keeps a NUL at its end (unix(7) allows without, others trip over
 * it), an abstract name has one at its beginning. */
static int parse_unix(const char *text, struct parsed *parsed, struct error *error)
{
        struct sockaddr_un *un = &parsed->address.un;
        size_t length = strlen(text), limit = sizeof(un->sun_path) - 1;
        const char *fault;

        un->sun_family = AF_UNIX;
        if (text[0] == '@') {
                if (length == 1)
                        return error_say(error, EINVAL, "its abstract name is empty");
                if (length - 1 > limit)
                        return error_say(error, EINVAL,
                                         "its abstract name has %zu bytes, %zu is the limit",
                                         length - 1, limit);
                memcpy(un->sun_path + 1, text + 1, length - 1);
                parsed->length = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length);
                return 0;
        }
        fault = path_fault(text);
        if (fault) {
                error_say(error, EINVAL, "its path %s", fault);
                return error_remedy(error, "write unix:/DIRECTORY/FILE or unix:@NAME");
        }
        if (length > limit) {
                error_say(error, EINVAL, "its path has %zu bytes, %zu is the limit", length, limit);
                return error_remedy(error, "choose a shorter directory");
        }
        memcpy(un->sun_path, text, length);
        parsed->length = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length + 1);
        return 0;
}

static int parse_ipv6(const char *text, struct parsed *parsed, struct error *error)
{
        struct sockaddr_in6 *in6 = &parsed->address.in6;
        const char *end = strchr(text, ']');
        char host[INET6_ADDRSTRLEN];

        if (!end || end[1] != ':') {
                error_say(error, EINVAL, "its bracket is not closed and followed by a port");
                return error_remedy(error, "write [ADDRESS]:PORT, as in [::1]:8080");
        }
        if (memchr(text, '%', (size_t)(end - text)))
                return error_say(error, EINVAL, "it names a zone, which listeners cannot have");
        snprintf(host, sizeof(host), "%.*s", (int)(end - text - 1), text + 1);
        if (end - text - 1 >= INET6_ADDRSTRLEN || inet_pton(AF_INET6, host, &in6->sin6_addr) != 1)
                return error_say(error, EINVAL, "what its brackets hold is no IPv6 address");
        if (IN6_IS_ADDR_V4MAPPED(&in6->sin6_addr))
                return error_say(error, EINVAL,
                                 "it is an IPv4 address in disguise: write it as a.b.c.d:port");
        in6->sin6_family = AF_INET6;
        parsed->length = sizeof(*in6);
        return parse_port(end + 2, &in6->sin6_port, error);
}

static int parse_ipv4(const char *text, struct parsed *parsed, struct error *error)
{
        struct sockaddr_in *in = &parsed->address.in;
        const char *colon = strrchr(text, ':');
        char host[INET_ADDRSTRLEN];

        if (!colon) {
                error_say(error, EINVAL, "it has no port");
                return error_remedy(error, "write ADDRESS:PORT, *:PORT, [V6ADDRESS]:PORT, "
                                           "unix:/PATH or unix:@NAME");
        }
        if (memchr(text, ':', (size_t)(colon - text))) {
                error_say(error, EINVAL, "it has several colons");
                return error_remedy(error, "write IPv6 addresses in brackets, as in [::1]:8080");
        }
        snprintf(host, sizeof(host), "%.*s", (int)(colon - text), text);
        if (strcmp(host, "*") != 0 &&
            (colon - text >= INET_ADDRSTRLEN || inet_pton(AF_INET, host, &in->sin_addr) != 1)) {
                error_say(error, EINVAL, "what stands before its port is no IPv4 address");
                return error_remedy(error, "write the address in numbers, as in 127.0.0.1:8080: "
                                           "names are not looked up");
        }
        in->sin_family = AF_INET;
        parsed->length = sizeof(*in);
        return parse_port(colon + 1, &in->sin_port, error);
}

int address_parse(const char *text, struct sockaddr_storage *ret_address, socklen_t *ret_length,
                  struct error *error)
{
        struct parsed parsed = {.length = 0};
        int r;

        if (strncmp(text, "unix:", 5) == 0)
                r = parse_unix(text + 5, &parsed, error);
        else if (text[0] == '[')
                r = parse_ipv6(text, &parsed, error);
        else
                r = parse_ipv4(text, &parsed, error);
        if (r < 0)
                return r;
        *ret_address = parsed.address.storage;
        *ret_length = parsed.length;
        return 0;
}

bool address_is_any(const struct sockaddr_storage *address)
{
        const union address any = {.storage = *address};

        if (address->ss_family == AF_INET)
                return any.in.sin_addr.s_addr == htonl(INADDR_ANY);
        if (address->ss_family == AF_INET6)
                return IN6_IS_ADDR_UNSPECIFIED(&any.in6.sin6_addr);
        return false;
}

unsigned address_port(const struct sockaddr_storage *address)
{
        const union address any = {.storage = *address};

        if (address->ss_family == AF_INET)
                return ntohs(any.in.sin_port);
        if (address->ss_family == AF_INET6)
                return ntohs(any.in6.sin6_port);
        return 0;
}
