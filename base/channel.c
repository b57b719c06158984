#include "base/channel.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/message.h"

int channel_socket_pair(int ret_fds[2])
{
        return socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ret_fds) < 0 ? -errno : 0;
}

int channel_packet_pipe(int ret_fds[2])
{
        return pipe2(ret_fds, O_CLOEXEC | O_DIRECT) < 0 ? -errno : 0;
}

int channel_send(int fd, const void *packet, size_t size)
{
        ssize_t n;

        if (size == 0 || size > MESSAGE_MAX)
                return -EMSGSIZE;
        do
                n = write(fd, packet, size);
        while (n < 0 && errno == EINTR);
        if (n < 0)
                return -errno;
        return (size_t)n == size ? 0 : -EIO;
}

ssize_t channel_receive(int fd, void *buffer, size_t room)
{
        char probe[MESSAGE_MAX + 1];
        ssize_t n;

        /* read() of a packet drops what does not fit without a word, on pipes and on sockets; so
         * it goes into a buffer that is larger than any packet of a pipe. read() of a socket takes
         * no control data: the kernel lets go of descriptors that came along. */
        do
                n = read(fd, probe, sizeof(probe));
        while (n < 0 && errno == EINTR);
        if (n < 0)
                return -errno;
        if ((size_t)n > room)
                return -EMSGSIZE;
        __builtin_memcpy(buffer, probe, (size_t)n);
        return n;
}
