#include "runtime/worker/scoreboard.h"

#include <errno.h>
#include <pthread.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <time.h>

#include "base/own.h"
#include "runtime/protocol/scoreboard.h"

/* So many requests at once are watched for how long they take. More than that a worker of threads does not have,
 * and one of coroutines has them watched again as soon as some are done. */
#define TICKETS_MAX 4096

static struct {
        struct scoreboard_slot *slot; /* shared with the supervisor, which reads it */
        int kick;                     /* -1: nobody needs to be told any more */
        bool tells_load;
        pthread_mutex_t lock; /* of what follows, and of `active` and `oldest` */
        int64_t kicked_ms;    /* when a request last kicked; 0: none has */
        uint64_t tickets[TICKETS_MAX];
        size_t ticket_count;
} own = {.kick = -1, .lock = PTHREAD_MUTEX_INITIALIZER};

int scoreboard_take(int memfd, int kick, const struct scoreboard_owner *owner, struct error *error)
{
        struct scoreboard_slot *slot =
                mmap(NULL, SCOREBOARD_PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, memfd,
                     (off_t)owner->slot * SCOREBOARD_PAGE);

        if (slot == MAP_FAILED)
                return error_set(error, errno, "mmap of scoreboard slot %u", owner->slot);
        own.slot = slot;
        own.kick = kick;
        own.tells_load = owner->tells_load;
        /* What the slot's last worker left is gone before the page says whose it is. */
        slot->active = 0;
        slot->requests = slot->oldest = 0;
        slot->capacity = owner->capacity;
        slot->state = SCOREBOARD_STARTING;
        __atomic_store_n(&slot->serial, owner->serial, __ATOMIC_RELEASE);
        return 0;
}

static void kick(void)
{
        if (own.kick >= 0)
                eventfd_write(own.kick, 1);
}

void scoreboard_ready(struct clade_worker *worker)
{
        (void)worker;
        if (!own.slot || own.slot->state != SCOREBOARD_STARTING)
                return;
        __atomic_store_n(&own.slot->state, SCOREBOARD_READY, __ATOMIC_RELEASE);
        kick();
        if (!own.tells_load)
                fd_close(TAKE_FD(own.kick));
}

/* Whether the supervisor may have stopped looking. */
static bool should_kick(void)
{
        struct timespec now;
        int64_t ms;

        if (own.kick < 0)
                return false;
        clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
        ms = (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
        if (own.kicked_ms && ms - own.kicked_ms < SCOREBOARD_KICK_MS)
                return false;
        own.kicked_ms = ms;
        return true;
}

static void set_oldest(void)
{
        uint64_t oldest = 0;

        for (size_t i = 0; i < own.ticket_count; i++)
                if (!oldest || own.tickets[i] < oldest)
                        oldest = own.tickets[i];
        __atomic_store_n(&own.slot->oldest, oldest, __ATOMIC_RELAXED);
}

uint64_t scoreboard_begin(struct clade_worker *worker)
{
        uint64_t ticket;
        bool tell;

        (void)worker;
        pthread_mutex_lock(&own.lock);
        ticket = own.slot->requests + 1;
        __atomic_store_n(&own.slot->requests, ticket, __ATOMIC_RELAXED);
        __atomic_store_n(&own.slot->active, own.slot->active + 1, __ATOMIC_RELAXED);
        if (own.ticket_count < TICKETS_MAX)
                own.tickets[own.ticket_count++] = ticket;
        if (own.ticket_count == 1)
                __atomic_store_n(&own.slot->oldest, own.tickets[0], __ATOMIC_RELAXED);
        tell = should_kick();
        pthread_mutex_unlock(&own.lock);
        if (tell)
                kick();
        return ticket;
}

static bool forget(uint64_t ticket)
{
        for (size_t i = 0; i < own.ticket_count; i++)
                if (own.tickets[i] == ticket) {
                        own.tickets[i] = own.tickets[--own.ticket_count];
                        return true;
                }
        return false;
}

void scoreboard_end(struct clade_worker *worker, uint64_t ticket)
{
        (void)worker;
        pthread_mutex_lock(&own.lock);
        /* A ticket that is given back twice ends nothing; one that never had a place here does. */
        if (forget(ticket) || own.slot->active > own.ticket_count)
                __atomic_store_n(&own.slot->active, own.slot->active - 1, __ATOMIC_RELAXED);
        if (own.slot->oldest == ticket)
                set_oldest();
        pthread_mutex_unlock(&own.lock);
}

void scoreboard_leave(struct clade_worker *worker)
{
        if (!own.slot || own.slot->state == SCOREBOARD_LEAVING)
                return;
        __atomic_store_n(&own.slot->state, SCOREBOARD_LEAVING, __ATOMIC_RELEASE);
        /* Its only request has told of itself when it began. */
        if (worker->application->limits.requests != 1)
                kick();
}
