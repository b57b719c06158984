#include "runtime/supervisor/load.h"

#include <stddef.h>
#include <unistd.h>

#include "runtime/protocol/scoreboard.h"
#include "runtime/supervisor/application.h"

static off_t page_of(const struct worker *worker)
{
        return (off_t)worker->slot * SCOREBOARD_PAGE;
}

bool load_matters(const struct application *application)
{
        return application->config->module->counts_requests &&
               (application->config->processes.dynamic || application->config->limits.timeout > 0);
}

/* A page that cannot be written (no memory) only costs kicks. */
static void set_watched(struct worker *worker, uint32_t watched)
{
        worker->load.watched =
                pwrite(worker->application->scoreboard, &watched, sizeof(watched),
                       page_of(worker) + (off_t)offsetof(struct scoreboard_slot, watched)) ==
                        (ssize_t)sizeof(watched) &&
                watched;
}

void load_expect(struct worker *worker)
{
        worker->load = (struct load){.active = 0};
        set_watched(worker, !load_matters(worker->application));
}

bool load_look(struct worker *worker)
{
        struct load *load = &worker->load;
        uint64_t now = now_us(worker->application->supervisor);
        struct scoreboard_slot slot;

        if (pread(worker->application->scoreboard, &slot, sizeof(slot), page_of(worker)) !=
                    (ssize_t)sizeof(slot) ||
            slot.serial != worker->serial || slot.state < SCOREBOARD_READY)
                return false;
        if (slot.oldest != load->oldest)
                load->oldest_since_us = now;
        if (slot.active > 0 || slot.requests != load->requests || load->changed_us == 0)
                load->changed_us = now;
        load->active = slot.active;
        load->capacity = slot.capacity;
        load->requests = slot.requests;
        load->oldest = slot.oldest;
        load->leaving = slot.state == SCOREBOARD_LEAVING;
        return true;
}

void load_watch(struct worker *worker)
{
        if (!worker->load.watched)
                set_watched(worker, 1);
}

void load_rest(struct worker *worker)
{
        uint64_t requests = worker->load.requests;

        set_watched(worker, 0);
        load_look(worker);
        if (worker->load.requests != requests || worker->load.active > 0)
                set_watched(worker, 1);
}
