/* The addresses that listeners have in the configuration. */
#pragma once

#include <stdbool.h>
#include <sys/socket.h>

#include "base/error.h"

/* "127.0.0.1:8080", "[::1]:80", "*:8080" (every IPv4 address of the host), "unix:/run/x.sock",
 * "unix:@name" (abstract: no file; the network namespace's own). No names are looked up. 0; or -EINVAL
 * with what is wrong, to be read behind the address itself, and a remedy. What is not the address's is
 * zero, so that equal addresses have equal bytes. */
int address_parse(const char *text, struct sockaddr_storage *ret_address, socklen_t *ret_length,
                  struct error *error);

/* Whether it is every address of its family, and so takes the port from all others. */
bool address_is_any(const struct sockaddr_storage *address);

/* The port of an internet address; 0 for others. */
unsigned address_port(const struct sockaddr_storage *address);
