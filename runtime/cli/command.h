/* The commands of clade, and what they share in speaking.
 *
 * Results go to stdout, everything that is wrong to stderr. Exit status: 0; 1 when it did not work; 2 when
 * the command line was not understood. */
#pragma once

#include <stdbool.h>

#include "base/error.h"
#include "runtime/config/config.h"

enum { STATUS_OK = 0, STATUS_FAILED = 1, STATUS_USAGE = 2 };

struct command {
        const char *name;
        const char *summary; /* one line of `clade --help` */
        const char *help;    /* `clade NAME --help`, whole */
        struct {
                int least, most;
        } arguments; /* how many it takes beside its options */
        /* argv[0] is the command's name. */
        int (*run)(const struct command *command, int argc, char **argv);
};

extern const struct command command_check, command_doctor, command_modules, command_plan,
        command_run;

/* Prints an error and its remedy on stderr; STATUS_FAILED. */
int command_failed(const struct error *error);

/* "FILE:LINE:COL: POINTER: text", one line each. */
void print_diagnostics(const struct diagnostics *diagnostics);

/* For the two notice callbacks: prints a line on stderr. */
void print_module_notice(void *context, const char *path, bool serious, const struct error *error);
void print_compile_notice(void *context, const char *application, const char *text);
