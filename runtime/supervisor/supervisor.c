/* The supervisor's story.
 *
 * We are what the user started, with what the user has, less the capabilities that this work does not need.
 * We own the listeners and one machine for each application (application.c); we hear what happens from
 * pidfds, timers, signals and the packet pipes of prototypes, and believe only the first three. We never
 * run, load or parse anything of a tenant's.
 *
 *   prepare      limits, sealed copies of our own binaries, fewer capabilities
 *   start        each application begins; one that cannot is reported and tried again, alone
 *   loop
 *   stop         SIGTERM or SIGINT: finish, then stop; again, or SIGQUIT: stop now
 */
#include "runtime/supervisor/supervisor.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/own.h"
#include "runtime/supervisor/application.h"
#include "runtime/supervisor/image.h"
#include "runtime/supervisor/pids.h"
#include "runtime/supervisor/privileges.h"

/* timeout(1) and some shells signal a process and then its group: that is one wish, not two. */
#define AGAIN_US UINT64_C(500000)

#define LOOK_US UINT64_C(1000000)

static bool may_connect(const struct application *application)
{
        return application->config->isolation.network == CONFIG_NETWORK_HOST &&
               application->listener_count > 0;
}

static void stop_all(struct supervisor *supervisor, enum application_event event)
{
        supervisor->stopping = true;
        for (size_t i = 0; i < supervisor->application_count; i++)
                application_event(supervisor->applications[i], event);
        supervisor_application_changed(supervisor);
}

static int on_signal(sd_event_source *source, const struct signalfd_siginfo *info, void *userdata)
{
        struct supervisor *supervisor = userdata;
        uint64_t time = now_us(supervisor);
        bool again = supervisor->stopping && time - supervisor->stopped_us >= AGAIN_US;
        bool now = info->ssi_signo == SIGQUIT || again;

        (void)source;
        if (supervisor->stopping && !now)
                return 0;
        supervisor->stopped_us = time;
        log_event(&supervisor->log, LOG_INFO, "stopping", NULL,
                  LOG_NUMBER("signal", info->ssi_signo),
                  LOG_TEXT_FIELD("how", now ? "now" : "finish"));
        stop_all(supervisor, now ? APPLICATION_STOP_NOW : APPLICATION_STOP);
        return 0;
}

/* Of those that can connect(), the listeners are looked at each second (listener.h). */
static int on_look(sd_event_source *source, uint64_t usec, void *userdata)
{
        struct supervisor *supervisor = userdata;

        (void)source;
        (void)usec;
        for (size_t i = 0; i < supervisor->application_count; i++)
                if (may_connect(supervisor->applications[i]))
                        application_look(supervisor->applications[i]);
        return timer_arm(supervisor, &supervisor->look, LOOK_US, on_look, supervisor);
}

/* One after the other, and only when there is nothing else to do: those that were started before are heard in
 * between, so that their time does not run out meanwhile, and so is whoever wants us to stop. */
static int on_starting(sd_event_source *source, void *userdata)
{
        struct supervisor *supervisor = userdata;

        if (supervisor->stopping || supervisor->started == supervisor->application_count)
                return sd_event_source_set_enabled(source, SD_EVENT_OFF);
        application_event(supervisor->applications[supervisor->started++], APPLICATION_START);
        return 0;
}

/* Looks at the whole; from the loop, never from inside of an application's machine. */
static int on_changed(sd_event_source *source, void *userdata)
{
        struct supervisor *supervisor = userdata;
        size_t stopped = 0, failed = 0;

        sd_event_source_set_enabled(source, SD_EVENT_OFF);
        for (size_t i = 0; i < supervisor->application_count; i++) {
                const struct application *application = supervisor->applications[i];

                stopped += application->state == APPLICATION_STOPPED;
                failed += application->launched && application->failed;
        }
        if (supervisor->stopping) {
                if (stopped == supervisor->application_count)
                        sd_event_exit(supervisor->event, 0);
                return 0;
        }
        if (failed > 0 && failed == supervisor->application_count) {
                log_event(&supervisor->log, LOG_ERROR, "nothing-started", NULL,
                          LOG_TEXT_FIELD("message", "no application could start"));
                supervisor->status = EXIT_FAILURE;
                stop_all(supervisor, APPLICATION_STOP_NOW);
        }
        return 0;
}

void supervisor_application_changed(struct supervisor *supervisor)
{
        sd_event_source_set_enabled(supervisor->changed, SD_EVENT_ONESHOT);
}

int supervisor_module_image(struct supervisor *supervisor, const struct catalogue_module *module,
                            struct error *error)
{
        for (size_t i = 0; i < supervisor->catalogue->count; i++) {
                if (supervisor->catalogue->modules[i] != module)
                        continue;
                if (supervisor->module_images[i] < 0)
                        supervisor->module_images[i] = image_copy(module->fd, module->type, error);
                return supervisor->module_images[i];
        }
        return error_set(error, ENOENT, "module %s", module->type);
}

/* Somebody killed it: what runs goes on under another one, or, if that cannot be, not at all. */
static int on_watcher_death(sd_event_source *source, int fd, uint32_t revents, void *userdata)
{
        struct supervisor *supervisor = userdata;
        struct error error = ERROR_INIT;
        int r;

        (void)fd;
        (void)revents;
        sd_event_source_disable_unref(sd_event_source_ref(source));
        watcher_finish(&supervisor->watcher);
        r = watcher_start(&supervisor->watcher, &error);
        if (r == 0)
                r = cgroup_tree_watch(supervisor, &error);
        if (r == 0)
                r = sd_event_add_io(supervisor->event, NULL, supervisor->watcher.pidfd, EPOLLIN,
                                    on_watcher_death, supervisor);
        for (size_t i = 0; r >= 0 && i < supervisor->application_count; i++)
                r = application_watch(supervisor->applications[i], &error);
        log_event(&supervisor->log, LOG_WARNING, "watcher-replaced", NULL,
                  LOG_TEXT_FIELD("message",
                                 "the process that ends applications with their supervisor "
                                 "was killed"));
        if (r >= 0)
                return 0;
        log_error(&supervisor->log, LOG_ERROR, "failed", NULL, &error);
        supervisor->status = EXIT_FAILURE;
        stop_all(supervisor, APPLICATION_STOP_NOW);
        return 0;
}

/* --- prepare ------------------------------------------------------------------------------------ */

/* Descriptors are what many applications need most of. The soft limit is for programs that use select. */
static void raise_descriptor_limit(void)
{
        struct rlimit limit;

        if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < limit.rlim_max) {
                limit.rlim_cur = limit.rlim_max;
                setrlimit(RLIMIT_NOFILE, &limit);
        }
}

static int add_signals(struct supervisor *supervisor)
{
        static const int signals[] = {SIGTERM, SIGINT, SIGQUIT, SIGHUP};
        sigset_t set;
        int r = 0;

        sigemptyset(&set);
        for (size_t i = 0; i < ARRAY_SIZE(signals); i++)
                sigaddset(&set, signals[i]);
        if (sigprocmask(SIG_BLOCK, &set, NULL) < 0)
                return -errno;
        signal(SIGPIPE, SIG_IGN);
        signal(SIGXFSZ, SIG_IGN); /* a log file that may not grow is an error like a full disk */
        for (size_t i = 0; r >= 0 && i < ARRAY_SIZE(signals); i++)
                r = sd_event_add_signal(supervisor->event, NULL, signals[i], on_signal, supervisor);
        return r;
}

static int prepare(struct supervisor *supervisor, struct error *error)
{
        size_t modules = supervisor->catalogue->count;
        int r;

        raise_descriptor_limit();
        filters_remember(&supervisor->filters, supervisor->config);
        supervisor->exit_codes = pids_status_supported();
        supervisor->prototype_image =
                image_open(supervisor->paths->prototype, "clade-prototype", error);
        if (supervisor->prototype_image < 0)
                return supervisor->prototype_image;
        supervisor->relay_image = image_open(supervisor->paths->relay, "clade-relay", error);
        if (supervisor->relay_image < 0)
                return supervisor->relay_image;
        supervisor->module_images = malloc((modules + 1) * sizeof(int));
        supervisor->applications =
                calloc(supervisor->config->application_count + 1, sizeof(struct application *));
        if (!supervisor->module_images || !supervisor->applications)
                return error_set(error, ENOMEM, "starting");
        for (size_t i = 0; i < modules; i++)
                supervisor->module_images[i] = -1;
        r = privileges_trim(error);
        if (r < 0)
                return r;
        cgroup_tree_open(supervisor);
        /* Before there is anything that it should not have a copy of. */
        r = watcher_start(&supervisor->watcher, error);
        if (r == 0)
                r = cgroup_tree_watch(supervisor, error);
        if (r < 0)
                return r;
        r = sd_event_new(&supervisor->event);
        if (r >= 0)
                r = sd_event_add_io(supervisor->event, NULL, supervisor->watcher.pidfd, EPOLLIN,
                                    on_watcher_death, supervisor);
        if (r >= 0)
                r = add_signals(supervisor);
        if (r >= 0)
                r = sd_event_add_defer(supervisor->event, &supervisor->changed, on_changed,
                                       supervisor);
        if (r >= 0)
                r = sd_event_source_set_enabled(supervisor->changed, SD_EVENT_OFF);
        if (r >= 0)
                r = sd_event_add_defer(supervisor->event, &supervisor->starting, on_starting,
                                       supervisor);
        if (r >= 0)
                r = sd_event_source_set_enabled(supervisor->starting, SD_EVENT_ON);
        if (r >= 0)
                r = sd_event_source_set_priority(supervisor->starting, SD_EVENT_PRIORITY_IDLE);
        for (size_t i = 0; r >= 0 && i < supervisor->config->application_count; i++) {
                r = application_create(supervisor, i, &supervisor->applications[i]);
                supervisor->application_count += r >= 0;
        }
        return r < 0 ? error_set(error, -r, "preparing the event loop") : 0;
}

static void finish(struct supervisor *supervisor)
{
        for (size_t i = 0; i < supervisor->application_count; i++)
                application_destroy(supervisor->applications[i]);
        free(supervisor->applications);
        watcher_finish(&supervisor->watcher);
        cgroup_tree_close(supervisor);
        filters_finish(&supervisor->filters);
        for (size_t i = 0; supervisor->module_images && i < supervisor->catalogue->count; i++)
                fd_close(supervisor->module_images[i]);
        free(supervisor->module_images);
        fd_close(supervisor->prototype_image);
        fd_close(supervisor->relay_image);
        sd_event_source_disable_unref(supervisor->look);
        sd_event_source_disable_unref(supervisor->changed);
        sd_event_source_disable_unref(supervisor->starting);
        sd_event_unref(supervisor->event);
}

int supervisor_run(const struct config *config, const struct catalogue *catalogue,
                   const struct paths *paths, const struct supervisor_options *options)
{
        struct supervisor supervisor = {
                .config = config,
                .catalogue = catalogue,
                .filters = FILTERS_INIT(paths->profiles),
                .paths = paths,
                .log = {.fd = STDERR_FILENO, .format = options->format, .minimum = options->level},
                .cgroups = CGROUP_TREE_INIT,
                .watcher = WATCHER_INIT,
                .prototype_image = -1,
                .relay_image = -1,
                .status = EXIT_SUCCESS,
        };
        struct error error = ERROR_INIT;
        int r = prepare(&supervisor, &error);

        if (r < 0) {
                log_error(&supervisor.log, LOG_ERROR, "failed", NULL, &error);
                finish(&supervisor);
                return EXIT_FAILURE;
        }
        log_event(&supervisor.log, LOG_INFO, "started", NULL, LOG_NUMBER("pid", getpid()),
                  LOG_NUMBER("applications", supervisor.application_count));
        for (size_t i = 0; i < supervisor.application_count; i++) {
                if (may_connect(supervisor.applications[i]))
                        timer_arm(&supervisor, &supervisor.look, LOOK_US, on_look, &supervisor);
        }
        r = sd_event_loop(supervisor.event);
        if (r < 0) {
                error_set(&error, -r, "event loop");
                log_error(&supervisor.log, LOG_ERROR, "failed", NULL, &error);
                supervisor.status = EXIT_FAILURE;
        }
        finish(&supervisor);
        log_event(&supervisor.log, LOG_INFO, "stopped", NULL, LOG_NUMBER("pid", getpid()));
        return supervisor.status;
}
