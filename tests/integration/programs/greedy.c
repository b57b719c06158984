/* Applications that take what they can get, for the tests of limits: the names are for "symbol" of `native`. */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "serve.h"

#define EXPORT __attribute__((visibility("default")))

EXPORT int takes(const struct clade_native *native);
EXPORT int takes_everything(const struct clade_native *native);

#define PIECE (1u << 20)

/* How many pieces of memory could be had, each touched. */
static long eat(long pieces)
{
        for (long i = 0; i < pieces; i++) {
                char *memory = mmap(NULL, PIECE, PROT_READ | PROT_WRITE,
                                    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

                if (memory == MAP_FAILED)
                        return i;
                memset(memory, 1, PIECE);
        }
        return pieces;
}

/* Children that rest, until there are no more; all of them end when ends[1] is closed. */
static long multiply(const int *ends)
{
        long count = 0;

        for (;;) {
                pid_t pid = fork();
                char byte;

                if (pid < 0)
                        return count;
                if (pid == 0) {
                        close(ends[1]);
                        _exit(read(ends[0], &byte, 1) < 0);
                }
                count++;
        }
}

static void fork_bomb(struct answer *answer)
{
        int ends[2];
        long count;

        if (pipe(ends) < 0)
                return;
        count = multiply(ends);
        answer_print(answer, "%ld %s\n", count, errno == EAGAIN ? "EAGAIN" : "other");
        close(ends[1]);
        close(ends[0]);
        while (wait(NULL) > 0)
                ;
}

/* One that is nobody's child and nobody's group, and cannot be found by following either. */
static void stray(struct answer *answer)
{
        pid_t pid = fork();

        if (pid == 0) {
                setsid();
                if (fork() == 0)
                        for (;;)
                                pause();
                _exit(0);
        }
        waitpid(pid, NULL, 0);
        answer_print(answer, "gone\n");
}

static double seconds(clockid_t clock)
{
        struct timespec now;

        clock_gettime(clock, &now);
        return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* How much of one processor's time we get. */
static void burn(struct answer *answer)
{
        double begin = seconds(CLOCK_MONOTONIC), used = seconds(CLOCK_PROCESS_CPUTIME_ID);

        while (seconds(CLOCK_MONOTONIC) < begin + 1)
                ;
        used = seconds(CLOCK_PROCESS_CPUTIME_ID) - used;
        answer_print(answer, "%.3f\n", used / (seconds(CLOCK_MONOTONIC) - begin));
}

static void handle(const struct request *request, struct answer *answer)
{
        if (strncmp(request->target, "/eat", 4) == 0)
                answer_print(answer, "%ld\n", eat(query_number(request->target, "megabytes")));
        else if (strcmp(request->target, "/forks") == 0)
                fork_bomb(answer);
        else if (strcmp(request->target, "/stray") == 0)
                stray(answer);
        else if (strcmp(request->target, "/burn") == 0)
                burn(answer);
        else if (strcmp(request->target, "/cgroup") == 0)
                answer_file(answer, "/proc/self/cgroup");
        else
                answer_print(answer, "%d\n", (int)getpid());
}

int takes(const struct clade_native *native)
{
        return serve(native, handle);
}

/* --- everything at once ------------------------------------------------------------------------- */

static _Noreturn void spin(void)
{
        for (;;)
                ;
}

static _Noreturn void fill_memory(void)
{
        for (;;) {
                pid_t pid = fork();

                if (pid == 0) {
                        eat(1 << 20);
                        _exit(0);
                }
                if (pid > 0)
                        waitpid(pid, NULL, 0);
                else
                        sched_yield();
        }
}

static _Noreturn void fill_log(void)
{
        static char lines[64 << 10];

        for (size_t i = 0; i < sizeof(lines); i++)
                lines[i] = i % 64 == 63 ? '\n' : 'x';
        for (;;)
                if (write(1, lines, sizeof(lines)) < 0)
                        _exit(1);
}

static _Noreturn void fill_descriptors(void)
{
        for (;;) {
                int fd = open("/dev/null", O_RDONLY);

                if (fd < 0)
                        for (int i = 100; i >= 0; i++)
                                if (close(i) < 0)
                                        break;
        }
}

static void start(void (*what)(void))
{
        if (fork() == 0)
                what();
}

int takes_everything(const struct clade_native *native)
{
        native->ready(native);
        start(fill_memory);
        start(fill_log);
        start(fill_descriptors);
        start(spin);
        /* What is left of the tasks goes to children that rest, while we go on trying for more. */
        signal(SIGCHLD, SIG_IGN);
        for (;;)
                if (fork() == 0)
                        for (;;)
                                pause();
}
