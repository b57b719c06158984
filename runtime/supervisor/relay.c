#include "runtime/supervisor/relay.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/pidfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/own.h"

#define PATIENCE_US UINT64_C(1000000)
#define ACCURACY_US UINT64_C(10000)
#define STACK_SIZE  ((size_t)64 << 10)

int relay_lanes_init(struct relay_lanes *lanes, size_t count)
{
        /* Two more: the account and the program. */
        *lanes = (struct relay_lanes){.fds = calloc(2 * count + 2, sizeof(int)), .room = 2 * count};
        return lanes->fds ? 0 : -ENOMEM;
}

void relay_lanes_finish(struct relay_lanes *lanes)
{
        for (size_t i = 0; i < lanes->count; i++)
                fd_close(lanes->fds[i]);
        free(TAKE_PTR(lanes->fds));
        lanes->count = lanes->room = 0;
}

void relay_lanes_add(struct relay_lanes *lanes, int from, int to)
{
        lanes->fds[lanes->count++] = from;
        lanes->fds[lanes->count++] = to;
}

struct birth {
        const struct relay_lanes *lanes;
        int account, image;
        char *const *arguments;
};

/* In the child, on the supervisor's memory and a stack of its own, while the supervisor waits for the exec: a copy
 * of that memory would be made for nothing. Only descriptors, mask, session and directory are its own.
 * Nothing but the lanes and the account crosses the exec. */
static int become_relay(void *userdata)
{
        const struct birth *birth = userdata;
        const struct relay_lanes *lanes = birth->lanes;
        char *environment[] = {NULL};
        size_t program = lanes->count + 1;
        sigset_t all;

        /* Nobody's signals but SIGKILL; SIGPIPE is ignored already. */
        sigfillset(&all);
        sigprocmask(SIG_BLOCK, &all, NULL);
        setsid();
        lanes->fds[lanes->count] = birth->account;
        lanes->fds[program] = birth->image;
        if (fd_arrange(lanes->fds, program + 1, 0) == 0 && fd_cloexec((int)program, true) == 0 &&
            chdir("/") == 0)
                execveat((int)program, "", birth->arguments, environment, AT_EMPTY_PATH);
        return EXIT_FAILURE;
}

static int on_death(sd_event_source *source, int fd, uint32_t revents, void *userdata)
{
        struct relay *relay = userdata;
        siginfo_t end = {.si_pid = 0};

        (void)source;
        (void)revents;
        waitid(P_PIDFD, (id_t)fd, &end, WEXITED | WNOHANG | WNOWAIT);
        relay->death = sd_event_source_disable_unref(relay->death);
        relay->patience = sd_event_source_disable_unref(relay->patience);
        relay->ended(relay->context, end.si_code == CLD_EXITED && end.si_status == 0);
        return 0;
}

int relay_start(struct relay *relay, sd_event *event, int image, const char *name,
                const struct relay_lanes *lanes, void (*ended)(void *context, bool orderly),
                void *context, struct error *error)
{
        cleanup_free char *stack = malloc(STACK_SIZE);
        cleanup_fd int reader = -1, writer = -1;
        char title[160], count[16];
        char *arguments[] = {title, count, NULL};
        struct birth birth = {.lanes = lanes, .image = image, .arguments = arguments};
        int fds[2], r;

        if (!stack)
                return error_set(error, ENOMEM, "stack of the relay");
        if (pipe2(fds, O_CLOEXEC) < 0)
                return error_set(error, errno, "pipe of the relay");
        reader = fds[0];
        birth.account = writer = fds[1];
        r = fd_nonblock(reader, true);
        if (r < 0)
                return error_set(error, -r, "O_NONBLOCK of the relay's pipe");
        snprintf(title, sizeof(title), "clade: relay %s", name);
        snprintf(count, sizeof(count), "%zu", lanes->count / 2);
        if (clone(become_relay, stack + STACK_SIZE, CLONE_VM | CLONE_VFORK | CLONE_PIDFD | SIGCHLD,
                  &birth, &relay->pidfd) < 0)
                return error_set(error, errno, "clone of the relay");
        relay->account = TAKE_FD(reader);
        relay->ended = ended;
        relay->context = context;
        r = sd_event_add_io(event, &relay->death, relay->pidfd, EPOLLIN | EPOLLET, on_death, relay);
        /* After the prototype's reports and its end, which both may come at the same moment. */
        if (r >= 0)
                r = sd_event_source_set_priority(relay->death, SD_EVENT_PRIORITY_NORMAL + 20);
        return r < 0 ? error_set(error, -r, "watching the relay") : 0;
}

static int on_patience(sd_event_source *source, uint64_t usec, void *userdata)
{
        struct relay *relay = userdata;

        (void)source;
        (void)usec;
        relay->patience = sd_event_source_disable_unref(relay->patience);
        pidfd_send_signal(relay->pidfd, SIGKILL, NULL, 0);
        return 0;
}

void relay_expect_end(struct relay *relay)
{
        if (!relay->death || relay->patience)
                return;
        if (sd_event_add_time_relative(sd_event_source_get_event(relay->death), &relay->patience,
                                       CLOCK_MONOTONIC, PATIENCE_US, ACCURACY_US, on_patience,
                                       relay) < 0)
                pidfd_send_signal(relay->pidfd, SIGKILL, NULL, 0);
}

bool relay_alive(const struct relay *relay)
{
        return relay->death != NULL;
}

void relay_abandon(struct relay *relay)
{
        relay->death = sd_event_source_disable_unref(relay->death);
        relay->patience = sd_event_source_disable_unref(relay->patience);
        if (relay->pidfd >= 0)
                pidfd_send_signal(relay->pidfd, SIGKILL, NULL, 0);
        fd_close(TAKE_FD(relay->pidfd));
}

void relay_finish(struct relay *relay, struct relay_account *ret_account)
{
        siginfo_t end;

        *ret_account = (struct relay_account){.lost = {0}};
        relay->death = sd_event_source_disable_unref(relay->death);
        relay->patience = sd_event_source_disable_unref(relay->patience);
        if (relay->pidfd >= 0) {
                pidfd_send_signal(relay->pidfd, SIGKILL, NULL, 0);
                while (waitid(P_PIDFD, (id_t)relay->pidfd, &end, WEXITED) < 0 && errno == EINTR)
                        ;
        }
        if (relay->account >= 0 &&
            read(relay->account, ret_account, sizeof(*ret_account)) != sizeof(*ret_account))
                *ret_account = (struct relay_account){.lost = {0}};
        fd_close(TAKE_FD(relay->account));
        fd_close(TAKE_FD(relay->pidfd));
}
