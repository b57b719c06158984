#include "modules/http/watch.h"

#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "modules/http/loop.h"
#include "modules/http/server.h"

/* ms: how long a request may wait behind a handler before it goes elsewhere; and where only limits.timeout matters */
#define TICK_SHARED  2
#define TICK_TIMEOUT 100

/* Bytes; a module may write tracebacks on it. */
#define STACK (256 * 1024)

static void futex_wait(_Atomic uint32_t *word, uint32_t value, const struct timespec *timeout)
{
        syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, value, timeout, NULL, 0);
}

static void futex_wake(_Atomic uint32_t *word)
{
        syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, INT_MAX, NULL, NULL, 0);
}

/* The count is written before `asleep` is read, here, and the other way round in the thread: one sees the other. */
void watch_begin(struct watch *watch, struct watched *watched)
{
        atomic_fetch_add(&watched->count, 1);
        if (atomic_load(&watch->asleep) && atomic_exchange(&watch->asleep, 0))
                futex_wake(&watch->asleep);
}

void watch_end(struct watched *watched)
{
        atomic_fetch_add_explicit(&watched->count, 1, memory_order_release);
}

/* A handler that has had a whole tick. */
static void look_after(struct watch *watch, struct loop *loop, uint64_t now)
{
        struct http_server *server = watch->server;
        uint32_t timeout = server->worker->application->limits.timeout;
        struct watched *watched = &loop->watched;

        if (timeout && !watched->hung && now - watched->since >= (uint64_t)timeout * 1000) {
                watched->hung = true;
                if (server->hooks.hung)
                        server->hooks.hung(server->hooks.context);
                loop_abandon(loop, watched->seen);
                http_server_stop(server);
        }
        loop_relieve(loop, watched->seen);
}

/* Whether any handler ran since the last look. */
static bool look(struct watch *watch, uint64_t now)
{
        struct http_server *server = watch->server;
        bool active = false;

        for (unsigned i = 0; i < server->loop_count; i++) {
                struct watched *watched = &server->loops[i].watched;
                uint64_t count = atomic_load(&watched->count);

                if (count != watched->seen) {
                        watched->seen = count;
                        watched->since = now;
                        watched->hung = false;
                        active = true;
                } else if (count & 1) {
                        look_after(watch, &server->loops[i], now);
                        active = true;
                }
        }
        return active;
}

static uint64_t now_ms(void)
{
        struct timespec now;

        clock_gettime(CLOCK_MONOTONIC, &now);
        return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static void sleep_until_needed(struct watch *watch)
{
        atomic_store(&watch->asleep, 1);
        /* One that began meanwhile did not see us asleep. */
        if (look(watch, now_ms()))
                atomic_store(&watch->asleep, 0);
        while (atomic_load(&watch->asleep) && !atomic_load(&watch->over))
                futex_wait(&watch->asleep, 1, NULL);
}

static void *run(void *context)
{
        struct watch *watch = context;
        const struct timespec tick = {
                .tv_sec = watch->tick / 1000,
                .tv_nsec = (long)(watch->tick % 1000) * 1000000,
        };

        while (!atomic_load(&watch->over)) {
                if (!look(watch, now_ms()))
                        sleep_until_needed(watch);
                futex_wait(&watch->asleep, 0, &tick);
        }
        return NULL;
}

int watch_start(struct watch *watch, struct http_server *server)
{
        bool shared =
                server->share.slots && (server->share.slot_count > 1 || server->loop_count > 1);
        pthread_attr_t attributes;
        sigset_t all, before;
        int r;

        if (!shared && !server->worker->application->limits.timeout)
                return 0;
        watch->server = server;
        watch->tick = shared ? TICK_SHARED : TICK_TIMEOUT;
        /* Signals are for the threads that the application knows of. */
        sigfillset(&all);
        pthread_sigmask(SIG_SETMASK, &all, &before);
        pthread_attr_init(&attributes);
        pthread_attr_setstacksize(&attributes, STACK);
        r = pthread_create(&watch->thread, &attributes, run, watch);
        pthread_attr_destroy(&attributes);
        pthread_sigmask(SIG_SETMASK, &before, NULL);
        watch->running = r == 0;
        return -r;
}

void watch_stop(struct watch *watch)
{
        if (!watch->running)
                return;
        atomic_store(&watch->over, true);
        atomic_store(&watch->asleep, 0);
        futex_wake(&watch->asleep);
        pthread_join(watch->thread, NULL);
        watch->running = false;
}
