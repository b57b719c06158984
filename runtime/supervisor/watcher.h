/* The watcher: a process that does nothing but end what must not outlive its supervisor.
 *
 * Prototypes ask the kernel to be killed when their parent dies (isolation/steps/tether.c), but that wish
 * belongs to a thread: a tenant who execs from a second one has lost it. So the supervisor has one child
 * that holds a pidfd of everything that has to go and the reading end of a socket whose other end only
 * the supervisor has. When that hangs up, it sends SIGKILL to all of them and exits. It runs no code but
 * this, knows no tenant, and no tenant can reach it.
 */
#pragma once

#include "base/error.h"

struct watcher {
        int socket; /* -1: there is none */
        int pidfd;
};

#define WATCHER_INIT                                                                               \
        {                                                                                          \
                .socket = -1, .pidfd = -1                                                          \
        }

int watcher_start(struct watcher *watcher, struct error *error);

/* Shares a pidfd with the watcher; it forgets the dead by itself. */
int watcher_add(struct watcher *watcher, int pidfd, struct error *error);

/* A cgroup.kill, open for writing: all that is in that control group goes, too. */
int watcher_add_cgroup(struct watcher *watcher, int fd, struct error *error);

/* Ends it, which kills whatever is still alive of what was added. */
void watcher_finish(struct watcher *watcher);
