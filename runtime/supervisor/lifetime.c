/* An application's struct from its making to its end, and what its listeners tell. */
#include <errno.h>
#include <stdlib.h>

#include "base/own.h"
#include "runtime/supervisor/application.h"
#include "runtime/supervisor/scaling.h"

/* The prototype and its workers have the dead socket, and nothing can be handed down to them any more: they
 * are replaced by ones that are born with the new one. */
static void on_reopened(void *context, struct listener *listener)
{
        struct application *application = context;

        log_event(&application->supervisor->log, LOG_INFO, "listener-reopened", application->name,
                  LOG_TEXT_FIELD("listener", listener_address(listener)));
        application_event(application, APPLICATION_LISTENER);
}

static void on_lost(void *context, struct listener *listener, const struct error *error)
{
        struct application *application = context;
        struct error why = ERROR_INIT;

        if (error) {
                why = *error;
        } else {
                error_say(&why, ENOTCONN, "%s was shut down from below",
                          listener_address(listener));
                error_remedy(&why,
                             "a process that inherits a listener must close it, not shut it down");
        }
        log_error(&application->supervisor->log, LOG_WARNING, "listener-lost", application->name,
                  &why, LOG_TEXT_FIELD("listener", listener_address(listener)));
        /* Whoever still has the dead socket may be what keeps the address taken: away with them, then it is
         * opened by the next start. */
        if (error)
                application_event(application, APPLICATION_LISTENER);
        else
                on_reopened(context, listener);
}

static void on_stalled(void *context, struct listener *listener, unsigned seconds, unsigned waiting)
{
        struct application *application = context;
        struct error error = ERROR_INIT;

        error_say(&error, ETIMEDOUT, "connections wait on %s for %u s and nobody accepts them",
                  listener_address(listener), seconds);
        error_remedy(&error,
                     "the application has to accept on the descriptor that it inherits (from 3 "
                     "on, LISTEN_FDS); a program that opens its own socket serves nobody");
        log_error(&application->supervisor->log, LOG_WARNING, "listener-stalled", application->name,
                  &error, LOG_TEXT_FIELD("listener", listener_address(listener)),
                  LOG_NUMBER("waiting", waiting), LOG_NUMBER("seconds", seconds));
}

/* Heard only while nobody is there to accept: scaling.h. */
static void on_arrived(void *context, struct listener *listener)
{
        struct application *application = context;

        (void)listener;
        scaling_consider(application);
        incarnation_flush(application);
}

static void on_flowing(void *context, struct listener *listener)
{
        struct application *application = context;

        log_event(&application->supervisor->log, LOG_INFO, "listener-flowing", application->name,
                  LOG_TEXT_FIELD("listener", listener_address(listener)));
}

int application_watch(struct application *application, struct error *error)
{
        struct watcher *watcher = &application->supervisor->watcher;
        int r = 0;

        if (application->pidfd >= 0)
                r = watcher_add(watcher, application->pidfd, error);
        if (r == 0 && application->relay.pidfd >= 0)
                r = watcher_add(watcher, application->relay.pidfd, error);
        for (uint32_t i = 0; r == 0 && i < application->config->processes.max; i++)
                if (application->workers[i].pidfd >= 0)
                        r = watcher_add(watcher, application->workers[i].pidfd, error);
        return r;
}

void application_look(struct application *application)
{
        for (size_t i = 0; i < application->listener_count; i++)
                if (application->listeners[i])
                        listener_look(application->listeners[i]);
}

int application_create(struct supervisor *supervisor, size_t index,
                       struct application **ret_application)
{
        const struct config *config = supervisor->config;
        struct application *application = calloc(1, sizeof(*application));

        if (!application)
                return -ENOMEM;
        *application = (struct application){
                .supervisor = supervisor,
                .config = &config->applications[index],
                .name = config->applications[index].name,
                .index = index,
                .pidfd = -1,
                .pidns = -1,
                .home = CGROUP_HOME_INIT,
                .relay = RELAY_INIT,
                .orders = -1,
                .reports = -1,
                .scoreboard = -1,
                .kick = -1,
                .listener_events =
                        {
                                .lost = on_lost,
                                .reopened = on_reopened,
                                .stalled = on_stalled,
                                .flowing = on_flowing,
                                .arrived = on_arrived,
                                .context = application,
                        },
        };
        for (size_t i = 0; i < config->listener_count; i++)
                application->listener_count += config->listeners[i].application == index;
        application->listeners = calloc(application->listener_count + 1, sizeof(struct listener *));
        application->workers =
                calloc(application->config->processes.max, sizeof(*application->workers));
        if (!application->listeners || !application->workers) {
                free(application->listeners);
                free(application->workers);
                free(application);
                return -ENOMEM;
        }
        for (uint32_t i = 0; i < application->config->processes.max; i++)
                worker_init(&application->workers[i], application, i);
        *ret_application = application;
        return 0;
}

struct application *application_destroy(struct application *application)
{
        siginfo_t end;

        if (!application)
                return NULL;
        /* Only after a fatal error of the loop is anything left of it here. */
        incarnation_kill(application);
        for (uint32_t i = 0; i < application->config->processes.max; i++) {
                worker_event(&application->workers[i], WORKER_GONE);
                sd_event_source_disable_unref(application->workers[i].timer);
        }
        incarnation_finish(application, &end);
        for (size_t i = 0; i < application->listener_count; i++)
                listener_destroy(application->listeners[i]);
        if (application->sinks_open) {
                output_sink_finish(&application->sinks[0]);
                output_sink_finish(&application->sinks[1]);
        }
        sd_event_source_disable_unref(application->timer);
        sd_event_source_disable_unref(application->tick);
        compiled_destroy(application->compiled);
        free(application->listeners);
        free(application->workers);
        free(application);
        return NULL;
}
