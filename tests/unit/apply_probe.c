/* What test_compile_live.c puts into a root: applies the plan at descriptor 3, whose sources follow, then
 * tries each argument and says what came of it, one line each on stdout.
 *
 *     r:PATH   open for reading, one byte or a directory's first entry read
 *     w:PATH   open for writing, creating it
 *     x:PATH   exec, as the last one */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/own.h"
#include "isolation/apply.h"
#include "runtime/protocol/launch.h"

#define FD_LAUNCH  3
#define FD_SOURCES 4

static int apply(struct launch *launch, struct error *error)
{
        struct isolation isolation = {
                .plan = &launch->plan,
                .tether = -1,
                .root = -1,
                .worker_ruleset = -1,
        };
        enum isolation_step_id step = 0;
        int *sources = calloc(launch->plan.source_count + 1, sizeof(*sources));
        int r;

        if (!sources)
                return error_set(error, ENOMEM, "sources");
        for (size_t i = 0; i < launch->plan.source_count; i++)
                sources[i] = FD_SOURCES + (int)i;
        isolation.sources = sources;
        r = isolation_apply(&isolation, &step, error);
        free(sources);
        return r < 0 ? error_prefix(error, "step %s", isolation_step_name(step)) : 0;
}

static int try_read(const char *path)
{
        cleanup_fd int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
        cleanup_dir DIR *dir = NULL;
        struct stat st;
        char byte;

        if (fd < 0 || fstat(fd, &st) < 0)
                return errno;
        if (!S_ISDIR(st.st_mode))
                return read(fd, &byte, 1) < 0 ? errno : 0;
        dir = opendir(path);
        return dir && readdir(dir) ? 0 : errno;
}

static int try_write(const char *path)
{
        cleanup_fd int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

        return fd < 0 || write(fd, "x", 1) < 0 ? errno : 0;
}

static int attempt(char kind, char *path)
{
        char *const arguments[] = {path, NULL}, *const environment[] = {NULL};

        switch (kind) {
        case 'r':
                return try_read(path);
        case 'w':
                return try_write(path);
        default:
                fflush(stdout);
                execve(path, arguments, environment);
                return errno;
        }
}

int main(int argc, char **argv)
{
        struct codec_memory memory = {.base = NULL};
        struct error error = ERROR_INIT;
        struct launch launch;

        if (launch_read(FD_LAUNCH, &launch, &memory, &error) < 0 || apply(&launch, &error) < 0) {
                printf("%s\n", error.text);
                return 1;
        }
        for (int i = 1; i < argc; i++) {
                int code = attempt(argv[i][0], argv[i] + 2);

                printf("%s %s\n", argv[i], code ? error_name(code) : "ok");
        }
        fflush(stdout);
        _exit(0); /* LeakSanitizer would need ptrace here */
}
