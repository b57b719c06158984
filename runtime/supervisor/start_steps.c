/* Where the time of a start goes, for who listens at debug. What the supervisor does it measures itself, the
 * prototype's steps are the prototype's word. */
#include "runtime/protocol/steps.h"
#include "runtime/supervisor/application.h"

static void tell(struct application *application, const char *name, uint64_t us)
{
        log_event(&application->supervisor->log, LOG_DEBUG, "start-step", application->name,
                  LOG_TEXT_FIELD("step", name), LOG_NUMBER("us", us));
}

void start_step(struct application *application, const char *name, uint64_t since_us)
{
        tell(application, name, clock_us() - since_us);
}

void start_steps(struct application *application, const struct report_ready *report)
{
        uint64_t whole = clock_us() - application->cloned_us, sum = 0;

        for (uint32_t i = 0; i < report->step_count; i++)
                sum += report->steps[i].us;
        /* What happened since the clone and is none of the steps that follow. */
        tell(application, step_name(STEP_EXEC), whole > sum ? whole - sum : 0);
        for (uint32_t i = 0; i < report->step_count; i++)
                tell(application, step_name(report->steps[i].step), report->steps[i].us);
}
