/* How workers of one application pass connections to each other.
 *
 * A connection stays with the worker that accepted it, until its next request arrives while that worker is busy and
 * another is not, or has fewer of them. Then it is sent away, descriptor and all, over a socket that all of them can receive from: one
 * queue, from which whoever is idle first takes the next. So it never comes to wait for one certain worker again.
 *
 * Who is idle they say in a page of memory, a line for each slot. All of it is advice: a line that lies, because its
 * worker was killed or is hostile, makes a connection wait in the queue, or stay where it is; never more. It is
 * read as numbers and bounded. Nor is what is received believed: it must be a connected stream socket.
 *
 * Only idle connections travel, of whose next request nothing has been read. There are never more of them under
 * way than workers are idle, since descriptors in flight are counted, for all processes of a user together; but for
 * those of a worker that ends, which go into the queue as far as the kernel takes them.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "clade/module.h"

/* In memory that all workers of the application write. Each has a line of the cache to itself. */
struct share_slot {
        _Atomic uint32_t idle;        /* loops that wait for events */
        _Atomic uint32_t alive;       /* it takes connections from the queue */
        _Atomic uint32_t loops;       /* that it has */
        _Atomic uint32_t connections; /* of all of them */
        char spare[48];
};

/* Made in the prototype, then the worker's copy. */
struct share {
        struct share_slot *slots; /* NULL: nothing is shared */
        uint32_t slot_count;
        uint32_t own;
        int send, receive; /* two ends of the queue */
};

/* In the prototype: makes the memory and the queue, and puts that into application->kept. 0 or a negative errno. */
int share_setup(struct clade_application *application, struct share *ret_share);

/* There, too: nobody will need it. */
void share_forget(struct clade_application *application, struct share *share);

/* In the worker. */
void share_take(struct share *share, const struct clade_worker *worker, unsigned loops);

/* It has one connection more, or less. */
void share_gained(struct share *share);
void share_lost(struct share *share);

/* What every loop would have, if all had as many, rounded up. UINT32_MAX: nothing is shared. */
uint32_t share_fair(const struct share *share);

/* A loop begins or ends to wait. */
void share_idle(struct share *share);
void share_busy(struct share *share);

/* From now on this worker takes nothing from the queue. */
void share_leave(struct share *share);

/* How many connections could go to loops that are idle now. */
unsigned share_room(const struct share *share);

/* Whether there is another worker, or will be one soon, that takes from the queue. */
bool share_has_others(const struct share *share);

/* Puts a connection into the queue; the descriptor stays the caller's. 0 or a negative errno: it did not go. */
int share_send(const struct share *share, int fd, size_t listener);

/* Takes one. The descriptor, or -EAGAIN when there is none, or another negative errno: something that is no connection of
 * ours, and has been closed. */
int share_receive(const struct share *share, size_t listener_count, size_t *ret_listener);
