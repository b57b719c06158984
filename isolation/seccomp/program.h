/* One libseccomp context on its way to becoming a finished filter: what the three compilers share. */
#pragma once

#include <seccomp.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "isolation/plan.h"

/* libseccomp compares 64 bits, the kernel often looks at 32 only: arguments it takes as int or unsigned
 * are compared under this mask, so that nothing slips by in the upper half. */
#define LOW_HALF 0xffffffffull

/* What one argument must be for a rule to match: equal to `value` under `mask`, or, with `differs`, not
 * equal to `value` in any of its 64 bits. */
struct condition {
        unsigned argument; /* 0..5 */
        uint64_t mask;     /* 0: the condition is not used */
        uint64_t value;
        bool differs;
};

#define CONDITIONS_MAX 2

/* An int argument that equals `value`; one with all of `bits` set; any that is not exactly `value`. */
#define INT_IS(number, wanted)                                                                     \
        {                                                                                          \
                .argument = (number), .mask = LOW_HALF, .value = (wanted)                          \
        }
#define HAS_BITS(number, bits)                                                                     \
        {                                                                                          \
                .argument = (number), .mask = (bits), .value = (bits)                              \
        }
#define IS_NOT(number, allowed)                                                                    \
        {                                                                                          \
                .argument = (number), .mask = UINT64_MAX, .value = (allowed), .differs = true      \
        }

struct program {
        scmp_filter_ctx context;
        uint32_t default_action;
        bool tree;
        const char *name; /* of the filter, for errors and the plan */
};

/* Starts a program for the native architecture; calls of any other end the process, but those
 * of x32 get the default action. `tree` arranges the calls as a balanced tree, worth it from some twenty calls on. */
int program_begin(struct program *program, const char *name, uint32_t default_action, bool tree,
                  struct error *error);

/* Adds a rule for the call `name`. A call that libseccomp does not know is added by `number`; with a
 * number of 0 it is skipped: it is no call of this machine then, or one so new that the profile's
 * default answers it. Every program that calls this lies under that profile. */
int program_rule(struct program *program, uint32_t action, const char *name, int number,
                 const struct condition *conditions, size_t count, struct error *error);

/* Finishes: the BPF and the text. The context is gone afterwards, whatever happened. */
int program_end(struct program *program, struct plan_filter *ret_filter, struct error *error);

/* Gives up on a program. */
void program_abandon(struct program *program);
