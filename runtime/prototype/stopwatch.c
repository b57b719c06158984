#include <time.h>

#include "runtime/prototype/prototype.h"

/* Differences only: in a time namespace the clock itself is another one. */
static uint64_t now_ns(void)
{
        struct timespec now;

        clock_gettime(CLOCK_MONOTONIC, &now);
        return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

void stopwatch_start(struct stopwatch *stopwatch)
{
        stopwatch->last_ns = now_ns();
        stopwatch->count = 0;
}

void stopwatch_lap(struct stopwatch *stopwatch, unsigned step)
{
        uint64_t now = now_ns();

        if (stopwatch->count < REPORT_STEPS_MAX)
                stopwatch->steps[stopwatch->count++] = (struct report_step){
                        .step = step,
                        .us = (uint32_t)((now - stopwatch->last_ns) / 1000),
                };
        stopwatch->last_ns = now;
}
