/* The probe: tries what a worker must not be able to do, and says what came of it.
 *
 * Each row of the list (docs/escape.md) has one or several attempts. An attempt is an entry of a table: row,
 * name, function, and what the function needs to know. It tells one word: the errno's name where the
 * attempt was refused, "done" where it was not, or what was found. It judges nothing: which answers are good
 * ones, at which level, stands in expected.txt.
 *
 * The same attempts are a program (for `external`, for other sandboxes, for no sandbox at all) and a
 * shared object (for `native`).
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define OUTCOME_MAX 512

/* What came of it: one word. Several answers are joined by "+", details follow a ":". */
struct outcome {
        char text[OUTCOME_MAX];
};

/* What the process was like when it began, and what whoever asks has told about the world outside. */
struct probe {
        int listener, connection; /* -1: there is none */
        size_t listener_count;    /* from descriptor 3 on */
        char parameters[1024];    /* "NAME=VALUE NAME=VALUE" */
        char descriptors
                [OUTCOME_MAX]; /* those beyond the declared ones at the beginning, or "none" */
        char directories[OUTCOME_MAX]; /* those that are directories, or "none" */
        pid_t session;                 /* of the process that was started */
        pid_t self;
};

struct attempt {
        unsigned row;
        const char *name;
        void (*run)(const struct probe *probe, const struct attempt *attempt,
                    struct outcome *outcome);
        const char *path; /* what it is about, where that is a file or a text */
        const char *text; /* what is written there */
        long number;      /* what it is about, where that is a number */
        long arguments[4];
        bool direct; /* in the process itself: in a child the answer would be another one */
};

/* A table that ends with an entry without a name. */
extern const struct attempt namespace_attempts[], mount_attempts[], file_attempts[],
        device_attempts[], identity_attempts[], process_attempts[], kernel_attempts[],
        socket_attempts[], memory_attempts[], resource_attempts[];

void outcome_set(struct outcome *outcome, const char *format, ...)
        __attribute__((format(printf, 2, 3)));

/* A call's result: negative is refused, for the reason in errno. */
void outcome_call(struct outcome *outcome, long result);

/* Several calls that are one attempt: the first that succeeded is told, or else all the reasons there were. */
struct many {
        bool done;
        struct outcome outcome;
};

void many_call(struct many *many, const char *what, long result);
void many_tell(const struct many *many, struct outcome *outcome);

/* A parameter's value, copied; false and "" when it was not given. */
bool parameter(const struct probe *probe, const char *name, char *value, size_t room);
long parameter_number(const struct probe *probe, const char *name); /* 0 when it was not given */

/* Looks at the descriptors before anything has been opened. */
void probe_begin(struct probe *probe, size_t listener_count);

/* All attempts, or those that the parameter `names` lists ("a,b"), without those in `skip`: a line "ROW NAME
 * OUTCOME" for each on `out`, and "end" as the last. */
void probe_run(struct probe *probe, int out);

/* Answers whoever connects to the first listener: one line of parameters in, the lines of a run out. */
int probe_serve(struct probe *probe);

/* A mount as /proc/self/mountinfo tells it. */
struct mount_line {
        char target[512], options[256], optional[128], type[64];
};

/* Calls `function` for each mount; -1 with errno when they cannot be seen. */
int mounts_visit(void (*function)(const struct mount_line *line, void *data), void *data);

/* Runners that several tables use. */
typedef void runner(const struct probe *probe, const struct attempt *attempt,
                    struct outcome *outcome);

runner try_syscall; /* number and arguments */
runner try_write;   /* opens path for writing, and writes text where there is one */
runner try_open;    /* opens path for reading */
runner try_read;    /* and reads a byte: "empty" where there is none */
