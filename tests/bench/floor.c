/* The floor: what the kernel alone takes for a start, with nothing of a runtime around it.
 *
 *     floor start PLAN PROGRAM      a start of the plan PLAN.launch (plan_image.c) that ends in PROGRAM
 *     floor spawn PROGRAM ARG...    any other program that does something of the kind
 *
 * Both print how many nanoseconds it took from the first call to the first byte that the started program
 * wrote to its stdout. It is then killed.
 *
 * `start` makes the very calls that clade makes for this plan, since it makes them with the same functions:
 * those of isolation/, linked statically. What it leaves out is the runtime: no event loop, no relay, no
 * scoreboard, no module that is loaded, no messages, no dynamic loader. The parts that remain:
 *
 *     clone      isolation_clone: sources, namespaces, id maps, identity, exec of this program
 *     confined   isolation_apply: all steps of a prototype; then a plain clone
 *     worker     its Landlock domain, its filter, exec of PROGRAM
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/own.h"
#include "base/signals.h"
#include "isolation/clone.h"
#include "runtime/protocol/descriptors.h"
#include "runtime/protocol/launch.h"
#include "tests/bench/plan_image.h"

#define PATIENCE_MS 10000

static _Noreturn void die(const char *what, const struct error *error)
{
        dprintf(STDERR_FILENO, "floor: %s: %s\n", what, error ? error->text : strerror(errno));
        _exit(EXIT_FAILURE);
}

static int64_t now_ns(void)
{
        struct timespec now;

        clock_gettime(CLOCK_MONOTONIC, &now);
        return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

/* Until the program has said something; then what it took is printed. */
static void await_word(int reader, int64_t begin)
{
        struct pollfd word = {.fd = reader, .events = POLLIN};
        int64_t end;
        char byte;

        if (poll(&word, 1, PATIENCE_MS) <= 0 || read(reader, &byte, 1) != 1) {
                fprintf(stderr, "floor: the program says nothing\n");
                exit(EXIT_FAILURE);
        }
        end = now_ns();
        printf("%" PRId64 "\n", end - begin);
}

static void make_pipe(int *ends)
{
        if (pipe2(ends, O_CLOEXEC) < 0)
                die("pipe2", NULL);
}

/* --- start ------------------------------------------------------------------------------------ */

static void clone_failed(void *context, bool arranged, enum isolation_step_id step,
                         const struct error *error)
{
        (void)context;
        (void)arranged;
        die(isolation_step_name(step), error);
}

static int open_file(const char *plan, const char *suffix)
{
        char path[4096];
        int fd;

        snprintf(path, sizeof(path), "%s%s", plan, suffix);
        fd = open(path, O_RDONLY | O_CLOEXEC);
        if (fd < 0)
                die(path, NULL);
        return fd;
}

/* A copy in memory that everybody may execute, as clade has of its own binaries. */
static int own_image(void)
{
        int file = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
        int image = memfd_create("floor", MFD_CLOEXEC);
        struct stat st;
        char path[32];

        if (file < 0 || image < 0 || fstat(file, &st) < 0 ||
            sendfile(image, file, NULL, (size_t)st.st_size) != st.st_size ||
            fchmod(image, 0555) < 0)
                die("a copy of this program", NULL);
        fd_close(file);
        /* What is open for writing cannot be executed. */
        snprintf(path, sizeof(path), "/proc/self/fd/%d", image);
        file = open(path, O_RDONLY | O_CLOEXEC);
        if (file < 0)
                die(path, NULL);
        fd_close(image);
        return file;
}

static int start(const char *plan, char *program)
{
        int word[2], tether[2], launch_fd = open_file(plan, PLAN_IMAGE_LAUNCH);
        int parent_fd = open_file(plan, PLAN_IMAGE_PARENT), image = own_image(), pidfd;
        char title[] = "confined";
        char *arguments[] = {title, program, NULL}, *environment[] = {NULL};
        struct error error = ERROR_INIT;
        enum isolation_step_id step;
        struct plan_image_parent parent;
        struct codec_memory memory;
        struct launch launch;
        siginfo_t info;
        int64_t begin;
        pid_t pid;

        if (launch_read(launch_fd, &launch, &memory, &error) < 0)
                die("the plan", &error);
        if (read(parent_fd, &parent, sizeof(parent)) != (ssize_t)sizeof(parent))
                die("the plan", NULL);
        launch.plan.counts = parent.counts;
        signal(SIGPIPE, SIG_IGN);

        begin = now_ns();
        make_pipe(word);
        make_pipe(tether);
        {
                const int descriptors[PROTOTYPE_FD_FIRST] = {
                        [0] = open("/dev/null", O_RDONLY | O_CLOEXEC),
                        [1] = word[1],
                        [2] = STDERR_FILENO,
                        [PROTOTYPE_FD_PLAN] = launch_fd,
                        [PROTOTYPE_FD_ORDERS] = tether[0],
                        [PROTOTYPE_FD_REPORTS] = -1,
                        [PROTOTYPE_FD_MODULE] = -1,
                        [PROTOTYPE_FD_SCOREBOARD] = -1,
                        [PROTOTYPE_FD_KICK] = -1,
                };
                const struct isolation_clone clone = {
                        .plan = &launch.plan,
                        .executable = image,
                        .arguments = arguments,
                        .environment = environment,
                        .descriptors = descriptors,
                        .descriptor_count = ARRAY_SIZE(descriptors),
                        .first_source = PROTOTYPE_FD_FIRST,
                        .cgroup = -1,
                        .failed = clone_failed,
                };

                if (isolation_clone(&clone, &pid, &pidfd, &step, &error) < 0)
                        die(isolation_step_name(step), &error);
        }
        fd_close(word[1]);
        await_word(word[0], begin);
        pidfd_send_signal(pidfd, SIGKILL, NULL, 0);
        waitid(P_PIDFD, (id_t)pidfd, &info, WEXITED);
        return EXIT_SUCCESS;
}

static _Noreturn void worker(const struct isolation *isolation, char *program)
{
        char *arguments[] = {program, NULL}, *environment[] = {NULL};
        enum isolation_step_id step;
        struct error error = ERROR_INIT;

        signals_reset();
        if (setsid() < 0 || prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) < 0)
                die("worker", NULL);
        if (isolation_confine_worker(&isolation->plan->worker_filter, isolation->worker_ruleset,
                                     isolation->worker_flags, &step, &error) < 0)
                die(isolation_step_name(step), &error);
        execve(program, arguments, environment);
        die(program, NULL);
}

/* What isolation_clone exec'd: this program, in the new namespaces. */
static int confined(char *program)
{
        struct isolation isolation = {.tether = PROTOTYPE_FD_ORDERS};
        struct error error = ERROR_INIT;
        enum isolation_step_id step;
        struct codec_memory memory;
        struct launch launch;
        int sources[256];
        pid_t pid;

        if (launch_read(PROTOTYPE_FD_PLAN, &launch, &memory, &error) < 0)
                die("the plan", &error);
        fd_close(PROTOTYPE_FD_PLAN);
        if (launch.plan.source_count > ARRAY_SIZE(sources))
                die("more sources than this program has room for", NULL);
        for (size_t i = 0; i < launch.plan.source_count; i++)
                sources[i] = PROTOTYPE_FD_FIRST + (int)i;
        isolation.plan = &launch.plan;
        isolation.sources = sources;
        if (isolation_apply(&isolation, &step, &error) < 0)
                die(isolation_step_name(step), &error);
        for (size_t i = 0; i < launch.plan.source_count; i++)
                fd_close(sources[i]);
        pid = fork();
        if (pid < 0)
                die("clone of the worker", NULL);
        if (pid == 0)
                worker(&isolation, program);
        while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
                ;
        return EXIT_SUCCESS;
}

/* --- spawn ------------------------------------------------------------------------------------ */

static int spawn(char **arguments)
{
        posix_spawn_file_actions_t actions;
        int word[2], status;
        int64_t begin;
        pid_t pid;

        begin = now_ns();
        make_pipe(word);
        if (posix_spawn_file_actions_init(&actions) ||
            posix_spawn_file_actions_adddup2(&actions, word[1], STDOUT_FILENO) ||
            posix_spawn(&pid, arguments[0], &actions, NULL, arguments, environ))
                die(arguments[0], NULL);
        fd_close(word[1]);
        await_word(word[0], begin);
        kill(pid, SIGKILL);
        waitpid(pid, &status, 0);
        return EXIT_SUCCESS;
}

int main(int argc, char **argv)
{
        if (argc == 2 && strcmp(argv[0], "confined") == 0)
                return confined(argv[1]);
        if (argc == 4 && strcmp(argv[1], "start") == 0)
                return start(argv[2], argv[3]);
        if (argc > 2 && strcmp(argv[1], "spawn") == 0)
                return spawn(argv + 2);
        fprintf(stderr, "usage: floor start PLAN PROGRAM | spawn PROGRAM ARG...\n");
        return 2;
}
