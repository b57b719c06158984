/* What a tenant can do to the supervisor from inside of its prototype, where clade's channels are open: each
 * function is one attack, to be named with "preload". Most never return. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "runtime/protocol/descriptors.h"
#include "runtime/protocol/messages.h"
#include "runtime/protocol/scoreboard.h"
#include "serve.h"

#define EXPORT __attribute__((visibility("default")))

EXPORT int clade_main(const struct clade_native *native);
EXPORT int sends_garbage(void);
EXPORT int sends_halves(void);
EXPORT int sends_too_much(void);
EXPORT int floods_reports(void);
EXPORT int floods_kicks(void);
EXPORT int closes_reports(void);
EXPORT int says_ready_twice(void);
EXPORT int claims_many_steps(void);
EXPORT int says_cloned_early(void);
EXPORT int claims_stranger(void);
EXPORT int claims_itself(void);
EXPORT int claims_grandchild(void);
EXPORT int claims_other_slot(void);
EXPORT int claims_other_serial(void);
EXPORT int claims_end_of_living(void);
EXPORT int claims_impossible_end(void);
EXPORT int claims_failure_of_nobody(void);
EXPORT int reads_no_orders(void);
EXPORT int fills_kick(void);
EXPORT int spoils_scoreboard(void);
EXPORT int steals_channels(void);
EXPORT int clings_to_life(void);
EXPORT int execs_from_a_thread(void);
EXPORT int holds_its_pipes(void);
EXPORT int multiplies(void);

static void hello(const struct request *request, struct answer *answer)
{
        answer_print(answer, "%s %u %d\n", request->native->application, request->native->slot,
                     (int)getpid());
}

int clade_main(const struct clade_native *native)
{
        return serve(native, hello);
}

static _Noreturn void rest(void)
{
        for (;;)
                pause();
}

static void say(const void *message, size_t size)
{
        if (write(PROTOTYPE_FD_REPORTS, message, size) < 0 && errno == EBADF)
                abort();
}

static void say_ready(void)
{
        struct report_ready ready = MESSAGE_INIT(REPORT_READY, ready);

        say(&ready, sizeof(ready));
}

/* Ready, and then the first order, which is to clone. */
static struct order_clone await_order(void)
{
        struct order_clone order = {.slot = 0};
        char packet[MESSAGE_MAX];
        ssize_t n;

        say_ready();
        do
                n = read(PROTOTYPE_FD_ORDERS, packet, sizeof(packet));
        while (n < 0);
        memcpy(&order, packet, (size_t)n < sizeof(order) ? (size_t)n : sizeof(order));
        return order;
}

static _Noreturn void claim(const struct order_clone *order, pid_t pid)
{
        struct report_cloned cloned = MESSAGE_INIT(REPORT_CLONED, cloned);

        cloned.serial = order->serial;
        cloned.slot = order->slot;
        cloned.isolated_pid = (uint32_t)pid;
        say(&cloned, sizeof(cloned));
        rest();
}

/* Does as it is told, once, so that there is a worker that something can be said about. */
static pid_t clone_honestly(void)
{
        struct report_cloned cloned = MESSAGE_INIT(REPORT_CLONED, cloned);
        struct order_clone order = await_order();
        pid_t child = fork();

        if (child == 0)
                rest();
        cloned.serial = order.serial;
        cloned.slot = order.slot;
        cloned.isolated_pid = (uint32_t)child;
        say(&cloned, sizeof(cloned));
        return child;
}

int sends_garbage(void)
{
        char packet[PIPE_BUF];

        for (unsigned n = 1;; n = n * 1103515245 + 12345) {
                size_t size = 1 + n % sizeof(packet);

                memset(packet, (int)(n >> 16), size);
                say(packet, size);
        }
}

/* Headers that promise more than there is. */
int sends_halves(void)
{
        struct report_failed failed = MESSAGE_INIT(REPORT_FAILED, failed);

        for (;;)
                say(&failed, sizeof(failed) / 2);
}

int sends_too_much(void)
{
        static char much[1 << 20];

        for (;;)
                say(much, sizeof(much));
}

/* What is allowed as often as one likes, but for the budget. */
int floods_reports(void)
{
        struct report_worker started = MESSAGE_INIT(REPORT_STARTED, started);

        started.isolated_pid = (uint32_t)clone_honestly();
        for (;;)
                say(&started, sizeof(started));
}

int floods_kicks(void)
{
        for (;;)
                eventfd_write(PROTOTYPE_FD_KICK, 1);
}

int closes_reports(void)
{
        close(PROTOTYPE_FD_REPORTS);
        rest();
}

/* More of them than the message has room for. */
int claims_many_steps(void)
{
        struct report_ready ready = MESSAGE_INIT(REPORT_READY, ready);

        ready.step_count = UINT32_MAX;
        say(&ready, sizeof(ready));
        rest();
}

int says_ready_twice(void)
{
        say_ready();
        say_ready();
        rest();
}

int says_cloned_early(void)
{
        struct order_clone order = {.serial = 1};

        claim(&order, 2);
}

int claims_stranger(void)
{
        struct order_clone order = await_order();

        claim(&order, 4242);
}

int claims_itself(void)
{
        struct order_clone order = await_order();

        claim(&order, getpid());
}

int claims_grandchild(void)
{
        struct order_clone order = await_order();
        int line[2];
        pid_t grandchild;

        if (pipe2(line, O_CLOEXEC) < 0)
                return 1;
        if (fork() == 0) {
                grandchild = fork();
                if (grandchild > 0 && write(line[1], &grandchild, sizeof(grandchild)) < 0)
                        abort();
                rest();
        }
        if (read(line[0], &grandchild, sizeof(grandchild)) != sizeof(grandchild))
                return 1;
        claim(&order, grandchild);
}

int claims_other_slot(void)
{
        struct order_clone order = await_order();
        pid_t child = fork();

        if (child == 0)
                rest();
        order.slot += 4000000000u;
        claim(&order, child);
}

int claims_other_serial(void)
{
        struct order_clone order = await_order();
        pid_t child = fork();

        if (child == 0)
                rest();
        order.serial++;
        claim(&order, child);
}

int claims_end_of_living(void)
{
        struct report_exited exited = MESSAGE_INIT(REPORT_EXITED, exited);

        exited.isolated_pid = (uint32_t)clone_honestly();
        say(&exited, sizeof(exited));
        rest();
}

int claims_impossible_end(void)
{
        struct report_exited exited = MESSAGE_INIT(REPORT_EXITED, exited);

        exited.isolated_pid = (uint32_t)clone_honestly();
        kill((pid_t)exited.isolated_pid, SIGKILL);
        usleep(20000);
        exited.signal = 4000000000u;
        say(&exited, sizeof(exited));
        rest();
}

int claims_failure_of_nobody(void)
{
        struct report_worker_failed failed = MESSAGE_INIT(REPORT_WORKER_FAILED, failed);

        /* No NUL anywhere, where the supervisor expects text. */
        memset(&failed.error, 'A', sizeof(failed.error));
        failed.isolated_pid = 4242;
        failed.step = UINT32_MAX;
        await_order();
        say(&failed, sizeof(failed));
        rest();
}

int reads_no_orders(void)
{
        say_ready();
        rest();
}

/* --- what breaks no rule, and must not matter ------------------------------------------------- */

/* Full: who adds to it would have to wait. */
int fills_kick(void)
{
        eventfd_write(PROTOTYPE_FD_KICK, UINT64_MAX - 1);
        eventfd_write(PROTOTYPE_FD_KICK, UINT64_MAX - 1);
        return 0;
}

int spoils_scoreboard(void)
{
        void *page = mmap(NULL, SCOREBOARD_PAGE, PROT_READ | PROT_WRITE, MAP_SHARED,
                          PROTOTYPE_FD_SCOREBOARD, 0);

        if (page == MAP_FAILED)
                return 1;
        memset(page, 0xff, SCOREBOARD_PAGE);
        eventfd_write(PROTOTYPE_FD_KICK, 1);
        madvise(page, SCOREBOARD_PAGE, MADV_REMOVE);
        fallocate(PROTOTYPE_FD_SCOREBOARD, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0,
                  SCOREBOARD_PAGE);
        if (ftruncate(PROTOTYPE_FD_SCOREBOARD, 0) == 0 ||
            fcntl(PROTOTYPE_FD_SCOREBOARD, F_ADD_SEALS, F_SEAL_WRITE) == 0)
                return 2;
        eventfd_write(PROTOTYPE_FD_KICK, 1);
        munmap(page, SCOREBOARD_PAGE);
        return 0;
}

/* Other ends of the pipes, other sizes, other flags; a socket that takes its time to close. */
int steals_channels(void)
{
        struct linger linger = {1, 60};
        int listener = PROTOTYPE_FD_FIRST;

        for (int fd = PROTOTYPE_FD_ORDERS; fd <= PROTOTYPE_FD_REPORTS; fd++) {
                fcntl(fd, F_SETPIPE_SZ, 4096);
                fcntl(fd, F_SETFL, O_RDWR | O_NONBLOCK);
                fcntl(fd, F_SETFL, O_RDWR);
        }
        for (; listener < 64; listener++)
                setsockopt(listener, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
        return 0;
}

/* Everything that could keep it alive without its supervisor. It never gets ready. */
int clings_to_life(void)
{
        static const char *const pipes[] = {"/proc/self/fd/4", "/proc/self/fd/5", "/proc/self/fd/1",
                                            "/proc/self/fd/2"};

        prctl(PR_SET_PDEATHSIG, 0);
        for (int number = 1; number < NSIG; number++)
                signal(number, SIG_IGN);
        for (size_t i = 0; i < sizeof(pipes) / sizeof(pipes[0]); i++)
                if (open(pipes[i], O_RDWR | O_CLOEXEC) < 0)
                        continue;
        if (fork() == 0) {
                setsid();
                if (fork() == 0)
                        rest();
        }
        rest();
}

/* The wish to die with one's parent is a thread's own; the thread that execs takes the process over. */
static void *exec_sleep(void *nothing)
{
        (void)nothing;
        execl("/bin/sleep", "sleep", "1000", (char *)NULL);
        return NULL;
}

int execs_from_a_thread(void)
{
        pthread_t thread;

        if (pthread_create(&thread, NULL, exec_sleep, NULL) != 0)
                return 1;
        rest();
}

/* As many as there can be, and each goes on. It never gets ready. */
int multiplies(void)
{
        for (;;)
                if (fork() < 0)
                        usleep(1000);
}

/* --- a write that takes its time: the kernel holds a pipe's lock while it copies, the copy faults, and the
 * fault waits for whoever changes this address space, which is a fork that has much to copy. --------------- */

#define MAPPING_SIZE ((size_t)64 << 20)
#define MAPPINGS     300
#define SLOW_MS      60

static void *forks_without_end(void *unused)
{
        for (;;) {
                pid_t pid = fork();

                if (pid == 0)
                        _exit(0);
                if (pid > 0)
                        waitpid(pid, NULL, 0);
        }
        return unused;
}

/* Page tables are what a fork copies: private mappings of the same pages over and over cost nothing else. */
static void grow_page_tables(void)
{
        int fd = memfd_create("pages", MFD_CLOEXEC);

        if (fd < 0 || ftruncate(fd, (off_t)MAPPING_SIZE) < 0)
                return;
        for (int i = 0; i < MAPPINGS; i++) {
                char *pages =
                        mmap(NULL, MAPPING_SIZE, PROT_READ, MAP_PRIVATE | MAP_POPULATE, fd, 0);

                if (pages == MAP_FAILED)
                        return;
                mprotect(pages, MAPPING_SIZE, PROT_READ | PROT_WRITE);
                pages[0] = 1; /* without a page of its own a mapping is not copied at all */
        }
}

static long milliseconds(void)
{
        struct timespec now;

        clock_gettime(CLOCK_MONOTONIC, &now);
        return now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

int holds_its_pipes(void)
{
        char *fresh = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        pthread_t thread;

        if (fresh == MAP_FAILED)
                return 1;
        grow_page_tables();
        if (pthread_create(&thread, NULL, forks_without_end, NULL))
                return 1;
        for (;;) {
                long start;

                /* Something to read for whoever watches this pipe, and then the lock is taken. */
                if (write(STDOUT_FILENO, "\n", 1) < 0)
                        return 1;
                madvise(fresh, 4096, MADV_DONTNEED);
                start = milliseconds();
                if (write(STDOUT_FILENO, fresh, 100) < 0)
                        return 1;
                if (milliseconds() - start > SLOW_MS)
                        dprintf(STDERR_FILENO, "held it for %ld ms\n", milliseconds() - start);
        }
}
