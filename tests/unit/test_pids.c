/* Finding processes by what the kernel says of them, in a real pid namespace. */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/pidfd.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/own.h"
#include "runtime/supervisor/pids.h"

struct family {
        pid_t parent;
        int pidfd;
        uint32_t living, dead; /* pids inside, of a child that waits and of one that is a zombie */
};

/* Pid 1 of a new namespace with two children: told through a pipe, then it waits to be killed. */
static void family_init(struct family *family)
{
        struct clone_args args = {
                .flags = CLONE_NEWUSER | CLONE_NEWPID | CLONE_PIDFD,
                .pidfd = (uint64_t)(uintptr_t)&family->pidfd,
                .exit_signal = SIGCHLD,
        };
        uint32_t numbers[2];
        int fds[2];
        long pid;

        cr_assert_eq(pipe2(fds, O_CLOEXEC), 0);
        pid = syscall(SYS_clone3, &args, sizeof(args));
        cr_assert_geq(pid, 0, "clone3: errno %d", errno);
        if (pid == 0) {
                siginfo_t info;

                numbers[0] = (uint32_t)fork();
                if (numbers[0] == 0)
                        for (;;)
                                pause();
                numbers[1] = (uint32_t)fork();
                if (numbers[1] == 0)
                        _exit(3);
                waitid(P_PID, numbers[1], &info, WEXITED | WNOWAIT);
                if (write(fds[1], numbers, sizeof(numbers)) != sizeof(numbers))
                        _exit(1);
                for (;;)
                        pause();
        }
        close(fds[1]);
        cr_assert_eq(fd_read_full(fds[0], numbers, sizeof(numbers)), sizeof(numbers));
        close(fds[0]);
        family->parent = (pid_t)pid;
        family->living = numbers[0];
        family->dead = numbers[1];
}

/* As the kernel translates, and as on kernels that do not. */
static struct pids_parent parent_of(const struct family *family, bool translates)
{
        return (struct pids_parent){
                .pid = family->parent,
                .nested = true,
                .namespace = translates ? pids_namespace(family->parent) : -1,
        };
}

static void family_finish(struct family *family)
{
        pidfd_send_signal(family->pidfd, SIGKILL, NULL, 0);
        waitpid(family->parent, NULL, 0);
        close(family->pidfd);
}

static void both_numbers(bool translates)
{
        struct error error = ERROR_INIT;
        cleanup_fd int pidfd = -1;
        struct pids_parent parent;
        struct family family;
        char path[64], line[256];
        unsigned outer = 0, inner = 0;
        FILE *status;
        pid_t pid;

        family_init(&family);
        parent = parent_of(&family, translates);
        cr_assert_eq(pids_find(&parent, family.living, &pid, &pidfd, &error), 0, "%s", error.text);
        snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
        status = fopen(path, "re");
        cr_assert(status);
        while (fgets(line, sizeof(line), status))
                if (sscanf(line, "NSpid: %u %u", &outer, &inner) == 2)
                        break;
        fclose(status);
        cr_expect_eq(outer, (unsigned)pid);
        cr_expect_eq(inner, family.living);
        cr_expect_eq(pids_dead(pidfd), 0);
        family_finish(&family);
        cr_expect_eq(pids_dead(pidfd), 1, "pid 1 took it along");
        fd_close(parent.namespace);
}

Test(pids, both_numbers_are_the_kernels)
{
        both_numbers(true);
        both_numbers(false);
}

static void zombie(bool translates)
{
        struct error error = ERROR_INIT;
        cleanup_fd int pidfd = -1;
        struct pids_parent parent;
        struct family family;
        pid_t pid;

        family_init(&family);
        parent = parent_of(&family, translates);
        cr_assert_eq(pids_find(&parent, family.dead, &pid, &pidfd, &error), 0, "%s", error.text);
        cr_expect_eq(pids_dead(pidfd), 1);
        family_finish(&family);
        fd_close(parent.namespace);
}

Test(pids, a_zombie_is_found_too)
{
        zombie(true);
        zombie(false);
}

static void wrong_claims(bool translates)
{
        struct error error = ERROR_INIT;
        struct pids_parent parent, other;
        int pidfd = -1;
        struct family family;
        pid_t pid = 0;

        family_init(&family);
        parent = parent_of(&family, translates);
        other = parent;
        other.pid = getpid();
        cr_expect_eq(pids_find(&parent, 4000, &pid, &pidfd, &error), -ESRCH);
        cr_expect_eq(pids_find(&parent, 0, &pid, &pidfd, &error), -ESRCH);
        cr_expect_eq(pids_find(&parent, UINT32_MAX, &pid, &pidfd, &error), -ESRCH);
        cr_expect_eq(pids_find(&parent, 1, &pid, &pidfd, &error), -ESRCH,
                     "itself is no child of its own");
        cr_expect_eq(pids_find(&other, family.living, &pid, &pidfd, &error), -ESRCH,
                     "somebody else's child");
        cr_expect_eq(pid, 0);
        cr_expect_eq(pidfd, -1);
        family_finish(&family);
        fd_close(parent.namespace);
}

Test(pids, a_claim_that_fits_nobody_is_refused)
{
        wrong_claims(true);
        wrong_claims(false);
}

/* Without a namespace in between the number inside is the number outside; with `nested` that is a lie. */
Test(pids, a_process_without_a_namespace_of_its_own)
{
        struct pids_parent plain = {.pid = getpid(), .namespace = -1};
        struct pids_parent nested = {
                .pid = getpid(), .nested = true, .namespace = pids_namespace(getpid())};
        struct error error = ERROR_INIT;
        cleanup_fd int pidfd = -1;
        pid_t pid = 0, child = fork();

        if (child == 0)
                for (;;)
                        pause();
        cr_expect_eq(pids_find(&nested, (uint32_t)child, &pid, &pidfd, &error), -ESRCH);
        cr_expect_eq(pids_find(&plain, (uint32_t)child, &pid, &pidfd, &error), 0);
        cr_expect_eq(pid, child);
        kill(child, SIGKILL);
        waitpid(child, NULL, 0);
        fd_close(nested.namespace);
}

Test(pids, the_kernel_tells_how_it_ended_where_it_can)
{
        cleanup_fd int pidfd = -1;
        int status = -1;
        pid_t child;

        if (!pids_status_supported())
                cr_skip_test("this kernel is older than 6.15");
        child = fork();
        if (child == 0)
                _exit(42);
        pidfd = pidfd_open(child, 0);
        cr_assert_geq(pidfd, 0);
        cr_assert_gt(poll(&(struct pollfd){.fd = pidfd, .events = POLLIN}, 1, 10000), 0);
        cr_expect_eq(pids_status(pidfd, &status), -EAGAIN, "not reaped yet");
        waitpid(child, NULL, 0);
        cr_assert_eq(pids_status(pidfd, &status), 0);
        cr_expect(WIFEXITED(status) && WEXITSTATUS(status) == 42);
}
