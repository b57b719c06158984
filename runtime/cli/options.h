/* A command line, taken apart by a table of the options that a command has. */
#pragma once

#include <stdbool.h>

#include "runtime/cli/command.h"

/* One option, and the one place of three that it goes to. A place keeps what is in it where the option is not
 * given; of an option given twice the last counts. -h and --help go without saying. */
struct command_option {
        const char *name;           /* without dashes; NULL ends a table */
        bool *flag;                 /* takes no value, and is set */
        const char **text;          /* takes any value, which stays argv's */
        unsigned *choice;           /* takes one of `choices`: which */
        const char *const *choices; /* ends with NULL */
};

/* The arguments, as many as the command takes, and a NULL behind them; options may stand anywhere among them.
 * NULL where the command ends here, with *ret_status: --help, which is printed, or something wrong, which is
 * told, with a pointer to --help. */
char **command_arguments(const struct command *command, int argc, char **argv,
                         const struct command_option *options, int *ret_status);
