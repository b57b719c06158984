/* Deadlines of connections. All of one kind take equally long, so each kind is a list in order: arming one is putting it
 * at the end, and only the first of each list is ever looked at. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

enum timer_kind {
        TIMER_HEADER, /* for the whole head, or for its first byte on a new connection */
        TIMER_BODY,   /* for the next byte of a body */
        TIMER_IDLE,   /* between two requests */
        TIMER_SEND,   /* for the client to take some more of an answer */
        TIMER_LINGER, /* for the client to see that we are done */
        TIMER_KINDS,
};

struct timer {
        TAILQ_ENTRY(timer) in_kind; /* timers.lists[kind] */
        uint64_t deadline;          /* ms; 0: it is not armed */
        enum timer_kind kind;
};

TAILQ_HEAD(timer_list, timer);

struct timers {
        struct timer_list lists[TIMER_KINDS];
        uint32_t duration[TIMER_KINDS]; /* ms */
        uint64_t now;                   /* ms, of the last look at the clock */
};

void timers_init(struct timers *timers);
void timers_look(struct timers *timers); /* at the clock */

/* From now on; whatever it was armed for before is forgotten. */
void timers_arm(struct timers *timers, struct timer *timer, enum timer_kind kind);
void timers_disarm(struct timers *timers, struct timer *timer);

/* ms until the first deadline, rounded up; -1: there is none. */
int timers_wait(const struct timers *timers);

/* One whose deadline has passed, disarmed; NULL: none. */
struct timer *timers_expired(struct timers *timers);

/* The one of that kind that was armed first; NULL: none. */
struct timer *timers_oldest(const struct timers *timers, enum timer_kind kind);
