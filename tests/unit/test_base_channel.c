#include <criterion/criterion.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/channel.h"
#include "base/fd.h"
#include "base/message.h"
#include "base/own.h"

/* Both kinds: [0] is read, [1] is written. */
static void open_kind(int kind, int fds[2])
{
        cr_assert_eq(kind ? channel_packet_pipe(fds) : channel_socket_pair(fds), 0);
}

#define BOTH_KINDS(kind) for (int kind = 0; kind < 2; kind++)

Test(base_channel, packets_stay_apart)
{
        char buffer[MESSAGE_MAX];

        BOTH_KINDS(kind)
        {
                int fds[2];

                open_kind(kind, fds);
                cr_assert_eq(channel_send(fds[1], "abc", 3), 0);
                cr_assert_eq(channel_send(fds[1], "d", 1), 0);
                cr_expect_eq(channel_receive(fds[0], buffer, sizeof(buffer)), 3);
                cr_expect_eq(memcmp(buffer, "abc", 3), 0);
                cr_expect_eq(channel_receive(fds[0], buffer, sizeof(buffer)), 1);
                cr_expect_eq(buffer[0], 'd');
                close(fds[0]);
                close(fds[1]);
        }
}

Test(base_channel, close_on_exec_from_birth)
{
        BOTH_KINDS(kind)
        {
                int fds[2];

                open_kind(kind, fds);
                for (int i = 0; i < 2; i++) {
                        cr_expect_eq(fcntl(fds[i], F_GETFD), FD_CLOEXEC);
                        close(fds[i]);
                }
        }
}

Test(base_channel, the_largest_packet)
{
        static char packet[MESSAGE_MAX + 1], buffer[MESSAGE_MAX];

        BOTH_KINDS(kind)
        {
                int fds[2];

                open_kind(kind, fds);
                memset(packet, 'a' + kind, sizeof(packet));
                cr_expect_eq(channel_send(fds[1], packet, MESSAGE_MAX), 0);
                cr_expect_eq(channel_send(fds[1], packet, MESSAGE_MAX + 1), -EMSGSIZE);
                cr_expect_eq(channel_send(fds[1], packet, 0), -EMSGSIZE,
                             "it would look like the end");
                cr_expect_eq(channel_receive(fds[0], buffer, sizeof(buffer)), MESSAGE_MAX);
                cr_expect_eq(memcmp(buffer, packet, MESSAGE_MAX), 0);
                close(fds[0]);
                close(fds[1]);
        }
}

/* Not cut, not written past the room: refused and gone. */
Test(base_channel, a_packet_that_does_not_fit)
{
        BOTH_KINDS(kind)
        {
                char buffer[4] = "zzzz";
                int fds[2];

                open_kind(kind, fds);
                cr_assert_eq(channel_send(fds[1], "abcd", 4), 0);
                cr_assert_eq(channel_send(fds[1], "e", 1), 0);
                cr_expect_eq(channel_receive(fds[0], buffer, 3), -EMSGSIZE);
                cr_expect_eq(memcmp(buffer, "zzzz", 4), 0);
                cr_expect_eq(channel_receive(fds[0], buffer, 3), 1);
                cr_expect_eq(buffer[0], 'e');
                close(fds[0]);
                close(fds[1]);
        }
}

/* A peer's own packets are not bounded by channel_send. */
Test(base_channel, an_oversized_packet_of_a_socket)
{
        static char packet[3 * MESSAGE_MAX], buffer[2 * MESSAGE_MAX];
        int fds[2];

        cr_assert_eq(channel_socket_pair(fds), 0);
        cr_assert_eq(write(fds[1], packet, sizeof(packet)), (ssize_t)sizeof(packet));
        cr_expect_eq(channel_receive(fds[0], buffer, MESSAGE_MAX), -EMSGSIZE);
}

/* A writer may switch its end to a stream: then one read brings more than a packet can have. */
Test(base_channel, a_pipe_made_a_stream_by_its_writer)
{
        static char packet[MESSAGE_MAX], buffer[MESSAGE_MAX];
        int fds[2];

        cr_assert_eq(channel_packet_pipe(fds), 0);
        cr_assert_eq(fcntl(fds[1], F_SETFL, 0), 0);
        cr_assert_eq(write(fds[1], packet, sizeof(packet)), (ssize_t)sizeof(packet));
        cr_assert_eq(write(fds[1], packet, sizeof(packet)), (ssize_t)sizeof(packet));
        cr_expect_eq(channel_receive(fds[0], buffer, sizeof(buffer)), -EMSGSIZE);
}

Test(base_channel, the_end)
{
        BOTH_KINDS(kind)
        {
                char buffer[8];
                int fds[2];

                open_kind(kind, fds);
                cr_assert_eq(channel_send(fds[1], "x", 1), 0);
                close(fds[1]);
                cr_expect_eq(channel_receive(fds[0], buffer, sizeof(buffer)), 1);
                cr_expect_eq(channel_receive(fds[0], buffer, sizeof(buffer)), 0);
                close(fds[0]);
        }
}

Test(base_channel, nobody_there)
{
        signal(SIGPIPE, SIG_IGN);
        BOTH_KINDS(kind)
        {
                int fds[2];

                open_kind(kind, fds);
                close(fds[0]);
                cr_expect_eq(channel_send(fds[1], "x", 1), -EPIPE);
                close(fds[1]);
        }
}

Test(base_channel, empty_and_full)
{
        BOTH_KINDS(kind)
        {
                char buffer[8];
                int fds[2], r = 0, sent = 0;

                open_kind(kind, fds);
                cr_assert_eq(fd_nonblock(fds[0], true), 0);
                cr_assert_eq(fd_nonblock(fds[1], true), 0);
                cr_expect_eq(channel_receive(fds[0], buffer, sizeof(buffer)), -EAGAIN);
                while (r == 0 && sent < 1000000) {
                        r = channel_send(fds[1], "x", 1);
                        sent += r == 0;
                }
                cr_expect_eq(r, -EAGAIN);
                for (int i = 0; i < sent; i++)
                        cr_assert_eq(channel_receive(fds[0], buffer, sizeof(buffer)), 1);
                cr_expect_eq(channel_receive(fds[0], buffer, sizeof(buffer)), -EAGAIN);
                close(fds[0]);
                close(fds[1]);
        }
}

/* A descriptor sent along is let go of, not taken. */
Test(base_channel, no_descriptor_is_taken)
{
        int fds[2], passed[2];
        union {
                struct cmsghdr header;
                char room[CMSG_SPACE(sizeof(int))];
        } control;
        char byte = 'x';
        struct iovec data = {.iov_base = &byte, .iov_len = 1};
        struct msghdr message = {
                .msg_iov = &data,
                .msg_iovlen = 1,
                .msg_control = &control,
                .msg_controllen = sizeof(control),
        };
        char buffer[8];

        cr_assert_eq(channel_socket_pair(fds), 0);
        cr_assert_eq(pipe2(passed, O_CLOEXEC | O_NONBLOCK), 0);
        memset(&control, 0, sizeof(control));
        control.header.cmsg_level = SOL_SOCKET;
        control.header.cmsg_type = SCM_RIGHTS;
        control.header.cmsg_len = CMSG_LEN(sizeof(int));
        memcpy(CMSG_DATA(&control.header), &passed[1], sizeof(int));
        cr_assert_eq(sendmsg(fds[1], &message, 0), 1);
        close(passed[1]);
        cr_expect_lt(read(passed[0], buffer, 1), 0, "it is on its way: the pipe has a writer");
        cr_expect_eq(channel_receive(fds[0], buffer, sizeof(buffer)), 1);
        cr_expect_eq(read(passed[0], buffer, 1), 0, "the pipe has no writer any more");
}
