/* An application that looks around inside and tells what it finds to whoever asks. */
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "attempts.h"
#include "scan.h"
#include "serve.h"

static void tell_environment(const struct request *request, struct answer *answer)
{
        (void)request;
        for (char **variable = environ; *variable; variable++)
                answer_print(answer, "%s\n", *variable);
}

static void tell_descriptors(const struct request *request, struct answer *answer)
{
        DIR *directory = opendir("/proc/self/fd");
        const struct dirent *entry;

        while (directory && (entry = readdir(directory))) {
                int fd = atoi(entry->d_name);
                char target[256];
                struct stat st;
                ssize_t n;

                if (!isdigit((unsigned char)entry->d_name[0]) || fd == dirfd(directory) ||
                    fd == request->connection || fstat(fd, &st) < 0)
                        continue;
                n = readlinkat(dirfd(directory), entry->d_name, target, sizeof(target) - 1);
                target[n < 0 ? 0 : n] = '\0';
                answer_print(answer, "%d %s %s\n", fd, S_ISDIR(st.st_mode) ? "directory" : "other",
                             target);
        }
        if (directory)
                closedir(directory);
}

static void tell_file(const struct request *request, struct answer *answer)
{
        char path[512];
        int r;

        query(request->target, "path", path, sizeof(path));
        r = answer_file(answer, path);
        if (r < 0)
                answer_print(answer, "%s", strerrorname_np(-r));
}

static void tell_scan(const struct request *request, struct answer *answer)
{
        char veiled[257];
        struct scan scan;

        query(request->target, "veiled", veiled, sizeof(veiled));
        if (scan_memory(veiled, &scan) < 0) {
                answer_print(answer, "%s\n", strerrorname_np(errno));
                return;
        }
        answer_print(answer, "found %u in %" PRIu64 "\n", scan.found, scan.scanned);
        answer_bytes(answer, scan.places, strlen(scan.places));
}

static void try_clone3(const struct request *request, struct answer *answer)
{
        (void)request;
        attempt_clone3(answer);
}

static void try_files(const struct request *request, struct answer *answer)
{
        (void)request;
        attempt_files(answer);
}

static void try_root(const struct request *request, struct answer *answer)
{
        (void)request;
        attempt_root(answer);
}

static void try_peek(const struct request *request, struct answer *answer)
{
        attempt_peek(answer, (pid_t)query_number(request->target, "pid"));
}

static void try_signals(const struct request *request, struct answer *answer)
{
        attempt_signals(answer, (pid_t)query_number(request->target, "pid"));
}

static void try_sockets(const struct request *request, struct answer *answer)
{
        attempt_sockets(answer, request);
}

static void shut_down(const struct request *request, struct answer *answer)
{
        answer_print(answer, "shutdown: %s\n",
                     shutdown(request->listener, SHUT_RDWR) == 0 ? "done" : strerrorname_np(errno));
}

static void leave(const struct request *request, struct answer *answer)
{
        (void)answer;
        _exit((int)query_number(request->target, "code"));
}

static void crash(const struct request *request, struct answer *answer)
{
        (void)answer;
        signal((int)query_number(request->target, "signal"), SIG_DFL);
        raise((int)query_number(request->target, "signal"));
}

/* A grandchild that nobody waits for, in a session of its own, deaf to what can be refused to hear. */
static void orphan(const struct request *request, struct answer *answer)
{
        pid_t child = fork();

        (void)request;
        if (child == 0) {
                setsid();
                if (fork() == 0) {
                        for (int number = 1; number < NSIG; number++)
                                signal(number, SIG_IGN);
                        for (;;)
                                pause();
                }
                _exit(0);
        }
        answer_print(answer, "%s\n",
                     child > 0 && waitpid(child, NULL, 0) == child ? "done"
                                                                   : strerrorname_np(errno));
}

/* Text that a client wants to see on stdout: %XX is a byte. */
static void print(const struct request *request, struct answer *answer)
{
        char text[4096], *out = text;
        long stream = query_number(request->target, "stream");

        query(request->target, "text", text, sizeof(text));
        for (const char *at = text; *at; at++) {
                unsigned byte;

                if (*at == '%' && sscanf(at + 1, "%2x", &byte) == 1) {
                        *out++ = (char)byte;
                        at += 2;
                } else {
                        *out++ = *at;
                }
        }
        answer_print(answer, "%zd\n", write(stream ? (int)stream : 1, text, (size_t)(out - text)));
}

static void nap(const struct request *request, struct answer *answer)
{
        long ms = query_number(request->target, "ms");
        struct timespec time = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};

        nanosleep(&time, NULL);
        answer_print(answer, "%ld\n", ms);
}

static void hello(const struct request *request, struct answer *answer)
{
        answer_print(answer, "%s %u %d\n", request->native->application, request->native->slot,
                     (int)getpid());
}

static const struct route {
        const char *path;
        handler *handle;
} routes[] = {
        {"/environment", tell_environment},
        {"/descriptors", tell_descriptors},
        {"/file", tell_file},
        {"/scan", tell_scan},
        {"/clone3", try_clone3},
        {"/files", try_files},
        {"/root", try_root},
        {"/peek", try_peek},
        {"/signals", try_signals},
        {"/sockets", try_sockets},
        {"/shutdown", shut_down},
        {"/exit", leave},
        {"/crash", crash},
        {"/orphan", orphan},
        {"/print", print},
        {"/nap", nap},
        {"/", hello},
};

static void route(const struct request *request, struct answer *answer)
{
        size_t length = strcspn(request->target, "?");

        for (size_t i = 0; i < sizeof(routes) / sizeof(routes[0]); i++)
                if (strlen(routes[i].path) == length &&
                    strncmp(routes[i].path, request->target, length) == 0) {
                        routes[i].handle(request, answer);
                        return;
                }
        answer_print(answer, "nothing is called %s\n", request->target);
}

int __attribute__((visibility("default"))) clade_main(const struct clade_native *native);

int clade_main(const struct clade_native *native)
{
        return serve(native, route);
}
