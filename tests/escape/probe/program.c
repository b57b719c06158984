/* The probe as a program. Started with listeners (sd_listen_fds(3)) it answers on the first; otherwise it runs
 * once, with its arguments as parameters, and prints. "--ids" is what it asks of a set-uid copy. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "probe.h"

/* A set-uid copy of us says who it is: 0 when nothing has changed. */
static int compare_ids(void)
{
        return getuid() == geteuid() && getgid() == getegid() ? 0 : 1;
}

/* Root of the host has nothing to be kept from: what is tried would be done, umounts and all. Whoever starts us in
 * a container that has no ids of its own says so. */
static bool dangerous(int argc, char **argv)
{
        FILE *file = fopen("/proc/self/uid_map", "re");
        unsigned inside = 1, outside = 1, count = 0;
        bool host = !file || (fscanf(file, "%u %u %u", &inside, &outside, &count) == 3 &&
                              outside == 0 && count == 4294967295u);

        if (file)
                fclose(file);
        for (int i = 1; i < argc; i++)
                if (strcmp(argv[i], "contained=yes") == 0)
                        return false;
        return geteuid() == 0 && host;
}

int main(int argc, char **argv)
{
        const char *listeners = getenv("LISTEN_FDS");
        const char *listener_pid = getenv("LISTEN_PID");
        struct probe probe;
        size_t length = 0;

        if (argc == 2 && strcmp(argv[1], "--ids") == 0)
                return compare_ids();
        if (listener_pid && strtol(listener_pid, NULL, 10) != getpid())
                listeners = NULL;
        if (dangerous(argc, argv)) {
                fprintf(stderr, "not as root of the host\n");
                return 2;
        }
        probe_begin(&probe, listeners ? strtoul(listeners, NULL, 10) : 0);
        if (probe.listener >= 0)
                return probe_serve(&probe);
        for (int i = 1; i < argc && length < sizeof(probe.parameters); i++)
                length += (size_t)snprintf(probe.parameters + length,
                                           sizeof(probe.parameters) - length, "%s ", argv[i]);
        probe_run(&probe, STDOUT_FILENO);
        return 0;
}
