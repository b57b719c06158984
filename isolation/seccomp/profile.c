/* From a profile to a program. libseccomp decides what overlapping rules mean, as it does for the container
 * engines whose profiles these are. */
#include "isolation/seccomp/profile.h"

#include <errno.h>
#include <string.h>

#include "base/own.h"
#include "isolation/seccomp/compiler.h"
#include "isolation/seccomp/program.h"

/* One profile on its way. */
struct making {
        const struct seccomp_profile *profile;
        struct program program;
        uint32_t kernel;
        uint64_t capabilities;
};

static uint32_t action(const struct seccomp_action *action)
{
        switch ((enum seccomp_action_kind)action->kind) {
        case SECCOMP_KILL_PROCESS:
                return SCMP_ACT_KILL_PROCESS;
        case SECCOMP_KILL_THREAD:
                return SCMP_ACT_KILL_THREAD;
        case SECCOMP_TRAP:
                return SCMP_ACT_TRAP;
        case SECCOMP_ERRNO:
                return SCMP_ACT_ERRNO(action->data);
        case SECCOMP_TRACE:
                return SCMP_ACT_TRACE(action->data);
        case SECCOMP_LOG:
                return SCMP_ACT_LOG;
        case SECCOMP_ALLOW:
                return SCMP_ACT_ALLOW;
        case SECCOMP_ACTION_KINDS:
                break;
        }
        return SCMP_ACT_KILL_PROCESS; /* none of ours */
}

static struct scmp_arg_cmp comparison(const struct seccomp_argument *argument)
{
        static const enum scmp_compare comparisons[SECCOMP_COMPARISONS] = {
                [SECCOMP_NE] = SCMP_CMP_NE,
                [SECCOMP_LT] = SCMP_CMP_LT,
                [SECCOMP_LE] = SCMP_CMP_LE,
                [SECCOMP_EQ] = SCMP_CMP_EQ,
                [SECCOMP_GE] = SCMP_CMP_GE,
                [SECCOMP_GT] = SCMP_CMP_GT,
                [SECCOMP_MASKED_EQ] = SCMP_CMP_MASKED_EQ,
        };

        return (struct scmp_arg_cmp){
                .arg = argument->index,
                .op = comparisons[argument->comparison],
                .datum_a = argument->value,
                .datum_b = argument->value_two,
        };
}

static int add(struct making *making, const struct seccomp_rule *rule, const char *name, int number,
               const struct scmp_arg_cmp *comparisons, size_t count, struct error *error)
{
        int r = seccomp_rule_add_array(making->program.context, action(&rule->action), number,
                                       (unsigned)count, comparisons);

        if (r == 0)
                return 0;
        error_set(error, -r, "%s: /syscalls/%zu: rule for %s", making->profile->file, rule->place,
                  name);
        if (r == -EEXIST)
                error_remedy(error, "another rule of the profile says something else of the same "
                                    "call: remove one of the two");
        return -error->code;
}

static int add_name(struct making *making, const struct seccomp_rule *rule, const char *name,
                    struct error *error)
{
        struct scmp_arg_cmp comparisons[SECCOMP_ARGUMENTS_MAX];
        int number, r = 0;

        if (seccomp_name_look_up(name, &number) != SECCOMP_NAME_HERE)
                return 0;
        if (seccomp_rule_is_any(rule)) {
                for (size_t i = 0; i < rule->argument_count && r == 0; i++) {
                        comparisons[0] = comparison(&rule->arguments[i]);
                        r = add(making, rule, name, number, comparisons, 1, error);
                }
                return r;
        }
        for (size_t i = 0; i < rule->argument_count; i++)
                comparisons[i] = comparison(&rule->arguments[i]);
        return add(making, rule, name, number, comparisons, rule->argument_count, error);
}

static int add_rules(struct making *making, struct error *error)
{
        const struct seccomp_profile *profile = making->profile;
        uint32_t default_action = action(&profile->default_action);
        int r = 0;

        for (size_t i = 0; i < profile->rule_count && r == 0; i++) {
                const struct seccomp_rule *rule = &profile->rules[i];

                /* What the default does anyway libseccomp takes for a mistake. */
                if (!seccomp_rule_applies(rule, making->capabilities, making->kernel) ||
                    action(&rule->action) == default_action)
                        continue;
                for (char **name = rule->names; *name && r == 0; name++)
                        r = add_name(making, rule, *name, error);
        }
        return r;
}

int seccomp_compile_profile(const struct seccomp_profile *profile, uint64_t capabilities,
                            struct plan_filter *ret_filter, struct error *error)
{
        struct making making = {
                .profile = profile,
                .kernel = seccomp_kernel(),
                .capabilities = capabilities,
        };
        struct plan_filter filter = {.name = NULL};
        int r;

        r = program_begin(&making.program, "profile", action(&profile->default_action), true,
                          error);
        if (r < 0)
                return r;
        making.program.x32 = false; /* the prologue sees to it */
        r = add_rules(&making, error);
        if (r < 0) {
                program_abandon(&making.program);
                return r;
        }
        r = program_end(&making.program, &filter, error);
        if (r < 0)
                return r;
        filter.flags = profile->flags;
        r = program_profile_text(profile, capabilities, &filter, error);
        if (r == 0)
                r = program_prologue(&filter, error);
        if (r < 0) {
                seccomp_filter_finish(&filter);
                return r;
        }
        *ret_filter = filter;
        return 0;
}

/* What prototype and workers call themselves when the profile is on them already; where one of two serves,
 * the other is what libc falls back on. */
static const char *const needed[] = {
        "clone", "close", "exit_group", "mmap",   "munmap", "prctl",
        "read",  "write", "seccomp",    "setsid", "waitid", "landlock_restrict_self",
};

static bool lets(const struct seccomp_action *action)
{
        return action->kind == SECCOMP_ALLOW || action->kind == SECCOMP_LOG;
}

static bool names(const struct seccomp_rule *rule, const char *name)
{
        for (char **at = rule->names; *at; at++)
                if (strcmp(*at, name) == 0)
                        return true;
        return false;
}

/* A rule that lets the call pass under some condition will do: which one, only a start can tell. */
static bool may_call(const struct seccomp_profile *profile, uint64_t capabilities, uint32_t kernel,
                     const char *name)
{
        bool may = lets(&profile->default_action);

        for (size_t i = 0; i < profile->rule_count; i++) {
                const struct seccomp_rule *rule = &profile->rules[i];

                if (!seccomp_rule_applies(rule, capabilities, kernel) || !names(rule, name))
                        continue;
                if (lets(&rule->action))
                        return true;
                if (rule->argument_count == 0)
                        may = false;
        }
        return may;
}

const char *seccomp_profile_lacks(const struct seccomp_profile *profile, uint64_t capabilities)
{
        uint32_t kernel = seccomp_kernel();

        for (size_t i = 0; i < ARRAY_SIZE(needed); i++)
                if (!may_call(profile, capabilities, kernel, needed[i]))
                        return needed[i];
        return NULL;
}
