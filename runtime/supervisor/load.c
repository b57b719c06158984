#include "runtime/supervisor/load.h"

#include <unistd.h>

#include "runtime/protocol/scoreboard.h"
#include "runtime/supervisor/application.h"

static off_t page_of(const struct worker *worker)
{
        return (off_t)worker->slot * SCOREBOARD_PAGE;
}

bool load_matters(const struct application *application)
{
        return compiled_launch(application->compiled)->tells_load;
}

void load_expect(struct worker *worker)
{
        worker->load = (struct load){.active = 0};
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
