#include "runtime/supervisor/scaling.h"

#include <signal.h>

#include "base/own.h"
#include "runtime/supervisor/application.h"
#include "runtime/supervisor/backlog.h"

#define SECOND       UINT64_C(1000000)
/* While something is watched. Precise enough for limits in seconds, seldom enough for a thousand applications. */
#define TICK_US      UINT64_C(100000)
/* How long a worker has done nothing until it is left to itself: longer than between two kicks of it. */
#define REST_US      (2 * SECOND)
/* Connections under keep-alive wait where nobody sees it: behind a worker that is at work for so long. */
#define BUSY_US      UINT64_C(50000)
/* Ticks for idle_timeout alone. */
#define SLOW_TICK_US SECOND

int scaling_decide(const struct scaling_view *view)
{
        uint32_t ready = view->idle + view->coming, wanted = 0;

        if (ready < view->spare)
                wanted = view->spare - ready;
        /* Somebody waits, or would: at least one for now. Those that come are counted on first. */
        if (view->waiting > ready && wanted < view->waiting - ready)
                wanted = view->waiting - ready;
        if (wanted == 0 && view->busy && ready == 0 && view->alive > 0)
                wanted = 1;
        if (wanted > view->max - view->alive)
                wanted = view->max - view->alive;
        if (wanted > view->free)
                wanted = view->free;
        if (wanted > 0)
                return (int)wanted;
        if (view->waiting > 0 || view->idle <= view->spare)
                return 0;
        wanted = view->idle - view->spare;
        return -(int)(wanted < view->overdue ? wanted : view->overdue);
}

static bool is_idle(const struct worker *worker)
{
        return worker->state == WORKER_READY && worker->load.active == 0 && !worker->load.leaving;
}

static bool is_free(const struct worker *worker)
{
        return worker->state == WORKER_EMPTY ||
               (worker->state == WORKER_WAITING && !worker->resting);
}

static uint64_t idle_for(const struct worker *worker, uint64_t now)
{
        return now - worker->load.changed_us;
}

static struct scaling_view view_of(const struct application *application, uint64_t now)
{
        const struct config_processes *processes = &application->config->processes;
        struct scaling_view view = {.max = processes->max, .spare = processes->spare};
        uint32_t ready = 0, full = 0;

        for (uint32_t i = 0; i < processes->max; i++) {
                const struct worker *worker = &application->workers[i];

                if (worker->state == WORKER_EMPTY || worker->state == WORKER_WAITING) {
                        view.free += is_free(worker);
                        continue;
                }
                view.alive++;
                view.coming +=
                        worker->state == WORKER_REQUESTED || worker->state == WORKER_STARTING;
                if (worker->state != WORKER_READY || worker->load.leaving)
                        continue;
                ready++;
                full += worker->load.active >= worker->load.capacity && worker->load.capacity > 0;
                if (is_idle(worker)) {
                        view.idle++;
                        view.overdue += idle_for(worker, now) >= processes->idle_timeout * SECOND;
                }
        }
        view.busy = ready > 0 && full == ready;
        return view;
}

/* Only asked when it matters: nobody is idle. */
static uint32_t waiting(const struct application *application)
{
        uint32_t sum = 0;

        for (size_t i = 0; i < application->listener_count; i++) {
                int length = application->listeners[i]
                                     ? backlog_length(listener_fd(application->listeners[i]))
                                     : 0;

                sum += length > 0 ? (uint32_t)length : 0;
        }
        return sum;
}

static void add(struct application *application, uint32_t count)
{
        for (uint32_t i = 0; count > 0 && i < application->config->processes.max; i++)
                if (is_free(&application->workers[i])) {
                        worker_event(&application->workers[i], WORKER_WANTED);
                        count--;
                }
}

/* Those that have been idle for longest. */
static void let_go(struct application *application, uint32_t count, uint64_t now)
{
        while (count-- > 0) {
                struct worker *longest = NULL;

                for (uint32_t i = 0; i < application->config->processes.max; i++) {
                        struct worker *worker = &application->workers[i];

                        if (is_idle(worker) &&
                            (!longest || idle_for(worker, now) > idle_for(longest, now)))
                                longest = worker;
                }
                if (longest)
                        worker_event(longest, WORKER_UNWANTED);
        }
}

static void look(struct application *application, uint64_t now)
{
        uint64_t timeout = application->config->limits.timeout * SECOND;

        for (uint32_t i = 0; i < application->config->processes.max; i++) {
                struct worker *worker = &application->workers[i];
                struct load *load = &worker->load;
                uint64_t before = load->requests;

                if (worker->state != WORKER_READY || !load_look(worker))
                        continue;
                if (timeout > 0 && load->oldest != 0 && now - load->oldest_since_us >= timeout)
                        worker_event(worker, WORKER_HUNG);
                else if (load->active > 0 || load->requests != before)
                        load->watched = true;
                else if (idle_for(worker, now) >= REST_US)
                        load->watched = false; /* what it begins next it tells */
        }
}

static int on_tick(sd_event_source *source, uint64_t usec, void *userdata)
{
        struct application *application = userdata;

        (void)source;
        (void)usec;
        scaling_consider(application);
        incarnation_flush(application);
        return 0;
}

/* A tick only as long as it may find something out. */
static void arrange_tick(struct application *application, const struct scaling_view *view)
{
        bool watched = false;

        for (uint32_t i = 0; i < application->config->processes.max; i++)
                watched |= application->workers[i].state == WORKER_READY &&
                           application->workers[i].load.watched;
        if (watched)
                timer_arm(application->supervisor, &application->tick, TICK_US, on_tick,
                          application);
        else if (application->config->processes.dynamic && view->idle > view->spare)
                timer_arm(application->supervisor, &application->tick, SLOW_TICK_US, on_tick,
                          application);
        else
                timer_disarm(application->tick);
}

static void hear_arrivals(struct application *application, bool wanted)
{
        for (size_t i = 0; i < application->listener_count; i++)
                if (application->listeners[i])
                        listener_want(application->listeners[i], wanted);
}

void scaling_consider(struct application *application)
{
        uint64_t now = now_us(application->supervisor);
        struct scaling_view view;
        int change;

        if (application->state != APPLICATION_RUNNING || !load_matters(application))
                return;
        look(application, now);
        view = view_of(application, now);
        if (application->config->processes.dynamic) {
                if (view.idle + view.coming == 0 && view.free > 0)
                        view.waiting = waiting(application);
                if (!view.busy)
                        application->busy_since_us = now;
                view.busy = now - application->busy_since_us >= BUSY_US;
                change = scaling_decide(&view);
                if (change > 0)
                        add(application, (uint32_t)change);
                else if (change < 0)
                        let_go(application, (uint32_t)-change, now);
                view = view_of(application, now);
                hear_arrivals(application, view.idle + view.coming == 0 && view.free > 0);
        }
        arrange_tick(application, &view);
}

void scaling_start(struct application *application)
{
        const struct config_processes *processes = &application->config->processes;

        budget_init(&application->renewals, 20 + 2 * processes->max, 20 + processes->max,
                    now_us(application->supervisor));
        for (uint32_t i = 0; i < processes->max; i++)
                application->workers[i].served = false;
        for (uint32_t i = 0; i < processes->spare; i++)
                worker_event(&application->workers[i], WORKER_WANTED);
        incarnation_flush(application);
        hear_arrivals(application, processes->spare == 0);
        if (processes->spare == 0)
                application_worker_ready(application);
}

void scaling_soon(struct application *application)
{
        if (load_matters(application))
                timer_arm(application->supervisor, &application->tick, TICK_US, on_tick,
                          application);
}

void scaling_stop(struct application *application)
{
        timer_disarm(application->tick);
        hear_arrivals(application, false);
}
