/* One prototype's life: what it gets at its exec, its channels, its end.
 *
 * Everything that can be made beforehand is made here, in the supervisor, and handed down at the exec, since
 * nothing can be handed down later: pipes carry no descriptors. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/pidfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/channel.h"
#include "base/own.h"
#include "isolation/clone.h"
#include "runtime/protocol/descriptors.h"
#include "runtime/protocol/scoreboard.h"
#include "runtime/protocol/steps.h"
#include "runtime/supervisor/application.h"

/* How often the scoreboard is looked at: at once, and then 200 times a second at most; less often where there are many
 * pages, as who kicks may be hostile, and looking costs us a system call for each. */
#define KICK_INTERVAL_US 20000
#define KICK_BURST       4
#define KICK_PAGES       128

/* What goes down, by the supervisor's numbers; the places are those of descriptors.h. */
struct handover {
        int *fds;
        size_t count;
        int orders, reports; /* our ends */
        struct relay_lanes lanes;
};

static void handover_finish(struct handover *handover)
{
        /* Slots that are -1 or borrowed (listeners, images) have been set to -1 before. */
        for (size_t i = 0; i < handover->count; i++)
                fd_close(handover->fds[i]);
        free(handover->fds);
        fd_close(handover->orders);
        fd_close(handover->reports);
        relay_lanes_finish(&handover->lanes);
}

static int make_scoreboard(struct application *application, int *ret_theirs, struct error *error)
{
        cleanup_fd int fd = memfd_create("clade-scoreboard", MFD_CLOEXEC | MFD_ALLOW_SEALING);
        off_t size = (off_t)application->config->processes.max * SCOREBOARD_PAGE;
        char path[64];

        if (fd < 0)
                return error_set(error, errno, "memfd of the scoreboard");
        if (ftruncate(fd, size) < 0)
                return error_set(error, errno, "size of the scoreboard");
        if (fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) < 0)
                return error_set(error, errno, "sealing the scoreboard");
        /* Ours is for reading only: see scoreboard.h. */
        snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
        application->scoreboard = open(path, O_RDONLY | O_CLOEXEC);
        if (application->scoreboard < 0)
                return error_set(error, errno, "opening the scoreboard");
        *ret_theirs = TAKE_FD(fd);
        application->kick = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        if (application->kick < 0)
                return error_set(error, errno, "eventfd of the scoreboard");
        return 0;
}

/* Two pipes with the relay in between: one that the tenant writes to, one that we read. */
static int make_outputs(struct application *application, struct relay_lanes *lanes, int *writers,
                        struct error *error)
{
        size_t count = 2 + 2 * (size_t)application->config->processes.max;
        int ours, theirs[2], r;

        application->outputs = calloc(count, sizeof(*application->outputs));
        if (!application->outputs)
                return error_set(error, ENOMEM, "output of the workers");
        application->output_count = count;
        for (size_t i = 0; i < count; i++) {
                r = output_create(application->supervisor->event, &application->sinks[i % 2],
                                  &application->outputs[i], &ours, error);
                if (r < 0)
                        return r;
                if (pipe2(theirs, O_CLOEXEC) < 0) {
                        r = error_set(error, errno, "pipe of a worker's output");
                        fd_close(ours);
                        return r;
                }
                relay_lanes_add(lanes, theirs[0], ours);
                writers[i] = theirs[1];
        }
        return 0;
}

static int make_channels(struct handover *handover, struct error *error)
{
        /* [0] ours, [1] theirs */
        int orders[2][2], reports[2][2];

        if (channel_packet_pipe(orders[0]) < 0)
                return error_set(error, errno, "packet pipe");
        handover->orders = orders[0][1];
        if (channel_packet_pipe(orders[1]) < 0) {
                fd_close(orders[0][0]);
                return error_set(error, errno, "packet pipe");
        }
        handover->fds[PROTOTYPE_FD_ORDERS] = orders[1][0];
        relay_lanes_add(&handover->lanes, orders[0][0], orders[1][1]);
        if (channel_packet_pipe(reports[0]) < 0)
                return error_set(error, errno, "packet pipe");
        handover->reports = reports[0][0];
        if (channel_packet_pipe(reports[1]) < 0) {
                fd_close(reports[0][1]);
                return error_set(error, errno, "packet pipe");
        }
        handover->fds[PROTOTYPE_FD_REPORTS] = reports[1][1];
        relay_lanes_add(&handover->lanes, reports[1][0], reports[0][1]);
        if (fd_nonblock(handover->orders, true) < 0 || fd_nonblock(handover->reports, true) < 0)
                return error_set(error, errno, "O_NONBLOCK of the packet pipes");
        return 0;
}

/* A descriptor that stays ours is duplicated, so that the handover owns all that it lists. */
static int lend(int fd, int *place, struct error *error)
{
        *place = fcntl(fd, F_DUPFD_CLOEXEC, 0);
        return *place < 0 ? error_set(error, errno, "duplicate of a descriptor") : 0;
}

static int handover_fill(struct application *application, struct handover *handover,
                         struct error *error)
{
        const struct launch *launch = compiled_launch(application->compiled);
        size_t slots = application->config->processes.max;
        size_t first_listener = PROTOTYPE_FD_FIRST + launch->plan.source_count;
        size_t first_output = first_listener + application->listener_count;
        cleanup_free int *writers = malloc((2 + 2 * slots) * sizeof(*writers));
        int module, r;

        handover->count = first_output + 2 * slots;
        handover->fds = malloc(handover->count * sizeof(*handover->fds));
        for (size_t i = 0; handover->fds && i < handover->count; i++)
                handover->fds[i] = -1;
        for (size_t i = 0; writers && i < 2 + 2 * slots; i++)
                writers[i] = -1;
        if (!handover->fds || !writers ||
            relay_lanes_init(&handover->lanes, RELAY_OUTPUTS + 2 + 2 * slots) < 0) {
                handover->count = handover->fds ? handover->count : 0;
                return error_set(error, ENOMEM, "descriptors of the prototype");
        }
        r = make_channels(handover, error);
        if (r == 0)
                r = make_outputs(application, &handover->lanes, writers, error);
        handover->fds[1] = writers[0];
        handover->fds[2] = writers[1];
        for (size_t i = 0; i < 2 * slots; i++)
                handover->fds[first_output + i] = writers[2 + i];
        if (r < 0)
                return r;
        handover->fds[0] = open("/dev/null", O_RDONLY | O_CLOEXEC);
        if (handover->fds[0] < 0)
                return error_set(error, errno, "open of /dev/null");
        handover->fds[PROTOTYPE_FD_PLAN] = launch_write(launch);
        if (handover->fds[PROTOTYPE_FD_PLAN] < 0)
                return error_set(error, -handover->fds[PROTOTYPE_FD_PLAN], "writing the plan");
        r = make_scoreboard(application, &handover->fds[PROTOTYPE_FD_SCOREBOARD], error);
        if (r == 0)
                r = lend(application->kick, &handover->fds[PROTOTYPE_FD_KICK], error);
        if (r < 0)
                return r;
        module = supervisor_module_image(application->supervisor, application->config->module,
                                         error);
        if (module < 0)
                return module;
        r = lend(module, &handover->fds[PROTOTYPE_FD_MODULE], error);
        for (size_t i = 0; r == 0 && i < application->listener_count; i++)
                r = lend(listener_fd(application->listeners[i]), &handover->fds[first_listener + i],
                         error);
        return r;
}

/* In the clone, before its exec: the only way left to say something. */
static void clone_failed(void *context, bool arranged, enum isolation_step_id step,
                         const struct error *error)
{
        const struct handover *handover = context;
        struct report_failed message = MESSAGE_INIT(REPORT_FAILED, message);

        message.step = step;
        message.error = *error;
        channel_send(arranged ? PROTOTYPE_FD_REPORTS : handover->fds[PROTOTYPE_FD_REPORTS],
                     &message, sizeof(message));
}

/* It is over when both are dead: what the prototype said last may still be on its way through the relay. */
static int on_death(sd_event_source *source, int fd, uint32_t revents, void *userdata)
{
        struct application *application = userdata;

        (void)source;
        (void)fd;
        (void)revents;
        application->death = sd_event_source_disable_unref(application->death);
        if (relay_alive(&application->relay))
                relay_expect_end(&application->relay);
        else
                application_event(application, APPLICATION_EXITED);
        return 0;
}

/* Dying processes close their pipes before they are dead, so the relay's end may be heard first. Whoever has closed
 * them and lives on does not do so for long. */
static void on_relay_ended(void *context, bool orderly)
{
        struct application *application = context;
        struct error error = ERROR_INIT;

        if (!application->death) {
                application_event(application, APPLICATION_EXITED);
                return;
        }
        if (orderly) {
                incarnation_kill(application);
                return;
        }
        error_say(&error, EPIPE, "the relay between this application and clade has ended");
        error_remedy(&error, "somebody has killed it, or the machine is out of memory");
        application_fault(application, 0, &error);
}

static int on_orders_writable(sd_event_source *source, int fd, uint32_t revents, void *userdata)
{
        (void)source;
        (void)fd;
        (void)revents;
        incarnation_flush(userdata);
        return 0;
}

static int watch(struct application *application, struct error *error)
{
        sd_event *event = application->supervisor->event;
        int r;

        r = sd_event_add_io(event, &application->death, application->pidfd, EPOLLIN | EPOLLET,
                            on_death, application);
        /* Reports first: what a prototype said before its end is heard before the end. */
        if (r >= 0)
                r = sd_event_source_set_priority(application->death, SD_EVENT_PRIORITY_NORMAL + 10);
        if (r >= 0)
                r = sd_event_add_io(event, &application->reports_source, application->reports,
                                    EPOLLIN, reports_dispatch, application);
        if (r >= 0)
                r = sd_event_add_io(event, &application->orders_source, application->orders,
                                    EPOLLOUT, on_orders_writable, application);
        if (r >= 0)
                r = sd_event_source_set_enabled(application->orders_source, SD_EVENT_OFF);
        if (r >= 0)
                r = sd_event_add_io(event, &application->kick_source, application->kick,
                                    EPOLLIN | EPOLLET, kick_dispatch, application);
        /* A kick costs a look at every slot. */
        if (r >= 0)
                r = sd_event_source_set_ratelimit(
                        application->kick_source,
                        KICK_INTERVAL_US * (1 + application->config->processes.max / KICK_PAGES),
                        KICK_BURST);
        return r < 0 ? error_set(error, -r, "watching the prototype") : 0;
}

int incarnation_start(struct application *application, unsigned *ret_step, struct error *error)
{
        struct supervisor *supervisor = application->supervisor;
        const struct launch *launch = compiled_launch(application->compiled);
        cleanup(handover_finish) struct handover handover = {.orders = -1, .reports = -1};
        char title[160];
        char *arguments[] = {title, NULL};
        char *environment[] = {NULL};
        struct isolation_clone clone = {
                .plan = &launch->plan,
                .executable = supervisor->prototype_image,
                .arguments = arguments,
                .environment = environment,
                .first_source = PROTOTYPE_FD_FIRST,
                .failed = clone_failed,
                .context = &handover,
        };
        enum isolation_step_id step;
        uint64_t since = clock_us();
        int r;

        *ret_step = 0;
        application->started_us = since;
        snprintf(title, sizeof(title), "clade: prototype %s", application->name);
        r = handover_fill(application, &handover, error);
        if (r < 0)
                return r;
        clone.descriptors = handover.fds;
        clone.descriptor_count = handover.count;
        r = cgroup_home_make(application, error);
        if (r < 0) {
                *ret_step = STEP_CGROUP;
                return r;
        }
        clone.cgroup = application->home.fd;
        start_step(application, "descriptors", since);
        since = clock_us();
        r = isolation_clone(&clone, &application->pid, &application->pidfd, &step, error);
        if (r < 0) {
                *ret_step = step;
                return r;
        }
        application->cloned_us = clock_us();
        start_step(application, "clone", since);
        application->orders = TAKE_FD(handover.orders);
        application->reports = TAKE_FD(handover.reports);
        application->phase = PROTOTYPE_STARTING;
        application->seen = 0;
        application->stop_due = false;
        application->announced = false;
        budget_init(&application->messages, 2000 + 16 * application->config->processes.max,
                    1000 + 8 * application->config->processes.max, now_us(supervisor));
        r = watcher_add(&supervisor->watcher, application->pidfd, error);
        if (r < 0)
                return r;
        since = clock_us();
        /* While the prototype is on its way. */
        r = relay_start(&application->relay, supervisor->event, supervisor->relay_image,
                        application->name, &handover.lanes, on_relay_ended, application, error);
        if (r == 0)
                r = watcher_add(&supervisor->watcher, application->relay.pidfd, error);
        if (r < 0)
                return r;
        start_step(application, "relay", since);
        output_assign(application->outputs[0], application->pid, 1);
        output_assign(application->outputs[1], application->pid, 1);
        return watch(application, error);
}

void incarnation_kill(struct application *application)
{
        /* As pid 1 it takes its namespace with it. Where it has none, workers are killed one by one, and
         * each of them has asked to die with its parent. */
        if (application->pidfd >= 0)
                pidfd_send_signal(application->pidfd, SIGKILL, NULL, 0);
        cgroup_home_kill(application);
        /* Nothing more is heard from it; closed, so that the relay does not wait for us to listen. */
        application->reports_source = sd_event_source_disable_unref(application->reports_source);
        fd_close(TAKE_FD(application->reports));
        for (uint32_t i = 0; i < application->config->processes.max; i++)
                worker_signal(&application->workers[i], SIGKILL);
}

void incarnation_finish(struct application *application, siginfo_t *ret_end)
{
        uint64_t allowance = OUTPUT_TURN;
        struct relay_account account;

        *ret_end = (siginfo_t){.si_pid = 0};
        application->death = sd_event_source_disable_unref(application->death);
        application->orders_source = sd_event_source_disable_unref(application->orders_source);
        application->reports_source = sd_event_source_disable_unref(application->reports_source);
        application->kick_source = sd_event_source_disable_unref(application->kick_source);
        /* Killed or dead already: this does not wait for a living one. */
        if (application->pidfd >= 0)
                while (waitid(P_PIDFD, (id_t)application->pidfd, ret_end, WEXITED) < 0 &&
                       errno == EINTR)
                        ;
        cgroup_home_leave(application);
        relay_finish(&application->relay, &account);
        for (size_t i = 0; i < application->output_count; i++)
                output_destroy(application->outputs[i], &allowance);
        for (size_t i = 0; i < ARRAY_SIZE(account.lost); i++)
                if (account.lost[i] > 0)
                        output_sink_lost(&application->sinks[i], account.lost[i]);
        free(application->outputs);
        application->outputs = NULL;
        application->output_count = 0;
        fd_close(TAKE_FD(application->pidfd));
        fd_close(TAKE_FD(application->pidns));
        fd_close(TAKE_FD(application->orders));
        fd_close(TAKE_FD(application->reports));
        fd_close(TAKE_FD(application->scoreboard));
        fd_close(TAKE_FD(application->kick));
        application->pid = 0;
}

/* 1: sent. 0: the pipe is full. */
static int send_order(struct application *application, const void *order, size_t size)
{
        int r = channel_send(application->orders, order, size);

        /* -EPIPE: it is dead, and its pidfd will say so. */
        return r == -EAGAIN ? 0 : 1;
}

static int flush_worker(struct application *application, struct worker *worker)
{
        struct order_acknowledge acknowledge = MESSAGE_INIT(ORDER_ACKNOWLEDGE, acknowledge);
        struct order_clone clone = MESSAGE_INIT(ORDER_CLONE, clone);

        if (worker->acknowledge_due) {
                acknowledge.isolated_pid = worker->isolated_pid;
                if (!send_order(application, &acknowledge, sizeof(acknowledge)))
                        return 0;
                worker->acknowledge_due = false;
        }
        if (worker->clone_due) {
                clone.serial = worker->serial;
                clone.slot = worker->slot;
                worker->ordered_us = clock_us();
                if (!send_order(application, &clone, sizeof(clone)))
                        return 0;
                worker->clone_due = false;
                /* What comes of that is no flood, however often we ask. */
                budget_grant(&application->messages, REPORTS_PER_CLONE);
        }
        return 1;
}

void incarnation_flush(struct application *application)
{
        struct order_stop stop = MESSAGE_INIT(ORDER_STOP, stop);
        int sent = 1;

        if (application->orders < 0)
                return;
        for (uint32_t i = 0; sent && i < application->config->processes.max; i++)
                sent = flush_worker(application, &application->workers[i]);
        if (sent && application->stop_due) {
                sent = send_order(application, &stop, sizeof(stop));
                application->stop_due = !sent;
        }
        sd_event_source_set_enabled(application->orders_source, sent ? SD_EVENT_OFF : SD_EVENT_ON);
}
