/* The prototype: one process per application, pid 1 of its namespace. See main.c for its story. */
#pragma once

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/error.h"
#include "clade/module.h"
#include "isolation/apply.h"
#include "runtime/protocol/launch.h"
#include "runtime/protocol/messages.h"
#include "runtime/worker/worker.h"

/* One worker, from its clone until it has been reaped. Empty: pid is 0. */
struct child {
        pid_t pid;
        uint64_t serial;
        int handshake;        /* reads what the worker says before it hands over; -1: done */
        uint64_t notify_name; /* a part of its path that nobody can guess */
        int notify;           /* the socket behind its NOTIFY_SOCKET; -1: none, or it has spoken */
        bool handing_over;    /* it said that it will exec now */
        bool acknowledged;    /* the supervisor holds it: its pid may be given back */
        bool exit_reported;
};

/* The steps of the start so far. */
struct stopwatch {
        uint64_t last_ns; /* CLOCK_MONOTONIC, when the last one ended */
        uint32_t count;
        struct report_step steps[REPORT_STEPS_MAX];
};

struct prototype {
        char *title; /* argv[0], which workers overwrite with theirs */
        struct launch launch;
        struct codec_memory memory;
        struct isolation isolation;

        const struct clade_module *module;
        struct clade_application application;
        struct clade_failure failure;

        int first_listener;     /* descriptors: the listeners, then two for each slot */
        struct child *children; /* launch.slot_count of them */
        int *listeners;         /* their numbers */
        char worker_title[160]; /* what a worker is called in ps */
        sigset_t changed;       /* signals that a worker has to reset */
        int signals;            /* a signalfd of SIGCHLD */
        bool stopping;
        struct stopwatch stopwatch;
};

/* stopwatch.c: a step ends, and the next one begins. */
void stopwatch_start(struct stopwatch *stopwatch);
void stopwatch_lap(struct stopwatch *stopwatch, unsigned step);

/* module.c: the module is loaded from its descriptor; hooks are called with errors made complete. */
int module_load(struct prototype *prototype, struct error *error);
int module_setup(struct prototype *prototype, struct error *error);
int module_preload(struct prototype *prototype, struct error *error);

/* report.c: what we say to the supervisor. A supervisor that does not listen any more is the end. */
void report_ready(const struct stopwatch *stopwatch);
void report_failed(unsigned step, const struct error *error);
void report_cloned(uint64_t serial, uint32_t slot, pid_t pid);
void report_clone_failed(uint64_t serial, uint32_t slot, int code);
void report_started(pid_t pid);
void report_worker_ready(pid_t pid);
void report_worker_failed(pid_t pid, unsigned step, const struct error *error);
void report_exited(pid_t pid, uint32_t code, uint32_t signal, bool core);

/* children.c: cloning and reaping. */
int children_init(struct prototype *prototype, size_t source_count, struct error *error);
void children_clone(struct prototype *prototype, uint32_t slot, uint64_t serial);
void children_acknowledge(struct prototype *prototype, pid_t pid);
void children_handshake(struct prototype *prototype, struct child *child);
void children_notified(struct child *child);
void children_reap(struct prototype *prototype);
bool children_any(const struct prototype *prototype);

/* notify.c: a datagram socket for one worker's READY=1 (sd_notify(3)). */
int notify_create(struct child *child);
void notify_path(const struct child *child, char *path, size_t size);
/* 1: it said READY=1; 0: something else, or nothing yet. */
int notify_receive(int fd);
void notify_destroy(struct child *child); /* when there is one */

/* serve.c: until told to stop and the last worker is gone. The exit status. */
int prototype_serve(struct prototype *prototype);
