/* clade: the command. What it does is one file per command; here is only which one is meant. */
#include <stdio.h>
#include <string.h>

#include "runtime/cli/command.h"

static const struct command *const commands[] = {
        &command_run, &command_check, &command_plan, &command_doctor, &command_modules,
};

#define COMMAND_COUNT (sizeof(commands) / sizeof(commands[0]))

static int help(void)
{
        puts("usage: clade COMMAND [OPTION...] [ARGUMENT...]\n"
             "\n"
             "Runs applications in sandboxes, cloned from a prototype that is locked down and "
             "warm.\n");
        for (size_t i = 0; i < COMMAND_COUNT; i++)
                printf("  %-10s %s\n", commands[i]->name, commands[i]->summary);
        puts("\n"
             "  -h, --help   this text; clade COMMAND --help for a command's\n"
             "  --version    the version\n"
             "\n"
             "Exit status: 0; 1 when it did not work; 2 when the command line was not understood.");
        return STATUS_OK;
}

int main(int argc, char **argv)
{
        const char *name = argc > 1 ? argv[1] : "";

        if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0)
                return help();
        if (strcmp(name, "--version") == 0) {
                puts("clade " CLADE_VERSION);
                return STATUS_OK;
        }
        for (size_t i = 0; i < COMMAND_COUNT; i++) {
                int status;

                if (strcmp(name, commands[i]->name) != 0)
                        continue;
                status = commands[i]->run(commands[i], argc - 1, argv + 1);
                /* A full disk or a closed pipe is no success. */
                if (fflush(stdout) != 0 || ferror(stdout)) {
                        fprintf(stderr, "clade %s: writing the result: %m\n", name);
                        return STATUS_FAILED;
                }
                return status;
        }
        if (name[0])
                fprintf(stderr, "clade: unknown %s \"%s\"; clade --help lists them all\n",
                        name[0] == '-' ? "option" : "command", name);
        else
                fprintf(stderr, "clade: a command is missing; clade --help lists them all\n");
        return STATUS_USAGE;
}
