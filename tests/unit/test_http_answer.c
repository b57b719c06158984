/* Answers, over a socket whose other end is ours. */
#include <criterion/criterion.h>

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/own.h"
#include "modules/http/answer.h"

struct peer {
        struct answer answer;
        struct output output;
        struct output_room room;
        struct date date;
        int ends[2];
};

static void peer_init(struct peer *peer)
{
        *peer = (struct peer){.ends = {-1, -1}};
        cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, peer->ends), 0);
        cr_assert_eq(fd_nonblock(peer->ends[0], true), 0);
        answer_init(&peer->answer, &peer->date);
        peer->answer.send_timeout = 200;
        output_init(&peer->output, &peer->room);
}

static void peer_finish(struct peer *peer)
{
        output_finish(&peer->output);
        cr_assert_eq(peer->room.held, 0);
        answer_finish(&peer->answer);
        fd_close(peer->ends[0]);
        fd_close(peer->ends[1]);
}

static void ask(struct peer *peer, bool head_only, uint32_t minor_version)
{
        answer_prepare(&peer->answer, peer->ends[0], &peer->output, head_only, minor_version, true);
}

static int respond(struct peer *peer, const char *name, const char *value)
{
        struct clade_field field = {name, value, strlen(name), strlen(value)};

        return answer_respond(&peer->answer, 200, NULL, &field, 1);
}

/* All that has come, without the line that is different each second. */
static const char *received(struct peer *peer)
{
        static char text[4096];
        ssize_t n = recv(peer->ends[1], text, sizeof(text) - 1, MSG_DONTWAIT);
        char *date, *end;

        text[n > 0 ? n : 0] = '\0';
        date = strstr(text, "Date: ");
        if (date) {
                end = strstr(date, "\r\n") + 2;
                memmove(date, end, strlen(end) + 1);
        }
        return text;
}

Test(answer, framing)
{
        struct peer peer;

        peer_init(&peer);

        ask(&peer, false, 1);
        cr_assert_eq(respond(&peer, "X", "y"), 0);
        cr_assert_eq(answer_write(&peer.answer, "ab", 2), 0);
        cr_assert_eq(answer_write(&peer.answer, "c", 1), 0);
        cr_assert_str_eq(received(&peer), "");
        answer_complete(&peer.answer, false);
        cr_assert_str_eq(received(&peer),
                         "HTTP/1.1 200 OK\r\nX: y\r\nContent-Length: 3\r\n\r\nabc");
        cr_assert(peer.answer.keep_alive);

        ask(&peer, false, 1);
        cr_assert_eq(respond(&peer, "X", "y"), 0);
        cr_assert_eq(answer_write(&peer.answer, "ab", 2), 0);
        cr_assert_eq(answer_flush(&peer.answer), 0);
        cr_assert_str_eq(received(&peer),
                         "HTTP/1.1 200 OK\r\nX: y\r\nTransfer-Encoding: chunked\r\n"
                         "\r\n2\r\nab\r\n");
        cr_assert_eq(answer_write(&peer.answer, "c", 1), 0);
        answer_complete(&peer.answer, false);
        cr_assert_str_eq(received(&peer), "1\r\nc\r\n0\r\n\r\n");
        cr_assert(peer.answer.keep_alive);

        /* HTTP/1.0 knows no chunks. */
        ask(&peer, false, 0);
        cr_assert_eq(respond(&peer, "X", "y"), 0);
        cr_assert_eq(answer_write(&peer.answer, "ab", 2), 0);
        cr_assert_eq(answer_flush(&peer.answer), 0);
        cr_assert_str_eq(received(&peer), "HTTP/1.1 200 OK\r\nX: y\r\nConnection: close\r\n\r\nab");
        answer_complete(&peer.answer, false);
        cr_assert_not(peer.answer.keep_alive);

        ask(&peer, true, 1);
        cr_assert_eq(respond(&peer, "Content-Length", "7"), 0);
        answer_complete(&peer.answer, false);
        cr_assert_str_eq(received(&peer), "HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\n");
        peer_finish(&peer);
}

Test(answer, a_body_is_what_was_said)
{
        struct peer peer;

        peer_init(&peer);
        ask(&peer, false, 1);
        cr_assert_eq(respond(&peer, "Content-Length", "3"), 0);
        cr_assert_eq(answer_write(&peer.answer, "abcd", 4), -EMSGSIZE);
        cr_assert_eq(answer_write(&peer.answer, "ab", 2), 0);
        answer_complete(&peer.answer, false);
        cr_assert_eq(strncmp(received(&peer), "HTTP/1.1 500 ", 13), 0);

        /* Too late for a 500: what has gone must not look complete. */
        ask(&peer, false, 1);
        cr_assert_eq(respond(&peer, "Content-Length", "3"), 0);
        cr_assert_eq(answer_write(&peer.answer, "ab", 2), 0);
        cr_assert_eq(answer_flush(&peer.answer), 0);
        answer_complete(&peer.answer, false);
        cr_assert_eq(peer.answer.state, ANSWER_FAILED);
        cr_assert_not(peer.answer.keep_alive);
        peer_finish(&peer);
}

Test(answer, files)
{
        int fd = memfd_create("file", MFD_CLOEXEC), pipe_ends[2];
        struct peer peer;
        bool progress;

        cr_assert_eq(write(fd, "0123456789", 10), 10);
        peer_init(&peer);
        ask(&peer, false, 1);
        cr_assert_eq(respond(&peer, "X", "y"), 0);
        cr_assert_eq(answer_write(&peer.answer, "a", 1), 0);
        cr_assert_eq(answer_send_file(&peer.answer, fcntl(fd, F_DUPFD_CLOEXEC, 0), 2, 3), 0);
        cr_assert_eq(answer_write(&peer.answer, "b", 1), -EINVAL);
        answer_complete(&peer.answer, false);
        cr_assert_eq(output_send(&peer.output, peer.ends[0], &progress), 0);
        cr_assert_str_eq(received(&peer),
                         "HTTP/1.1 200 OK\r\nX: y\r\nContent-Length: 4\r\n\r\na234");

        /* One that is shorter than was promised ends the connection. */
        ask(&peer, false, 1);
        cr_assert_eq(respond(&peer, "X", "y"), 0);
        cr_assert_eq(answer_send_file(&peer.answer, fcntl(fd, F_DUPFD_CLOEXEC, 0), 8, 3), 0);
        answer_complete(&peer.answer, false);
        cr_assert_eq(output_send(&peer.output, peer.ends[0], &progress), -EIO);
        output_finish(&peer.output);

        cr_assert_eq(pipe2(pipe_ends, O_CLOEXEC), 0);
        ask(&peer, false, 1);
        cr_assert_eq(respond(&peer, "X", "y"), 0);
        cr_assert_eq(answer_send_file(&peer.answer, pipe_ends[0], 0, 1), -EINVAL);
        cr_assert_eq(fcntl(pipe_ends[0], F_GETFD), -1, "taken in any case");
        close(pipe_ends[1]);
        close(fd);
        peer_finish(&peer);
}

/* Nobody reads: memory, then a spill, and only then the writer waits, as long as it may. */
Test(answer, a_client_that_does_not_read)
{
        static char data[256 * 1024];
        struct peer peer;
        uint64_t total = 0;
        int r = 0;

        peer_init(&peer);
        ask(&peer, false, 1);
        cr_assert_eq(respond(&peer, "X", "y"), 0);
        while (r == 0 && total < 2 * (uint64_t)OUTPUT_SPILL_MAX) {
                r = answer_write(&peer.answer, data, sizeof(data));
                total += sizeof(data);
        }
        cr_assert_eq(r, -ETIMEDOUT);
        cr_assert_geq(total, OUTPUT_SPILL_MAX);
        cr_assert_geq(peer.output.spill, 0);
        cr_assert_eq(answer_write(&peer.answer, data, 1), -EPIPE);
        answer_complete(&peer.answer, false);
        cr_assert_eq(peer.answer.state, ANSWER_FAILED);
        peer_finish(&peer);
}

Test(answer, abandoned)
{
        struct peer peer;

        peer_init(&peer);
        ask(&peer, false, 1);
        cr_assert_eq(respond(&peer, "X", "y"), 0);
        answer_abandon(&peer.answer);
        cr_assert_eq(strncmp(received(&peer), "HTTP/1.1 503 ", 13), 0);
        cr_assert_eq(answer_write(&peer.answer, "a", 1), -EPIPE);
        cr_assert_lt(respond(&peer, "X", "y"), 0);
        answer_complete(&peer.answer, false);
        cr_assert_eq(peer.answer.state, ANSWER_FAILED);
        cr_assert_str_eq(received(&peer), "");
        peer_finish(&peer);
}
