/* A relay's story.
 *
 * Whoever reads a pipe waits for the pipe's lock, and whoever writes to it holds that lock while the kernel
 * copies. A tenant can make this copy as slow as it likes: from memory that faults while another of its
 * threads keeps the address space locked. O_NONBLOCK does not help, as it is about empty and full pipes. So
 * the supervisor never touches a pipe that a tenant has. Between the two stands one relay for each
 * application: it waits where the supervisor must not, and makes nobody wait but its own application.
 *
 *   lanes      pairs of pipes, one end of a tenant's and one of the supervisor's (protocol/relay.h)
 *   confine    it knows no tenant, has no privilege, and may do nothing but the calls of its loop
 *   loop       bytes from one to the other, never more than one chunk in hand; a full pipe stops its lane
 *   account    what was left over when nobody remained who could have written more
 *
 * What was written before something was reported arrives before that report: see carry().
 *
 * It is linked statically and holds a few pages, since there are as many as applications. It has no file to
 * write to and nobody to speak to: its exit status says what went wrong.
 */
#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/fd.h"
#include "runtime/protocol/relay.h"
#include "runtime/relay/confine.h"

/* As much as a pipe takes whole or not at all, and as the largest packet. */
#define CHUNK  PIPE_BUF
/* Chunks of one lane before it is another one's turn: more than a pipe of the usual size holds. */
#define TURN   32
#define EVENTS 64

#define FAILED_START 1
#define FAILED_LOOP  2

struct lane {
        int from, to; /* -1: over */
        bool readable, writable,
                hung; /* as far as we have heard; `hung`: nobody can write any more */
        size_t size;  /* bytes in hand */
        char data[CHUNK];
};

struct relay {
        int epoll;
        struct lane *lanes;
        unsigned count;
};

static void lane_end(struct lane *lane)
{
        if (lane->from < 0)
                return;
        close(lane->from);
        close(lane->to);
        lane->from = lane->to = -1;
}

static void put(struct lane *lane)
{
        ssize_t n = write(lane->to, lane->data, lane->size);

        if (n >= 0)
                lane->size = 0;
        else if (errno == EAGAIN)
                lane->writable = false;
        else if (errno != EINTR)
                lane_end(lane);
}

static void get(struct lane *lane)
{
        ssize_t n = read(lane->from, lane->data, sizeof(lane->data));

        if (n > 0)
                lane->size = (size_t)n;
        else if (n < 0 && errno == EAGAIN)
                lane->readable = false;
        else if (n == 0 || errno != EINTR)
                lane_end(lane);
}

static bool can_get(const struct lane *lane)
{
        return lane->from >= 0 && lane->size == 0 && lane->readable;
}

static bool can_put(const struct lane *lane)
{
        return lane->from >= 0 && lane->size > 0 && lane->writable;
}

/* True when it stopped for the others' sake. */
static bool pump(struct lane *lane)
{
        for (unsigned i = 0; i < TURN; i++) {
                if (can_get(lane))
                        get(lane);
                if (!can_put(lane))
                        return can_get(lane);
                put(lane);
        }
        return true;
}

/* Nobody is left who could write: reports have all been heard, and what does not fit of the output is given
 * up. The supervisor may be slow to read it, and shall not be kept waiting. */
static bool over(const struct relay *relay)
{
        if (relay->lanes[RELAY_REPORTS].from >= 0)
                return false;
        for (unsigned i = RELAY_OUTPUTS; i < relay->count; i++)
                if (relay->lanes[i].from >= 0 && !relay->lanes[i].hung)
                        return false;
        return true;
}

/* An edge for each end: 2 n is lane n's source, 2 n + 1 its target. */
static void hear(struct relay *relay, const struct epoll_event *event)
{
        struct lane *lane = &relay->lanes[event->data.u32 / 2];

        if (lane->from < 0)
                return;
        if (event->data.u32 % 2 == 0) {
                lane->readable = true;
                lane->hung |= (event->events & (EPOLLHUP | EPOLLERR)) != 0;
        } else if (event->events & EPOLLERR) {
                lane_end(lane); /* nobody reads it any more */
        } else {
                lane->writable = true;
        }
}

/* Waits as told, and hears all there is to hear. */
static int listen_to_all(struct relay *relay, int timeout)
{
        struct epoll_event events[EVENTS];
        int n;

        do {
                n = epoll_wait(relay->epoll, events, EVENTS, timeout);
                for (int i = 0; i < n; i++)
                        hear(relay, &events[i]);
                timeout = 0;
        } while (n == EVENTS);
        return n < 0 && errno != EINTR ? -errno : 0;
}

/* One report at a time. With one in hand, all output that was written before it can be heard of, and goes
 * first. */
static int carry(struct relay *relay, bool *ret_more)
{
        struct lane *reports = &relay->lanes[RELAY_REPORTS];
        int r = 0;

        if (can_get(reports)) {
                get(reports);
                r = listen_to_all(relay, 0);
        }
        *ret_more = pump(&relay->lanes[RELAY_ORDERS]);
        for (unsigned i = RELAY_OUTPUTS; i < relay->count; i++)
                *ret_more |= pump(&relay->lanes[i]);
        if (can_put(reports))
                put(reports);
        *ret_more |= can_get(reports) || can_put(reports);
        return r;
}

static int loop(struct relay *relay)
{
        bool more = false;

        while (more || !over(relay))
                if (listen_to_all(relay, more ? 0 : -1) < 0 || carry(relay, &more) < 0)
                        return FAILED_LOOP;
        return 0;
}

static int account(const struct relay *relay)
{
        struct relay_account account = {.lost = {0}};

        for (unsigned i = RELAY_OUTPUTS; i < relay->count; i++) {
                const struct lane *lane = &relay->lanes[i];
                int left = 0;

                if (lane->from >= 0 && ioctl(lane->from, FIONREAD, &left) == 0)
                        account.lost[(i - RELAY_OUTPUTS) % 2] += lane->size + (uint64_t)left;
        }
        return fd_write_full((int)RELAY_ACCOUNT(relay->count), &account, sizeof(account)) < 0
                       ? FAILED_LOOP
                       : 0;
}

static int watch(int epoll, int fd, uint32_t events)
{
        struct epoll_event event = {.events = events | EPOLLET, .data.u32 = (uint32_t)fd};
        int r = fd_nonblock(fd, true);

        return r < 0 ? r : epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event);
}

static int start(struct relay *relay, const char *count)
{
        char *end;
        unsigned long lanes = strtoul(count, &end, 10);

        if (*end || lanes < RELAY_OUTPUTS || lanes > INT_MAX / 4)
                return -EINVAL;
        relay->count = (unsigned)lanes;
        /* Pages come when a lane first carries something. */
        relay->lanes = calloc(lanes, sizeof(*relay->lanes));
        relay->epoll = epoll_create1(EPOLL_CLOEXEC);
        if (!relay->lanes || relay->epoll < 0)
                return -ENOMEM;
        for (unsigned i = 0; i < relay->count; i++) {
                struct lane *lane = &relay->lanes[i];

                lane->from = (int)RELAY_LANE_FROM(i);
                lane->to = (int)RELAY_LANE_TO(i);
                if (watch(relay->epoll, lane->from, EPOLLIN) < 0 ||
                    watch(relay->epoll, lane->to, EPOLLOUT) < 0)
                        return -EBADF;
        }
        return confine();
}

int main(int argc, char **argv)
{
        struct relay relay = {.epoll = -1};
        int status;

        if (argc != 2 || start(&relay, argv[1]) < 0)
                return FAILED_START;
        status = loop(&relay);
        if (status == 0)
                status = account(&relay);
        /* Nothing is left to do, and the filter allows nothing else. */
        _exit(status);
}
