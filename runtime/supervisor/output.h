/* What applications write to stdout and stderr: pipes that the supervisor reads.
 *
 * Each worker slot has two pipes, and the prototype has two. Lines become `output` events tagged with
 * application, stream and pids; or, where the configuration names a path, are appended to that file,
 * which only the supervisor ever has open. Bounded in every direction: bytes per line (longer ones are
 * cut into pieces), bytes per turn of the loop, bytes per second and application. Above the rate an
 * application's pipes are left unread for the rest of the second: its writes wait, nobody else's do.
 * What could not be written (full disk) is dropped, counted and reported, at most once a second.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <systemd/sd-event.h>

#include "base/error.h"
#include "base/message.h"
#include "base/path.h"
#include "runtime/supervisor/log.h"

#define OUTPUT_LINE_MAX 4096 /* bytes */
#define OUTPUT_LINE_COST                                                                           \
        128                     /* bytes that an event costs the rate beyond its text: empty lines
                                       * are not free */
#define OUTPUT_RATE  (1u << 20) /* bytes per second and application */
#define OUTPUT_BURST (2u << 20)

/* Where one stream of one application goes; shared by all its pipes. */
struct output_sink {
        const char *application;
        const char *stream; /* "stdout" or "stderr" */
        char *path;         /* NULL: into the log */
        int fd;
        struct log *log;
        struct budget *budget; /* of the application: both its sinks share one */
        uint64_t dropped;      /* bytes that could not be written, in all */
        uint64_t unreported;   /* of these, not yet told */
        int code;              /* errno of the last write that failed */
        uint64_t reported_us;  /* when the last output-dropped was told, and output-throttled */
        uint64_t throttled_us;
};

/* Opens the path, for appending and creating (0640; output_file.h says what is accepted), without
 * blocking. `application`, `stream` and `budget` must outlive the sink, the sink its outputs. A file gets
 * the bytes as they are, untagged. */
int output_sink_init(struct output_sink *sink, struct log *log, const char *application,
                     const char *stream, const char *path, enum path_links links,
                     struct budget *budget, struct error *error);
void output_sink_finish(struct output_sink *sink);

/* Counts what never got here, and tells of it like of anything else that was dropped. */
void output_sink_lost(struct output_sink *sink, uint64_t bytes);

/* The reading end of one pipe. */
struct output;

/* Makes a pipe; *ret_writer is the caller's to hand on and close. */
int output_create(sd_event *event, struct output_sink *sink, struct output **ret_output,
                  int *ret_writer, struct error *error);

/* Whose lines these are from now on; 0 for none. Complete lines that are there already are read first,
 * a bounded amount, so that they are still the predecessor's. */
void output_assign(struct output *output, pid_t pid, uint32_t isolated_pid);

/* Somebody new is about to write, who is not known by its pids yet: what its predecessor wrote is read, the
 * rest stays in the pipe until output_assign says whose it is. */
void output_hold(struct output *output);

/* Reads what is left, as far as *allowance and the application's rate go, and lets go of it. The allowance, in
 * bytes and OUTPUT_LINE_COST for each line, shrinks by what was read: it is one for all pipes that are
 * destroyed at once. What is dropped is counted and told. Takes NULL. */
#define OUTPUT_TURN UINT64_C(65536)
struct output *output_destroy(struct output *output, uint64_t *allowance);
