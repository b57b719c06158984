/* A listener in a loop of its own, on a free address of each kind. */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

#include "runtime/supervisor/listener.h"

enum kind { TCP4, TCP6, FILE_SOCKET, ABSTRACT, KINDS };

struct fixture {
        char directory[64], address[128];
        struct config_listener config;
        struct listener_events events;
        sd_event *event;
        struct listener *listener;
        unsigned turns, lost, failed, reopened, stalled, flowing, waiting;
        struct error error;
};

/* Without the listener; then the listener; or both. fixture_finish finds fault with what is left behind. */
void fixture_prepare(struct fixture *fixture, enum kind kind);
void fixture_create(struct fixture *fixture);
void fixture_init(struct fixture *fixture, enum kind kind);
void fixture_finish(struct fixture *fixture);

/* The configured address, for bind and connect. */
const void *socket_address(const struct fixture *fixture);

/* Runs the loop for that long and counts its turns. */
void fixture_run(struct fixture *fixture, unsigned ms);

/* A connection that may still be on its way, or a negative errno. */
int fixture_client(const struct fixture *fixture);

/* Whether a client gets through to whoever accepts on `fd`. */
bool fixture_serves(const struct fixture *fixture, int fd);

/* Kills a child and waits for it. */
void end_process(pid_t pid);
