/* The commands of clade, and what they share: how a command line is refused, how errors are printed.
 *
 * Results go to stdout, everything that is wrong to stderr. Exit status: 0; 1 when it did not work; 2 when
 * the command line was not understood. */
#pragma once

#include <getopt.h>
#include <stdbool.h>

#include "base/error.h"
#include "runtime/compile/load.h"
#include "runtime/config/config.h"

enum { STATUS_OK = 0, STATUS_FAILED = 1, STATUS_USAGE = 2 };

struct command {
        const char *name;
        const char *summary; /* one line of `clade --help` */
        const char *help;    /* `clade NAME --help`, whole */
        /* argv[0] is the command's name. */
        int (*run)(const struct command *command, int argc, char **argv);
};

extern const struct command command_check, command_doctor, command_modules, command_plan,
        command_run;

/* Options that several commands have, and the values that they are told apart by. */
enum { OPTION_HELP = 'h', OPTION_MODULES = 256, OPTION_FIRST };
#define OPTIONS_COMMON                                                                             \
        {"help", no_argument, NULL, OPTION_HELP},                                                  \
        {                                                                                          \
                "modules", required_argument, NULL, OPTION_MODULES                                 \
        }

/* The next option as getopt_long has it; -1 after the last. Whatever is wrong is printed, with a pointer to
 * --help, and comes back as '?'. */
int command_option(const struct command *command, int argc, char **argv,
                   const struct option *options);

/* Checks how many arguments follow the options; prints what is wrong. */
bool command_arguments(const struct command *command, int argc, int least, int most);

int command_help(const struct command *command);

/* Prints an error and its remedy on stderr; STATUS_FAILED. */
int command_failed(const struct error *error);

/* "FILE:LINE:COL: POINTER: text", one line each. */
void print_diagnostics(const struct diagnostics *diagnostics);

/* What a command works with: where clade's parts are, the modules, the configuration. */
struct session {
        struct paths paths;
        struct loaded loaded;
};

/* As load_configuration, which it calls with our own paths; `load` gives the rest. */
int session_load(struct session *session, const struct load *load, const char *file,
                 struct diagnostics *diagnostics, struct error *error);

/* The same, and prints whatever is wrong. The exit status. */
int session_open(struct session *session, const char *modules, const char *file);
void session_close(struct session *session);

/* For the two notice callbacks: prints a line on stderr. */
void print_module_notice(void *context, const char *path, bool serious, const struct error *error);
void print_compile_notice(void *context, const char *application, const char *text);
