/* The smaller parts: timers, lines of the access log, what workers share. */
#include <criterion/criterion.h>

#include <errno.h>
#include <netinet/in.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/own.h"
#include "modules/http/log.h"
#include "modules/http/share.h"
#include "modules/http/timers.h"

Test(timers, in_order)
{
        struct timer a = {0}, b = {0}, c = {0};
        struct timers timers = {0};

        timers_init(&timers);
        timers.duration[TIMER_IDLE] = 100;
        timers.duration[TIMER_SEND] = 10;
        cr_assert_eq(timers_wait(&timers), -1);
        timers.now = 1000;
        timers_arm(&timers, &a, TIMER_IDLE);
        timers.now = 1050;
        timers_arm(&timers, &b, TIMER_IDLE);
        timers_arm(&timers, &c, TIMER_SEND);
        cr_assert_geq(timers_wait(&timers), 10);
        cr_assert_null(timers_expired(&timers));
        timers.now = 1060;
        cr_assert_eq(timers_expired(&timers), &c);
        timers_arm(&timers, &a, TIMER_IDLE);
        cr_assert_eq(timers_oldest(&timers, TIMER_IDLE), &b);
        timers.now = 1150;
        cr_assert_eq(timers_expired(&timers), &b);
        cr_assert_null(timers_expired(&timers));
        timers_disarm(&timers, &a);
        timers_disarm(&timers, &a);
        cr_assert_eq(timers_wait(&timers), -1);
}

Test(log, nothing_of_a_client_is_believed)
{
        static const struct log_entry entry = {
                .remote = "192.0.2.1",
                .method = "GET",
                .target = "/\"\\",
                .host = "h",
                .user_agent = "\n\x1b[2J\xc3\xa4",
                .minor_version = 1,
                .status = 200,
                .bytes = 5,
                .duration = 1234567,
        };
        const struct timespec time = {.tv_sec = 784111777, .tv_nsec = 42000};
        char line[2048], small[32];

        log_format_line(LOG_COMMON, &entry, &time, line, sizeof(line));
        cr_assert_str_eq(line, "192.0.2.1 - - [06/Nov/1994:08:49:37 +0000] "
                               "\"GET /\\\"\\\\ HTTP/1.1\" 200 5");
        log_format_line(LOG_JSON, &entry, &time, line, sizeof(line));
        cr_assert_str_eq(line,
                         "{\"time\": \"1994-11-06T08:49:37.000042Z\", \"remote\": \"192.0.2.1\", "
                         "\"method\": \"GET\", \"target\": \"/\\\"\\\\\", \"version\": "
                         "\"HTTP/1.1\", \"host\": \"h\", "
                         "\"user_agent\": \"\\u000a\\u001b[2J\\u00c3\\u00a4\", \"status\": 200, "
                         "\"bytes\": 5, \"duration_us\": 1234}");
        cr_assert_eq(log_format_line(LOG_COMMON, &entry, &time, small, sizeof(small)),
                     sizeof(small) - 1);
}

/* A prototype and two workers in one process: what counts is the memory and the socket. */
struct two {
        struct clade_application application;
        struct clade_worker worker[2];
        struct share share[2];
        struct share prepared;
};

static void two_init(struct two *two)
{
        *two = (struct two){.application = {.slots = 2}};
        cr_assert_eq(share_setup(&two->application, &two->prepared), 0);
        cr_assert_eq(two->application.kept_count, 2);
        for (uint32_t i = 0; i < 2; i++) {
                two->worker[i] = (struct clade_worker){
                        .application = &two->application, .slot = i, .kept = two->application.kept};
                two->share[i] = two->prepared;
                share_take(&two->share[i], &two->worker[i], 1);
        }
}

static void two_finish(struct two *two)
{
        munmap(two->prepared.slots, 2 * sizeof(struct share_slot));
        close(two->application.kept[0]);
        close(two->application.kept[1]);
}

Test(share, a_connection_travels)
{
        struct two two;
        size_t listener = 99;
        int ends[2], got;

        two_init(&two);
        cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
        cr_assert_eq(share_receive(&two.share[1], 4, &listener), -EAGAIN);
        cr_assert_eq(share_room(&two.share[0]), 0);
        share_idle(&two.share[1]);
        cr_assert_eq(share_room(&two.share[0]), 1);
        cr_assert_eq(share_send(&two.share[0], ends[0], 3), 0);
        /* One is under way: there is nobody idle for a second. */
        cr_assert_eq(share_room(&two.share[0]), 0);
        close(ends[0]);
        got = share_receive(&two.share[1], 4, &listener);
        cr_assert_geq(got, 0);
        cr_assert_eq(listener, 3);
        cr_assert_eq(share_room(&two.share[0]), 1);
        cr_assert_eq(send(got, "x", 1, 0), 1);
        cr_assert_eq(recv(ends[1], &(char){0}, 1, 0), 1);
        close(got);
        close(ends[1]);

        cr_assert(share_has_others(&two.share[0]));
        share_leave(&two.share[1]);
        cr_assert_not(share_has_others(&two.share[0]));
        cr_assert_eq(share_room(&two.share[0]), 0);
        two_finish(&two);
}

Test(share, what_is_no_connection_is_closed)
{
        int listening = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), plain[2];
        struct two two;
        size_t listener;

        two_init(&two);
        cr_assert_eq(listen(listening, 1), 0);
        cr_assert_eq(pipe(plain), 0);
        cr_assert_eq(share_send(&two.share[0], plain[0], 0), 0);
        cr_assert_eq(share_send(&two.share[0], listening, 0), 0);
        cr_assert_eq(share_send(&two.share[0], two.application.kept[0], 0), 0);
        cr_assert_eq(share_send(&two.share[0], plain[0], 4), 0);
        cr_assert_eq(send(two.application.kept[0], "none", 4, 0), 4);
        cr_assert_eq(send(two.application.kept[0], "a longer one", 12, 0), 12);
        for (int i = 0; i < 6; i++)
                cr_assert_eq(share_receive(&two.share[1], 4, &listener), -EPROTO, "%d", i);
        cr_assert_eq(share_receive(&two.share[1], 4, &listener), -EAGAIN);
        close(plain[0]);
        /* Nobody has kept it: the reading end of the pipe is gone. */
        cr_assert_eq(fd_nonblock(plain[1], true), 0);
        cr_assert_eq(signal(SIGPIPE, SIG_IGN) == SIG_ERR, 0);
        cr_assert_eq(write(plain[1], "x", 1), -1);
        cr_assert_eq(errno, EPIPE);
        close(plain[1]);
        close(listening);
        two_finish(&two);
}

/* Whatever stands in the memory, it is only numbers. */
Test(share, hostile_memory)
{
        struct two two;

        two_init(&two);
        memset(two.prepared.slots, 0xff, 2 * sizeof(struct share_slot));
        cr_assert_eq(share_room(&two.share[0]), 0);
        cr_assert(share_has_others(&two.share[0]));
        two.prepared.slots[1].idle = 1000;
        cr_assert_leq(share_room(&two.share[0]), 1024);
        two_finish(&two);
}
