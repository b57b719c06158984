#include "runtime/cli/options.h"

#include <assert.h>
#include <getopt.h>
#include <stdio.h>
#include <string.h>

#define OPTIONS_MAX 8 /* of one command */

/* What getopt_long gives back for an option: its row in the command's table comes after FIRST. No letter is so
 * large. */
enum { HELP = 'h', FIRST = 256 };

static void tell_misused(const struct command *command, int problem, const char *argument)
{
        fprintf(stderr, "clade %s: ", command->name);
        if (problem == ':')
                fprintf(stderr, "%s needs a value", argument);
        else if (optopt && strncmp(argument, "--", 2) == 0)
                fprintf(stderr, "%s takes no value", argument);
        else if (optopt)
                fprintf(stderr, "unknown option -%c", optopt);
        else
                fprintf(stderr, "unknown option %s", argument);
        fprintf(stderr, "; clade %s --help lists them all\n", command->name);
}

/* False, and it is told, when the value is none of the choices. */
static bool choose(const struct command *command, const struct command_option *option,
                   const char *value)
{
        for (unsigned i = 0; option->choices[i]; i++) {
                if (strcmp(option->choices[i], value) != 0)
                        continue;
                *option->choice = i;
                return true;
        }
        fprintf(stderr, "clade %s: --%s \"%s\": expected", command->name, option->name, value);
        for (unsigned i = 0; option->choices[i]; i++)
                fprintf(stderr, "%s %s", i ? " or" : "", option->choices[i]);
        fprintf(stderr, "; see clade %s --help\n", command->name);
        return false;
}

static bool take(const struct command *command, const struct command_option *option,
                 const char *value)
{
        if (option->choice)
                return choose(command, option, value);
        if (option->text)
                *option->text = value;
        else
                *option->flag = true;
        return true;
}

/* The command's table as getopt_long wants it. */
static void make_table(const struct command_option *options, struct option table[OPTIONS_MAX + 2])
{
        size_t count = 0;

        table[count++] = (struct option){"help", no_argument, NULL, HELP};
        for (size_t i = 0; options[i].name; i++) {
                assert(count <= OPTIONS_MAX);
                table[count++] = (struct option){
                        .name = options[i].name,
                        .has_arg = options[i].flag ? no_argument : required_argument,
                        .val = FIRST + (int)i,
                };
        }
        table[count] = (struct option){NULL};
}

char **command_arguments(const struct command *command, int argc, char **argv,
                         const struct command_option *options, int *ret_status)
{
        struct option table[OPTIONS_MAX + 2];
        int option, count;

        *ret_status = STATUS_USAGE;
        make_table(options, table);
        opterr = 0;
        while ((option = getopt_long(argc, argv, ":h", table, NULL)) != -1) {
                if (option == HELP) {
                        fputs(command->help, stdout);
                        *ret_status = STATUS_OK;
                        return NULL;
                }
                if (option < FIRST) {
                        tell_misused(command, option, argv[optind - 1]);
                        return NULL;
                }
                if (!take(command, &options[option - FIRST], optarg))
                        return NULL;
        }
        count = argc - optind;
        if (count < command->arguments.least || count > command->arguments.most) {
                fprintf(stderr, "clade %s: %s; see clade %s --help\n", command->name,
                        count < command->arguments.least ? "an argument is missing"
                                                         : "too many arguments",
                        command->name);
                return NULL;
        }
        return argv + optind;
}
