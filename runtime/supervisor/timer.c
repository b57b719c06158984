#include <time.h>

#include "runtime/supervisor/application.h"

#define ACCURACY_US 1000

int timer_arm(struct supervisor *supervisor, sd_event_source **timer, uint64_t delay_us,
              sd_event_time_handler_t handler, void *userdata)
{
        int r;

        if (!*timer)
                return sd_event_add_time_relative(supervisor->event, timer, CLOCK_MONOTONIC,
                                                  delay_us, ACCURACY_US, handler, userdata);
        r = sd_event_source_set_time_relative(*timer, delay_us);
        return r < 0 ? r : sd_event_source_set_enabled(*timer, SD_EVENT_ONESHOT);
}

void timer_disarm(sd_event_source *timer)
{
        if (timer)
                sd_event_source_set_enabled(timer, SD_EVENT_OFF);
}

uint64_t clock_us(void)
{
        struct timespec now;

        clock_gettime(CLOCK_MONOTONIC, &now);
        return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

uint64_t now_us(struct supervisor *supervisor)
{
        uint64_t now = 0;

        sd_event_now(supervisor->event, CLOCK_MONOTONIC, &now);
        return now;
}
