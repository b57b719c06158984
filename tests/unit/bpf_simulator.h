/* Runs seccomp programs without a kernel: classic BPF (the part that seccomp(2) admits) over a struct
 * seccomp_data, so that what a filter answers can be tested as a table, calls that would end the test
 * included. */
#pragma once

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdint.h>

#include "isolation/plan.h"

/* What a program returned that the kernel would not have let in: an unknown instruction, a jump or a
 * load out of bounds, no return. No action of seccomp(2) has this value. */
#define BPF_BROKEN 0xdeadbeefu

/* One program's answer, SECCOMP_RET_* with data. */
uint32_t bpf_run(const struct sock_filter *program, size_t length, const struct seccomp_data *data);

/* The answer of all filters together, as the kernel has it: the strictest, and of equally strict ones
 * the one installed last. BPF_BROKEN if one of them is. */
uint32_t bpf_run_stack(const struct plan_filter *filters, size_t count,
                       const struct seccomp_data *data);

/* "ALLOW", "ERRNO(EPERM)", "KILL_PROCESS", ... into `text`. */
const char *bpf_action_text(uint32_t action, char *text, size_t size);
