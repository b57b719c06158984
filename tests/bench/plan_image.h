/* The files that plan-image writes for the floor. */
#pragma once

#include "isolation/plan.h"

#define PLAN_IMAGE_LAUNCH ".launch" /* what a prototype reads: runtime/protocol/launch.h */
#define PLAN_IMAGE_PARENT ".parent" /* struct plan_image_parent */
#define PLAN_IMAGE_FILTER                                                                          \
        ".filter" /* the prototype's filter: struct sock_filter, one after the other */

/* What of a plan is for the cloning process only, and does not cross the exec. */
struct plan_image_parent {
        struct plan_counts counts;
};
