/* Addresses of sockets, as texts. */
#pragma once

#include <netinet/in.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/un.h>

#define ADDRESS_TEXT 112 /* bytes: the longest path of a unix socket, and a NUL */

union address {
        struct sockaddr any;
        struct sockaddr_in in;
        struct sockaddr_in6 in6;
        struct sockaddr_un un;
};

/* "192.0.2.1", "2001:db8::1"; IPv4 behind IPv6 as IPv4; the path of a unix socket or "@NAME". */
void address_print(const union address *address, socklen_t size, char text[ADDRESS_TEXT],
                   uint16_t *ret_port);
