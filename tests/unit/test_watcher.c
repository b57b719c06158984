/* What was shared with the watcher dies with whoever shared it, however that dies. */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/pidfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/own.h"
#include "runtime/supervisor/watcher.h"

#define COUNT_MAX 150

/* A process that dies of nothing but SIGKILL. It keeps the descriptors that it was born with until then. */
static pid_t stubborn(void)
{
        pid_t pid = fork();

        if (pid != 0)
                return pid;
        signal(SIGTERM, SIG_IGN);
        for (;;)
                pause();
}

/* A supervisor with a watcher, which has `count` such children watched, and then says so. The children are
 * older than the watcher: without an exec they would keep a copy of its socket. */
static _Noreturn void supervisor(int said, int lives, int count)
{
        struct watcher watcher = WATCHER_INIT;
        struct error error = ERROR_INIT;
        int pidfds[COUNT_MAX];

        for (int i = 0; i < count; i++)
                pidfds[i] = pidfd_open(stubborn(), 0);
        if (watcher_start(&watcher, &error) < 0)
                _exit(1);
        for (int i = 0; i < count; i++)
                if (pidfds[i] < 0 || watcher_add(&watcher, pidfds[i], &error) < 0)
                        _exit(2);
        close(lives);
        if (write(said, "", 1) != 1)
                _exit(3);
        close(said);
        for (;;)
                pause();
}

static void killed_with(int count)
{
        int said[2], lives[2];
        struct pollfd look;
        pid_t pid;
        char byte;

        cr_assert_eq(pipe2(said, O_CLOEXEC), 0);
        cr_assert_eq(pipe2(lives, O_CLOEXEC), 0);
        pid = fork();
        if (pid == 0)
                supervisor(said[1], lives[1], count);
        close(said[1]);
        close(lives[1]);
        cr_assert_eq(read(said[0], &byte, 1), 1);
        close(said[0]);
        look = (struct pollfd){.fd = lives[0], .events = POLLIN};
        cr_expect_eq(poll(&look, 1, 100), 0, "somebody died too early");
        kill(pid, SIGKILL);
        waitpid(pid, NULL, 0);
        cr_expect_eq(poll(&look, 1, 5000), 1, "they live on");
        cr_expect_eq(read(lives[0], &byte, 1), 0);
        close(lives[0]);
}

Test(watcher, all_die_when_the_supervisor_is_killed)
{
        killed_with(1);
        killed_with(COUNT_MAX); /* more than it has room for at first */
}

Test(watcher, an_orderly_end_leaves_nothing)
{
        struct watcher watcher = WATCHER_INIT;
        struct error error = ERROR_INIT;
        cleanup_fd int pidfd = -1;
        siginfo_t info;
        pid_t pid;

        pid = stubborn();
        cr_assert_eq(watcher_start(&watcher, &error), 0, "%s", error.text);
        pidfd = pidfd_open(pid, 0);
        cr_assert_eq(watcher_add(&watcher, pidfd, &error), 0, "%s", error.text);
        watcher_finish(&watcher);
        cr_assert_eq(waitid(P_PID, (id_t)pid, &info, WEXITED), 0);
        cr_expect(info.si_code == CLD_KILLED && info.si_status == SIGKILL);
        cr_expect_eq(waitpid(-1, NULL, WNOHANG), -1);
        watcher_finish(&watcher); /* once more is no harm */
}
