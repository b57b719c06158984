/* A seccomp profile as data, in the terms of the OCI runtime specification (config-linux.md, "Seccomp") and
 * of the form that Docker's profiles have. Whoever reads such files makes this of them; what programs become of
 * it is compiler.h's matter.
 *
 * Everything in it is allocated and belongs to the struct. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/codec.h"

enum seccomp_action_kind {
        SECCOMP_KILL_PROCESS,
        SECCOMP_KILL_THREAD,
        SECCOMP_TRAP, /* SIGSYS */
        SECCOMP_ERRNO,
        SECCOMP_TRACE, /* ENOSYS where nobody traces */
        SECCOMP_LOG,
        SECCOMP_ALLOW,
        SECCOMP_ACTION_KINDS
};

struct seccomp_action {
        uint32_t kind; /* enum seccomp_action_kind */
        uint32_t data; /* ERRNO: 0 .. SECCOMP_ERRNO_MAX; TRACE: what the tracer is told, 16 bits */
};

#define SECCOMP_ERRNO_MAX     4095 /* MAX_ERRNO: the kernel takes more for it */
#define SECCOMP_ARGUMENTS_MAX 6

enum seccomp_comparison {
        SECCOMP_NE,
        SECCOMP_LT,
        SECCOMP_LE,
        SECCOMP_EQ,
        SECCOMP_GE,
        SECCOMP_GT,
        SECCOMP_MASKED_EQ, /* argument & value == value_two */
        SECCOMP_COMPARISONS
};

/* All 64 bits of an argument, unsigned. */
struct seccomp_argument {
        uint32_t index;      /* below SECCOMP_ARGUMENTS_MAX */
        uint32_t comparison; /* enum seccomp_comparison */
        uint64_t value, value_two;
};

/* Docker's "includes" and "excludes". What is zero asks for nothing. */
struct seccomp_terms {
        bool arches, native;     /* architectures are named; this machine's is among them */
        uint64_t capabilities;   /* by the number of the bit */
        bool unknown_capability; /* one is named that nobody has: this kernel does not know it */
        uint32_t kernel;         /* SECCOMP_KERNEL(major, minor) */
};

#define SECCOMP_KERNEL(major, minor) ((uint32_t)(major) << 16 | (minor))

struct seccomp_rule {
        size_t place; /* in the file's array, for messages */
        char **names; /* of system calls; NULL at the end */
        struct seccomp_action action;
        struct seccomp_argument *arguments; /* all of them must be met; but seccomp_rule_is_any */
        size_t argument_count;
        struct seccomp_terms includes, excludes;
};

struct seccomp_profile {
        char *file; /* for messages and for `clade plan` */
        struct seccomp_action default_action;
        uint32_t flags; /* SECCOMP_FILTER_FLAG_LOG, _SPEC_ALLOW */
        struct seccomp_rule *rules;
        size_t rule_count;
};

void seccomp_profile_finish(struct seccomp_profile *profile);

/* Names every field: profiles with the same image make the same programs. */
void seccomp_profile_fields(struct codec *codec, struct seccomp_profile *profile);

/* Whether a rule counts here: for what the application may ever have of capabilities and for a kernel. */
bool seccomp_rule_applies(const struct seccomp_rule *rule, uint64_t capabilities, uint32_t kernel);

/* Whether one of a rule's conditions is enough, rather than all being needed. */
bool seccomp_rule_is_any(const struct seccomp_rule *rule);

/* Of the running kernel, as SECCOMP_KERNEL. */
uint32_t seccomp_kernel(void);

/* Whether some rule asks for capabilities or kernels at all. */
bool seccomp_profile_asks(const struct seccomp_profile *profile);

/* How a name of a system call is known. */
enum seccomp_name {
        SECCOMP_NAME_HERE,      /* a call of this machine */
        SECCOMP_NAME_ELSEWHERE, /* of other machines only: never called here */
        SECCOMP_NAME_UNKNOWN,   /* misspelt, or younger than what we know */
};

enum seccomp_name seccomp_name_look_up(const char *name, int *ret_number);
