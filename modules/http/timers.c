#include "modules/http/timers.h"

#include <stddef.h>
#include <time.h>

void timers_init(struct timers *timers)
{
        for (int i = 0; i < TIMER_KINDS; i++)
                TAILQ_INIT(&timers->lists[i]);
        timers_look(timers);
}

void timers_look(struct timers *timers)
{
        struct timespec now;

        clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
        timers->now = (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

void timers_disarm(struct timers *timers, struct timer *timer)
{
        if (timer->deadline == 0)
                return;
        TAILQ_REMOVE(&timers->lists[timer->kind], timer, in_kind);
        timer->deadline = 0;
}

void timers_arm(struct timers *timers, struct timer *timer, enum timer_kind kind)
{
        timers_disarm(timers, timer);
        timer->kind = kind;
        timer->deadline = timers->now + timers->duration[kind];
        TAILQ_INSERT_TAIL(&timers->lists[kind], timer, in_kind);
}

int timers_wait(const struct timers *timers)
{
        uint64_t first = UINT64_MAX;

        for (int i = 0; i < TIMER_KINDS; i++) {
                const struct timer *timer = TAILQ_FIRST(&timers->lists[i]);

                if (timer && timer->deadline < first)
                        first = timer->deadline;
        }
        if (first == UINT64_MAX)
                return -1;
        return first > timers->now ? (int)(first - timers->now) + 1 : 0;
}

struct timer *timers_expired(struct timers *timers)
{
        for (int i = 0; i < TIMER_KINDS; i++) {
                struct timer *timer = TAILQ_FIRST(&timers->lists[i]);

                if (timer && timer->deadline <= timers->now) {
                        timers_disarm(timers, timer);
                        return timer;
                }
        }
        return NULL;
}

struct timer *timers_oldest(const struct timers *timers, enum timer_kind kind)
{
        return TAILQ_FIRST(&timers->lists[kind]);
}
