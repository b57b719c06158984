#include "runtime/worker/scoreboard.h"

#include <errno.h>
#include <pthread.h>
#include <sys/eventfd.h>
#include <sys/mman.h>

#include "base/own.h"
#include "runtime/protocol/scoreboard.h"

/* So many requests at once are watched for how long they take. More than that a worker of threads does not have,
 * and one of coroutines has them watched again as soon as some are done. */
#define TICKETS_MAX 4096

static struct {
        struct scoreboard_slot *slot; /* shared with the supervisor, which writes `watched` */
        int kick;                     /* -1: nobody needs to be told any more */
        pthread_mutex_t lock;         /* of what follows, and of `active` and `oldest` */
        uint64_t tickets[TICKETS_MAX];
        size_t ticket_count;
} own = {.kick = -1, .lock = PTHREAD_MUTEX_INITIALIZER};

int scoreboard_take(int memfd, int kick, uint32_t slot, uint64_t serial, uint32_t capacity,
                    struct error *error)
{
        void *page = mmap(NULL, SCOREBOARD_PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, memfd,
                          (off_t)slot * SCOREBOARD_PAGE);

        if (page == MAP_FAILED)
                return error_set(error, errno, "mmap of scoreboard slot %u", slot);
        own.slot = page;
        own.kick = kick;
        *own.slot = (struct scoreboard_slot){
                .serial = serial,
                .state = SCOREBOARD_STARTING,
                .capacity = capacity,
                /* the supervisor's, who has written it before it had us cloned */
                .watched = own.slot->watched,
        };
        return 0;
}

static void kick(void)
{
        if (own.kick >= 0)
                eventfd_write(own.kick, 1);
}

void scoreboard_ready(struct clade_worker *worker)
{
        if (!own.slot || own.slot->state != SCOREBOARD_STARTING)
                return;
        __atomic_store_n(&own.slot->state, SCOREBOARD_READY, __ATOMIC_RELEASE);
        kick();
        /* Who does not count requests has nothing more to say. */
        if (worker->application->capacity == 0)
                fd_close(TAKE_FD(own.kick));
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

        (void)worker;
        pthread_mutex_lock(&own.lock);
        ticket = own.slot->requests + 1;
        __atomic_store_n(&own.slot->requests, ticket, __ATOMIC_RELAXED);
        __atomic_store_n(&own.slot->active, own.slot->active + 1, __ATOMIC_RELAXED);
        if (own.ticket_count < TICKETS_MAX)
                own.tickets[own.ticket_count++] = ticket;
        if (own.ticket_count == 1)
                __atomic_store_n(&own.slot->oldest, own.tickets[0], __ATOMIC_RELAXED);
        pthread_mutex_unlock(&own.lock);
        /* Either we see that it is looking, or it sees what we have just written. */
        __atomic_thread_fence(__ATOMIC_SEQ_CST);
        if (!__atomic_load_n(&own.slot->watched, __ATOMIC_RELAXED))
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
