#include "runtime/supervisor/listener.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <time.h>

#include "base/own.h"
#include "runtime/supervisor/backlog.h"
#include "runtime/supervisor/listener_open.h"

/* How a stall is noticed without watching.
 *
 * An idle listener costs nothing: one edge-triggered registration, no timer. The first connection that
 * arrives switches off the arrivals and starts a tick each second, so a busy listener costs one tick
 * per second, however busy. A tick that finds the queue empty ends the ticking.
 *
 * A queue that is never empty may be a queue that nobody takes from, or one behind a worker that is
 * always a little late. Its length alone does not tell: under overload it stays at the maximum. So
 * after a tick the arrivals are switched on again, until one arrives that did not make the queue as much
 * longer as it should have: somebody takes. */

#define SECOND         1000000u /* µs */
#define RETRY_ACCURACY 50000u   /* µs */
/* A listening socket never becomes writable; what it does so for has become something else. */
#define HANGUP         ((uint32_t)EPOLLRDHUP | (uint32_t)EPOLLOUT | (uint32_t)EPOLLET)
#define ARRIVALS       (HANGUP | (uint32_t)EPOLLIN)

struct listener {
        sd_event *event;
        const struct config_listener *config;
        const struct listener_events *events;
        int fd;
        struct listener_file file;
        sd_event_source *source; /* of fd: hang-ups, and arrivals while they matter */
        sd_event_source *tick;   /* while connections wait */
        sd_event_source *retry;  /* while fd is -1 */

        int waiting;    /* at the last tick */
        unsigned edges; /* arrivals seen since then; switching them on shows one that is none */
        bool taken;     /* since the last tick somebody has accepted */
        bool stalled;   /* told so */
        bool wanted;    /* each arrival is told */
        uint64_t since; /* µs: when somebody last accepted, or the first one came */
};

static uint64_t now_of(const struct listener *listener)
{
        uint64_t now = 0;

        sd_event_now(listener->event, CLOCK_MONOTONIC, &now);
        return now;
}

static int on_socket(sd_event_source *source, int fd, uint32_t revents, void *context);

/* Switching arrivals on shows those that wait already. */
static int hear(struct listener *listener, bool arrivals)
{
        return sd_event_source_set_io_events(listener->source,
                                             arrivals || listener->wanted ? ARRIVALS : HANGUP);
}

static int on_retry(sd_event_source *source, uint64_t usec, void *context);

static int open_now(struct listener *listener, struct error *error)
{
        int fd = listener_open(listener->config, &listener->file, error), r;

        if (fd < 0)
                return fd;
        listener->fd = fd;
        r = sd_event_add_io(listener->event, &listener->source, listener->fd, ARRIVALS, on_socket,
                            listener);
        if (r < 0) {
                fd_close(TAKE_FD(listener->fd));
                listener_unlink(listener->config, &listener->file);
                return error_set(error, -r, "watching %s", listener->config->address);
        }
        sd_event_source_set_description(listener->source, "listener");
        listener->retry = sd_event_source_unref(listener->retry);
        return 0;
}

static void close_now(struct listener *listener)
{
        listener->source = sd_event_source_unref(listener->source);
        listener->tick = sd_event_source_unref(listener->tick);
        listener_let_go(TAKE_FD(listener->fd));
        listener_unlink(listener->config, &listener->file);
        listener->stalled = false;
}

/* In a second again. */
static int again(sd_event_source *source, uint64_t now)
{
        int r = sd_event_source_set_time(source, now + SECOND);

        return r < 0 ? r : sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
}

/* Opens it anew, or sees to it that this is tried each second. */
static int reopen(struct listener *listener, struct error *error)
{
        int r, timer;

        close_now(listener);
        r = open_now(listener, error);
        if (r == 0 || listener->retry)
                return r;
        timer = sd_event_add_time_relative(listener->event, &listener->retry, CLOCK_MONOTONIC,
                                           SECOND, RETRY_ACCURACY, on_retry, listener);
        return timer < 0 ? error_set(error, -timer, "a timer for %s", listener->config->address)
                         : r;
}

static int on_retry(sd_event_source *source, uint64_t usec, void *context)
{
        struct listener *listener = context;
        struct error error = ERROR_INIT;

        (void)usec;
        if (open_now(listener, &error) < 0)
                return again(source, now_of(listener));
        if (listener->events->reopened)
                listener->events->reopened(listener->events->context, listener);
        return 0;
}

static void lose(struct listener *listener)
{
        struct error error = ERROR_INIT;
        int r = reopen(listener, &error);

        if (r < 0)
                error_prefix(&error, "%s was shut down from below, and opening it anew failed",
                             listener->config->address);
        if (listener->events->lost)
                listener->events->lost(listener->events->context, listener, r < 0 ? &error : NULL);
}

static void tell_flowing(struct listener *listener)
{
        listener->stalled = false;
        if (listener->events->flowing)
                listener->events->flowing(listener->events->context, listener);
}

/* The queue is empty: back to costing nothing. */
static int calm(struct listener *listener)
{
        int r = hear(listener, true);

        listener->tick = sd_event_source_unref(listener->tick);
        if (listener->stalled)
                tell_flowing(listener);
        return r < 0 ? r : 0;
}

static int on_tick(sd_event_source *source, uint64_t usec, void *context)
{
        struct listener *listener = context;
        int waiting = backlog_length(listener->fd), r;
        uint64_t now = now_of(listener), stuck;
        bool taken = listener->taken || waiting < listener->waiting;

        (void)usec;
        if (waiting < 0 && !listener_alive(listener->fd)) {
                lose(listener);
                return 0;
        }
        if (waiting <= 0)
                return calm(listener);
        listener->waiting = waiting;
        listener->edges = 0;
        listener->taken = false;
        r = hear(listener, true);
        if (r < 0)
                return r;
        r = again(source, now);
        if (r < 0)
                return r;

        if (taken)
                listener->since = now;
        stuck = (now - listener->since) / SECOND;
        if (taken && listener->stalled) {
                tell_flowing(listener);
        } else if (stuck >= LISTENER_PATIENCE && !listener->stalled) {
                listener->stalled = true;
                if (listener->events->stalled)
                        listener->events->stalled(listener->events->context, listener,
                                                  (unsigned)stuck, (unsigned)waiting);
        }
        return 0;
}

/* The first connection after a time of rest. */
static int start_ticking(struct listener *listener)
{
        int r = hear(listener, false);

        if (r < 0)
                return r;
        listener->waiting = 0;
        listener->taken = false;
        listener->since = now_of(listener);
        return sd_event_add_time_relative(listener->event, &listener->tick, CLOCK_MONOTONIC, SECOND,
                                          0, on_tick, listener);
}

/* One more has come. Were nobody taking, the queue would be that much longer. */
static int count_arrival(struct listener *listener)
{
        int waiting;

        listener->edges++;
        if (listener->edges < 2)
                return 0;
        waiting = backlog_length(listener->fd);
        if (waiting < 0 || waiting >= listener->waiting + (int)listener->edges - 1)
                return 0;
        listener->taken = true;
        return hear(listener, false);
}

static int on_socket(sd_event_source *source, int fd, uint32_t revents, void *context)
{
        struct listener *listener = context;
        int r;

        (void)source, (void)fd;
        if ((revents & (EPOLLHUP | EPOLLRDHUP | EPOLLERR | EPOLLOUT)) &&
            !listener_alive(listener->fd)) {
                lose(listener);
                return 0;
        }
        if (!(revents & EPOLLIN))
                return 0;
        r = listener->tick ? count_arrival(listener) : start_ticking(listener);
        if (r >= 0 && listener->wanted && listener->events->arrived)
                listener->events->arrived(listener->events->context, listener);
        return r;
}

void listener_want(struct listener *listener, bool wanted)
{
        bool before = listener->wanted;

        listener->wanted = wanted;
        if (listener->source && wanted && !before)
                sd_event_source_set_io_events(listener->source, ARRIVALS);
}

int listener_create(sd_event *event, const struct config_listener *config,
                    const struct listener_events *events, struct listener **ret_listener,
                    struct error *error)
{
        struct listener *listener = calloc(1, sizeof(*listener));
        int r;

        if (!listener)
                return error_set(error, ENOMEM, "listener %s", config->address);
        listener->event = sd_event_ref(event);
        listener->config = config;
        listener->events = events;
        listener->fd = -1;
        r = open_now(listener, error);
        if (r < 0) {
                listener_destroy(listener);
                return error_prefix(error, "listener %s", config->address);
        }
        *ret_listener = listener;
        return 0;
}

struct listener *listener_destroy(struct listener *listener)
{
        if (!listener)
                return NULL;
        close_now(listener);
        sd_event_source_unref(listener->retry);
        sd_event_unref(listener->event);
        free(listener);
        return NULL;
}

void listener_look(struct listener *listener)
{
        if (listener->fd >= 0 && !listener_alive(listener->fd))
                lose(listener);
}

int listener_fd(const struct listener *listener)
{
        return listener->fd;
}

const char *listener_address(const struct listener *listener)
{
        return listener->config->address;
}

size_t listener_application(const struct listener *listener)
{
        return listener->config->application;
}

int listener_check(struct listener *listener, bool *ret_reopened, struct error *error)
{
        int r = 0;

        *ret_reopened = false;
        if (listener->fd >= 0 && listener_alive(listener->fd))
                return 0;
        r = reopen(listener, error);
        *ret_reopened = r == 0;
        return r;
}
