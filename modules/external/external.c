/* The module for "external", under the ancestor's name also "go": any program.
 *
 * A worker becomes the program. It gets the listeners by systemd's convention (sd_listen_fds(3)):
 * descriptors 3, 4, ..., their number in LISTEN_FDS, and LISTEN_PID, which is the pid that the program
 * itself sees. LISTEN_FDNAMES has the addresses as the configuration writes them, with "_" in place of
 * what a name may not have: the colon, which separates names, and whatever is not printable ASCII. So
 * "127.0.0.1:8080" is called "127.0.0.1_8080". Without listeners none of the three is there. */
#include <clade/module.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "modules/external/explain.h"

#define FIRST_LISTENER 3 /* SD_LISTEN_FDS_START */

static int setup(struct clade_application *application)
{
        const struct clade_value *ready = clade_value(application, "ready");

        application->ready = CLADE_READY_EXEC;
        if (ready && strcmp(ready->string, "notify") == 0)
                application->ready = CLADE_READY_NOTIFY;
        return 0;
}

/* All addresses as names, joined by colons; to be freed. */
static char *listener_names(const struct clade_application *application)
{
        size_t size = 1, used = 0;
        char *names;

        for (size_t i = 0; i < application->listener_count; i++)
                size += strlen(application->listeners[i]) + 1;
        names = malloc(size);
        if (!names)
                return NULL;
        for (size_t i = 0; i < application->listener_count; i++) {
                if (i > 0)
                        names[used++] = ':';
                for (const char *at = application->listeners[i]; *at; at++)
                        names[used++] = *at > ' ' && *at < 0x7f && *at != ':' ? *at : '_';
        }
        names[used] = '\0';
        return names;
}

static int set_number(const char *name, size_t number)
{
        char text[24];

        snprintf(text, sizeof(text), "%zu", number);
        return setenv(name, text, 1);
}

/* 0, or -1 with errno. */
static int announce_listeners(const struct clade_application *application)
{
        char *names = NULL;
        int r;

        if (application->listener_count == 0) {
                unsetenv("LISTEN_FDS");
                unsetenv("LISTEN_PID");
                unsetenv("LISTEN_FDNAMES");
                return 0;
        }
        names = listener_names(application);
        if (!names)
                return -1;
        r = set_number("LISTEN_FDS", application->listener_count);
        if (r == 0)
                r = set_number("LISTEN_PID", (size_t)getpid());
        if (r == 0)
                r = setenv("LISTEN_FDNAMES", names, 1);
        free(names);
        return r;
}

/* The listeners survive the exec, at the numbers that the convention wants. */
static int keep_listeners(const struct clade_worker *worker)
{
        const struct clade_host *host = worker->application->host;

        for (size_t i = 0; i < worker->application->listener_count; i++) {
                int fd = worker->listeners[i];

                if (fd != FIRST_LISTENER + (int)i)
                        return host->fail(worker->failure, EBADF, NULL,
                                          "listener %zu is descriptor %d, not %d", i, fd,
                                          FIRST_LISTENER + (int)i);
                if (fcntl(fd, F_SETFD, 0) < 0)
                        return host->fail(worker->failure, errno, NULL, "listener %zu", i);
        }
        return 0;
}

static int run(const struct clade_worker *worker, const char *executable, char **arguments)
{
        execve(executable, arguments, environ);
        return explain_exec(worker, executable, errno);
}

static int start(struct clade_worker *worker)
{
        const struct clade_application *application = worker->application;
        const struct clade_value *executable = clade_value(application, "executable");
        const struct clade_value *rest = clade_value(application, "arguments");
        size_t count = 0;
        char **arguments;
        int r;

        r = keep_listeners(worker);
        if (r < 0)
                return r;
        if (announce_listeners(application) < 0)
                return application->host->fail(worker->failure, errno, NULL,
                                               "telling the program its listeners");

        while (rest && rest->strings[count])
                count++;
        arguments = calloc(count + 2, sizeof(*arguments));
        if (!arguments)
                return application->host->fail(worker->failure, ENOMEM, NULL,
                                               "the program's arguments");
        arguments[0] = (char *)executable->string;
        for (size_t i = 0; i < count; i++)
                arguments[i + 1] = (char *)rest->strings[i];
        r = run(worker, executable->string, arguments);
        free(arguments);
        return r;
}

static const char *const aliases[] = {"go", NULL};

static const struct clade_option options[] = {
        {
                .name = "executable",
                .type = CLADE_PATH,
                .required = 1,
                .help = "the program that each worker becomes",
        },
        {
                .name = "arguments",
                .type = CLADE_STRINGS,
                .help = "its arguments, without the program's own name",
        },
        {
                .name = "ready",
                .type = CLADE_STRING,
                .choices = "exec|notify",
                .help = "when a worker counts as ready: once it runs (exec, the default), or when "
                        "it "
                        "says READY=1 to NOTIFY_SOCKET (notify)",
        },
        {0},
};

const struct clade_module clade_module = {
        CLADE_MODULE_HEADER, .type = "external", .version = CLADE_VERSION, .aliases = aliases,
        .options = options,  .setup = setup,     .start = start,
};
