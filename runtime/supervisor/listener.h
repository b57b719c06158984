/* Listening sockets: opened by the supervisor, inherited by prototypes and workers, never accepted on here.
 *
 * A worker has the socket itself, so it can shut it down for everybody. The supervisor watches for the
 * hang-up, opens the address anew and tells the application's machine, whose prototype has to be started
 * again with the new socket. A second start finds stale unix sockets and replaces them; one that
 * somebody still listens on is refused.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <systemd/sd-event.h>

#include "base/error.h"
#include "runtime/config/config.h"

struct listener;

/* Called from the event loop, as the last thing that the listener does: a callback may destroy it. */
struct listener_events {
        /* The socket was shut down from below. `error` is NULL and listener_fd a new socket already; or it
         * says why not, listener_fd is -1, and it is tried again each second. */
        void (*lost)(void *context, struct listener *listener, const struct error *error);
        /* One of these tries worked: listener_fd is the new socket. */
        void (*reopened)(void *context, struct listener *listener);
        /* Connections have waited for `seconds` and nobody has taken one; told once until it changes. */
        void (*stalled)(void *context, struct listener *listener, unsigned seconds,
                        unsigned waiting);
        /* ... and it has changed. */
        void (*flowing)(void *context, struct listener *listener);
        /* A connection has come, or was there already. Only while listener_want says so. */
        void (*arrived)(void *context, struct listener *listener);
        void *context;
};

/* How long connections wait before that is worth an event, in seconds. */
#define LISTENER_PATIENCE 5

/* Opens, binds, listens. `config` and `events` (of which each member may be NULL) must outlive the
 * listener. A unix socket's file has mode 0666: the directory decides who may connect. */
int listener_create(sd_event *event, const struct config_listener *config,
                    const struct listener_events *events, struct listener **ret_listener,
                    struct error *error);

/* Closes it, and removes a unix socket's file if it is still ours. Takes NULL. */
struct listener *listener_destroy(struct listener *listener);

/* Asks now whether it still listens, and does as if a hang-up had been heard when it does not. Needed where a
 * tenant may connect(): a listener that has been made into a connection whose buffer is full does not
 * hang up. */
void listener_look(struct listener *listener);

/* Whether each connection that comes shall be told: while nobody else would take notice. */
void listener_want(struct listener *listener, bool wanted);

int listener_fd(const struct listener *listener);
const char *listener_address(const struct listener *listener);
size_t listener_application(const struct listener *listener);

/* Whether it still listens (SO_ACCEPTCONN; not shut down); asked before each start. Opens it anew when it
 * does not; *ret_reopened says so. On failure it is tried again each second, as after `lost`. */
int listener_check(struct listener *listener, bool *ret_reopened, struct error *error);
