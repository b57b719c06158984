/* What an application's start needs, in order: descriptors enough, a plan, logs, listeners; then the
 * incarnation. What is kept over the lives of prototypes is made at the first. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/resource.h>

#include "base/own.h"
#include "runtime/compile/ids.h"
#include "runtime/supervisor/application.h"

static int open_sinks(struct application *application, struct error *error)
{
        const struct config_application *config = application->config;
        enum path_links links = ids_links(&compiled_launch(application->compiled)->plan.identity);
        struct log *log = &application->supervisor->log;
        int r;

        if (application->sinks_open)
                return 0;
        budget_init(&application->output_budget, OUTPUT_BURST, OUTPUT_RATE,
                    now_us(application->supervisor));
        r = output_sink_init(&application->sinks[0], log, application->name, "stdout",
                             config->stdout_path, links, &application->output_budget, error);
        if (r < 0)
                return r;
        r = output_sink_init(&application->sinks[1], log, application->name, "stderr",
                             config->stderr_path, links, &application->output_budget, error);
        if (r < 0) {
                output_sink_finish(&application->sinks[0]);
                return r;
        }
        application->sinks_open = true;
        return 0;
}

/* Opened once and kept over the lives of prototypes: clients wait in the queue meanwhile. What a worker has
 * shut down is opened anew before anybody gets it. */
static int open_listeners(struct application *application, struct error *error)
{
        const struct config *config = application->supervisor->config;
        size_t n = 0;
        int r;

        for (size_t i = 0; i < config->listener_count; i++) {
                bool reopened = false;

                if (config->listeners[i].application != application->index)
                        continue;
                r = application->listeners[n]
                            ? listener_check(application->listeners[n], &reopened, error)
                            : listener_create(application->supervisor->event, &config->listeners[i],
                                              &application->listener_events,
                                              &application->listeners[n], error);
                if (r < 0)
                        return r;
                if (reopened)
                        log_event(&application->supervisor->log, LOG_WARNING, "listener-reopened",
                                  application->name,
                                  LOG_TEXT_FIELD("listener", config->listeners[i].address));
                n++;
        }
        return 0;
}

static void compile_notice(void *context, const char *name, const char *text)
{
        log_event(context, LOG_INFO, "notice", name, LOG_TEXT_FIELD("message", text));
}

static int compile(struct application *application, struct error *error)
{
        struct supervisor *supervisor = application->supervisor;
        const struct compile request = {
                .config = application->supervisor->config,
                .template_directory = application->supervisor->paths->templates,
                .filters = &application->supervisor->filters,
                .cgroups = &application->supervisor->cgroups.found,
                .ladder = &supervisor->ladder,
                .remember = true,
                .notice = compile_notice,
                .context = &application->supervisor->log,
        };

        uint64_t since = clock_us();
        int r = 0;

        if (application->compiled)
                return 0;
        /* Once for all applications; and once more after a refusal, as somebody may have mended the host. */
        if (!supervisor->ladder_known)
                r = level_probe(supervisor->config, false, &supervisor->ladder, error);
        if (r == 0 && !supervisor->ladder_known)
                start_step(application, "probe", since);
        since = clock_us();
        if (r == 0)
                r = compile_application(&request, application->index, &application->compiled,
                                        error);
        supervisor->ladder_known = r == 0;
        start_step(application, "compile", since);
        return r;
}

/* All applications of this supervisor and this one together; what each start needs for a moment included. */
static int check_descriptors(struct application *application, struct error *error)
{
        struct supervisor *supervisor = application->supervisor;
        uint64_t need = 64 + 6 * (uint64_t)application->config->processes.max;
        struct rlimit limit;

        for (size_t i = 0; i < supervisor->application_count; i++)
                need += 16 + 3 * (uint64_t)supervisor->applications[i]->config->processes.max;
        need += supervisor->config->listener_count;
        if (getrlimit(RLIMIT_NOFILE, &limit) < 0 || need <= limit.rlim_cur)
                return 0;
        error_say(error, EMFILE,
                  "%u processes: all applications together need %" PRIu64
                  " descriptors in the supervisor, the limit is %" PRIu64,
                  application->config->processes.max, need, (uint64_t)limit.rlim_cur);
        return error_remedy(error, "configure fewer processes, or raise the limit (ulimit -n, "
                                   "LimitNOFILE= of the service)");
}

int application_start(struct application *application, unsigned *ret_step, struct error *error)
{
        int r;

        *ret_step = 0;
        r = check_descriptors(application, error);
        if (r == 0)
                r = compile(application, error);
        if (r == 0)
                r = open_sinks(application, error);
        if (r == 0)
                r = open_listeners(application, error);
        if (r == 0)
                r = incarnation_start(application, ret_step, error);
        return r;
}
