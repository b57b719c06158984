#include "modules/http/address.h"

#include <arpa/inet.h>
#include <string.h>

void address_print(const union address *address, socklen_t size, char text[ADDRESS_TEXT],
                   uint16_t *ret_port)
{
        memset(text, 0, ADDRESS_TEXT);
        *ret_port = 0;
        if (size < sizeof(address->any.sa_family))
                return;
        if (address->any.sa_family == AF_INET) {
                inet_ntop(AF_INET, &address->in.sin_addr, text, ADDRESS_TEXT);
                *ret_port = ntohs(address->in.sin_port);
        } else if (address->any.sa_family == AF_INET6) {
                struct in6_addr in6 = address->in6.sin6_addr;

                if (IN6_IS_ADDR_V4MAPPED(&in6))
                        inet_ntop(AF_INET, in6.s6_addr + 12, text, ADDRESS_TEXT);
                else
                        inet_ntop(AF_INET6, &in6, text, ADDRESS_TEXT);
                *ret_port = ntohs(address->in6.sin6_port);
        } else if (address->any.sa_family == AF_UNIX &&
                   size > offsetof(struct sockaddr_un, sun_path)) {
                memcpy(text, address->un.sun_path, size - offsetof(struct sockaddr_un, sun_path));
                /* An abstract name begins with a NUL. */
                if (text[0] == '\0')
                        text[0] = '@';
        }
}
