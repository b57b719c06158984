#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/channel.h"
#include "runtime/protocol/descriptors.h"
#include "runtime/prototype/prototype.h"

/* The pipe blocks when it is full: the supervisor reads it always. When nobody can read it any more there is
 * nobody to live for. */
static void report(const void *message, size_t size)
{
        if (channel_send(PROTOTYPE_FD_REPORTS, message, size) < 0)
                _exit(EXIT_FAILURE);
}

void report_ready(const struct stopwatch *stopwatch)
{
        struct report_ready message = MESSAGE_INIT(REPORT_READY, message);

        message.step_count = stopwatch->count;
        memcpy(message.steps, stopwatch->steps, sizeof(message.steps));
        report(&message, sizeof(message));
}

void report_failed(unsigned step, const struct error *error)
{
        struct report_failed message = MESSAGE_INIT(REPORT_FAILED, message);

        message.step = step;
        message.error = *error;
        report(&message, sizeof(message));
}

void report_cloned(uint64_t serial, uint32_t slot, pid_t pid)
{
        struct report_cloned message = MESSAGE_INIT(REPORT_CLONED, message);

        message.serial = serial;
        message.slot = slot;
        message.isolated_pid = (uint32_t)pid;
        report(&message, sizeof(message));
}

void report_clone_failed(uint64_t serial, uint32_t slot, int code)
{
        struct report_clone_failed message = MESSAGE_INIT(REPORT_CLONE_FAILED, message);

        message.serial = serial;
        message.slot = slot;
        message.code = (uint32_t)code;
        report(&message, sizeof(message));
}

static void report_worker(enum report_type type, pid_t pid)
{
        struct report_worker message = MESSAGE_INIT(type, message);

        message.isolated_pid = (uint32_t)pid;
        report(&message, sizeof(message));
}

void report_started(pid_t pid)
{
        report_worker(REPORT_STARTED, pid);
}

void report_worker_ready(pid_t pid)
{
        report_worker(REPORT_WORKER_READY, pid);
}

void report_worker_failed(pid_t pid, unsigned step, const struct error *error)
{
        struct report_worker_failed message = MESSAGE_INIT(REPORT_WORKER_FAILED, message);

        message.isolated_pid = (uint32_t)pid;
        message.step = step;
        message.error = *error;
        report(&message, sizeof(message));
}

void report_exited(pid_t pid, uint32_t code, uint32_t signal, bool core)
{
        struct report_exited message = MESSAGE_INIT(REPORT_EXITED, message);

        message.isolated_pid = (uint32_t)pid;
        message.code = code;
        message.signal = signal;
        message.core = core;
        report(&message, sizeof(message));
}
