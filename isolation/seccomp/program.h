/* One libseccomp context on its way to becoming a finished filter: what the three compilers share. */
#pragma once

#include <seccomp.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "isolation/plan.h"
#include "isolation/seccomp/profile.h"

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
        bool x32;         /* calls of x32 get the default action; else whatever libseccomp does */
        const char *name; /* of the filter, for errors and the plan */
};

/* Starts a program for the native architecture; calls of any other end the process, but those
 * of x32 get the default action. `tree` arranges the calls as a balanced tree, worth it from some twenty calls on. */
int program_begin(struct program *program, const char *name, uint32_t default_action, bool tree,
                  struct error *error);

/* Adds a rule for the call `name`, and none where that is no call of this machine. */
int program_rule(struct program *program, uint32_t action, const char *name,
                 const struct condition *conditions, size_t count, struct error *error);

/* Finishes: the BPF and the text. The context is gone afterwards, whatever happened. */
int program_end(struct program *program, struct plan_filter *ret_filter, struct error *error);

/* Gives up on a program. */
void program_abandon(struct program *program);

/* Whether a number is a call of this machine that has a name here (names.c). */
bool program_knows(unsigned number);

/* Puts in front of a program: calls of other architectures end the process, numbers that we have no name for
 * answer ENOSYS, whatever the program says (prologue.c). */
int program_prologue(struct plan_filter *filter, struct error *error);

/* What a profile's filter says, in place of the program's text (text.c). */
int program_profile_text(const struct seccomp_profile *profile, uint64_t capabilities,
                         struct plan_filter *filter, struct error *error);

/* Makes one program of two: what the first one allows is the second one's to decide (chain.c). The second
 * is used up, also on failure. */
int program_chain(struct plan_filter *filter, struct plan_filter *second, struct error *error);

/* Puts a text in front of a filter's. */
int program_text_prefix(struct plan_filter *filter, struct error *error, const char *format, ...)
        __attribute__((format(printf, 3, 4)));
