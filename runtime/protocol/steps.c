#include "runtime/protocol/steps.h"

const char *step_name(unsigned id)
{
        const char *name = isolation_step_name(id);

        if (name)
                return name;
        switch ((enum runtime_step_id)id) {
        case STEP_PLAN:
                return "plan";
        case STEP_MODULE:
                return "module";
        case STEP_SETUP:
                return "setup";
        case STEP_WORKING_DIRECTORY:
                return "working-directory";
        case STEP_PRELOAD:
                return "preload";
        case STEP_WORKER:
                return "worker";
        case STEP_AFTER_CLONE:
                return "after-clone";
        case STEP_START:
                return "start";
        case STEP_CGROUP:
                return "cgroup";
        }
        return "unknown";
}
