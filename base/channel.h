/* Where packets travel. Two kinds, both with packet boundaries kept and both close-on-exec:
 *
 * - a SOCK_SEQPACKET pair, towards processes that run code of ours only (discovery);
 * - a packet pipe (pipe2 with O_DIRECT, pipe(2)), towards processes that may run a tenant's code
 *   (the prototype), one for each direction. A pipe carries no descriptors, so none can be
 *   smuggled: receiving or closing a stranger's socket can block for as long as the stranger likes.
 */
#pragma once

#include <stddef.h>
#include <sys/types.h>

/* The two ends; for a packet pipe [0] reads and [1] writes. 0 or -errno. */
int channel_socket_pair(int ret_fds[2]);
int channel_packet_pipe(int ret_fds[2]);

/* One whole packet. 0; -EAGAIN when a non-blocking channel is full; -EPIPE when nobody reads any
 * more (SIGPIPE must be ignored); another -errno. */
int channel_send(int fd, const void *packet, size_t size);

/* One whole packet into `buffer`. How many bytes it had; 0 at the end of the file; -EAGAIN;
 * -EMSGSIZE when it did not fit, and is gone. Descriptors sent along on a socket are never taken. */
ssize_t channel_receive(int fd, void *buffer, size_t room);
