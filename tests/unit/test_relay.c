/* A real relay between two ends that are both ours. */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/channel.h"
#include "base/own.h"
#include "runtime/paths/paths.h"
#include "runtime/supervisor/image.h"
#include "runtime/supervisor/relay.h"

#define WAIT_MS 5000

/* The tenant's ends and the supervisor's. */
struct ends {
        int orders, reports, out, err;
};

struct fixture {
        sd_event *event;
        struct relay relay;
        struct ends theirs, ours;
        int ended, orderly;
};

static void on_ended(void *context, bool orderly)
{
        struct fixture *fixture = context;

        fixture->ended++;
        fixture->orderly = orderly;
}

static void nonblocking(int fd)
{
        cr_assert_eq(fd_nonblock(fd, true), 0);
}

/* A lane from one end of ours to one of theirs or back; `packets` as channels have them. */
static void lane(struct relay_lanes *lanes, bool packets, int *source, int *target)
{
        int from[2], to[2];

        cr_assert_eq(packets ? channel_packet_pipe(from) : pipe2(from, O_CLOEXEC), 0);
        cr_assert_eq(packets ? channel_packet_pipe(to) : pipe2(to, O_CLOEXEC), 0);
        relay_lanes_add(lanes, from[0], to[1]);
        *source = from[1];
        *target = to[0];
        nonblocking(*source);
        nonblocking(*target);
}

static void fixture_init(struct fixture *fixture)
{
        cleanup(relay_lanes_finish) struct relay_lanes lanes;
        struct error error = ERROR_INIT;
        struct paths paths;
        cleanup_fd int image = -1;

        *fixture = (struct fixture){.relay = RELAY_INIT};
        signal(SIGPIPE, SIG_IGN);
        cr_assert_geq(sd_event_new(&fixture->event), 0);
        cr_assert_eq(relay_lanes_init(&lanes, RELAY_OUTPUTS + 2), 0);
        lane(&lanes, true, &fixture->ours.orders, &fixture->theirs.orders);
        lane(&lanes, true, &fixture->theirs.reports, &fixture->ours.reports);
        lane(&lanes, false, &fixture->theirs.out, &fixture->ours.out);
        lane(&lanes, false, &fixture->theirs.err, &fixture->ours.err);
        cr_assert_eq(paths_find(&paths, &error), 0, "%s", error.text);
        image = image_open(paths.relay, "clade-relay", &error);
        cr_assert_geq(image, 0, "%s", error.text);
        paths_finish(&paths);
        cr_assert_eq(relay_start(&fixture->relay, fixture->event, image, "hello", &lanes, on_ended,
                                 fixture, &error),
                     0, "%s", error.text);
}

static void close_ends(struct ends *ends)
{
        fd_close(TAKE_FD(ends->orders));
        fd_close(TAKE_FD(ends->reports));
        fd_close(TAKE_FD(ends->out));
        fd_close(TAKE_FD(ends->err));
}

static struct relay_account fixture_finish(struct fixture *fixture)
{
        struct relay_account account;

        relay_finish(&fixture->relay, &account);
        close_ends(&fixture->theirs);
        close_ends(&fixture->ours);
        sd_event_unref(fixture->event);
        cr_expect_eq(waitpid(-1, NULL, WNOHANG), -1, "somebody has not been reaped");
        return account;
}

static void run_until_ended(struct fixture *fixture)
{
        for (int i = 0; !fixture->ended && i < WAIT_MS / 10; i++)
                cr_assert_geq(sd_event_run(fixture->event, 10000), 0);
        cr_assert_eq(fixture->ended, 1);
        cr_expect_not(relay_alive(&fixture->relay));
}

static void wait_for(int fd, short events)
{
        struct pollfd look = {.fd = fd, .events = events};

        cr_assert_eq(poll(&look, 1, WAIT_MS), 1);
}

Test(relay, packets_stay_packets_in_both_directions)
{
        struct fixture fixture;
        char packet[64];

        fixture_init(&fixture);
        cr_assert_eq(channel_send(fixture.theirs.reports, "one", 3), 0);
        cr_assert_eq(channel_send(fixture.theirs.reports, "three", 5), 0);
        cr_assert_eq(channel_send(fixture.ours.orders, "four", 4), 0);
        wait_for(fixture.ours.reports, POLLIN);
        cr_expect_eq(channel_receive(fixture.ours.reports, packet, sizeof(packet)), 3);
        wait_for(fixture.ours.reports, POLLIN);
        cr_expect_eq(channel_receive(fixture.ours.reports, packet, sizeof(packet)), 5);
        cr_expect_eq(memcmp(packet, "three", 5), 0);
        wait_for(fixture.theirs.orders, POLLIN);
        cr_expect_eq(channel_receive(fixture.theirs.orders, packet, sizeof(packet)), 4);
        fixture_finish(&fixture);
}

/* Whoever has heard a report finds what was written before it. */
Test(relay, output_is_there_before_the_report_that_follows_it)
{
        static char text[40000], back[sizeof(text) + 1];
        struct fixture fixture;
        char packet[8];

        fixture_init(&fixture);
        for (unsigned turn = 0; turn < 300; turn++) {
                memset(text, 'a' + (int)(turn % 26), sizeof(text));
                cr_assert_eq(write(fixture.theirs.err, text, sizeof(text)), sizeof(text));
                cr_assert_eq(write(fixture.theirs.out, text, 1), 1);
                cr_assert_eq(channel_send(fixture.theirs.reports, "x", 1), 0);
                wait_for(fixture.ours.reports, POLLIN);
                cr_assert_eq(channel_receive(fixture.ours.reports, packet, sizeof(packet)), 1);
                cr_assert_eq(fd_read_full(fixture.ours.err, back, sizeof(text)), sizeof(text));
                cr_assert_eq(memcmp(text, back, sizeof(text)), 0);
                cr_assert_eq(read(fixture.ours.out, back, sizeof(back)), 1);
        }
        fixture_finish(&fixture);
}

static size_t fill(int fd)
{
        static const char data[4096];
        size_t size = 0;
        ssize_t n;

        while ((n = write(fd, data, sizeof(data))) > 0)
                size += (size_t)n;
        cr_assert_eq(errno, EAGAIN);
        return size;
}

static size_t drain(int fd)
{
        char data[4096];
        size_t size = 0;
        ssize_t n;

        while ((n = read(fd, data, sizeof(data))) > 0)
                size += (size_t)n;
        return size;
}

/* Nobody reads: the writer waits. In the end each byte has come through or is accounted for. */
Test(relay, what_cannot_be_delivered_is_counted)
{
        struct relay_account account;
        struct fixture fixture;
        size_t sent = 0, got;

        fixture_init(&fixture);
        /* As much as the two pipes hold. */
        for (int i = 0; sent < 2 * (size_t)fcntl(fixture.theirs.out, F_GETPIPE_SZ) && i < WAIT_MS;
             i++) {
                sent += fill(fixture.theirs.out);
                usleep(1000);
        }
        cr_assert_eq(write(fixture.theirs.err, "last words", 10), 10);
        close_ends(&fixture.theirs);
        run_until_ended(&fixture);
        cr_expect(fixture.orderly);
        got = drain(fixture.ours.out);
        cr_expect_eq(drain(fixture.ours.err), 10);
        account = fixture_finish(&fixture);
        cr_expect_gt(account.lost[0], 0);
        cr_expect_eq(got + account.lost[0], sent);
        cr_expect_eq(account.lost[1], 0);
}

/* A full lane holds up nobody else, and goes on where it stopped. */
Test(relay, one_full_lane_is_one_full_lane)
{
        struct fixture fixture;
        size_t sent, got = 0;
        char packet[8];

        fixture_init(&fixture);
        sent = fill(fixture.theirs.out);
        usleep(50000);
        sent += fill(fixture.theirs.out);
        cr_assert_eq(channel_send(fixture.theirs.reports, "x", 1), 0);
        wait_for(fixture.ours.reports, POLLIN);
        cr_expect_eq(channel_receive(fixture.ours.reports, packet, sizeof(packet)), 1);
        for (int i = 0; got < sent && i < WAIT_MS; i++) {
                got += drain(fixture.ours.out);
                usleep(1000);
        }
        cr_expect_eq(got, sent);
        fixture_finish(&fixture);
}

Test(relay, it_ends_with_its_supervisor)
{
        struct fixture fixture;
        struct pollfd look;

        fixture_init(&fixture);
        close_ends(&fixture.ours);
        run_until_ended(&fixture);
        /* ... and everybody below hears of it. */
        look = (struct pollfd){.fd = fixture.theirs.orders, .events = POLLIN};
        cr_expect_eq(poll(&look, 1, WAIT_MS), 1);
        cr_expect(look.revents & POLLHUP);
        cr_expect_eq(write(fixture.theirs.out, "x", 1), -1);
        cr_expect_eq(errno, EPIPE);
        fixture_finish(&fixture);
}

/* Somebody who keeps a pipe open does not keep the relay: it is given its second, and killed. */
Test(relay, it_is_killed_when_it_does_not_end)
{
        struct fixture fixture;

        fixture_init(&fixture);
        fd_close(TAKE_FD(fixture.theirs.reports));
        relay_expect_end(&fixture.relay);
        run_until_ended(&fixture);
        cr_expect_not(fixture.orderly);
        fixture_finish(&fixture);
}

Test(relay, an_image_that_cannot_run_is_an_end)
{
        struct fixture fixture = {.relay = RELAY_INIT};
        cleanup(relay_lanes_finish) struct relay_lanes lanes;
        struct error error = ERROR_INIT;
        struct relay_account account;

        cr_assert_geq(sd_event_new(&fixture.event), 0);
        cr_assert_eq(relay_lanes_init(&lanes, RELAY_OUTPUTS), 0);
        lane(&lanes, true, &fixture.ours.orders, &fixture.theirs.orders);
        lane(&lanes, true, &fixture.theirs.reports, &fixture.ours.reports);
        cr_assert_eq(relay_start(&fixture.relay, fixture.event, lanes.fds[0], "hello", &lanes,
                                 on_ended, &fixture, &error),
                     0, "%s", error.text);
        run_until_ended(&fixture);
        cr_expect_not(fixture.orderly);
        relay_finish(&fixture.relay, &account);
        sd_event_unref(fixture.event);
}
