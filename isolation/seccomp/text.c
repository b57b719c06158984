/* A profile in words, one line for each answer. What libseccomp prints of its program has a line for each
 * comparison; hundreds of calls in a tree are not to be read that way. */
#include "isolation/seccomp/profile.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#include "base/own.h"
#include "isolation/seccomp/compiler.h"
#include "isolation/seccomp/program.h"

static void write_action(FILE *stream, const struct seccomp_action *action)
{
        static const char *const kinds[SECCOMP_ACTION_KINDS] = {
                [SECCOMP_KILL_PROCESS] = "KILL_PROCESS",
                [SECCOMP_KILL_THREAD] = "KILL_THREAD",
                [SECCOMP_TRAP] = "TRAP",
                [SECCOMP_ERRNO] = "ERRNO",
                [SECCOMP_TRACE] = "TRACE",
                [SECCOMP_LOG] = "LOG",
                [SECCOMP_ALLOW] = "ALLOW",
        };

        fputs(kinds[action->kind], stream);
        if (action->kind == SECCOMP_ERRNO)
                fprintf(stream, "(%s)", action->data ? error_name((int)action->data) : "0");
        else if (action->kind == SECCOMP_TRACE)
                fprintf(stream, "(%u)", action->data);
}

static void write_condition(FILE *stream, const struct seccomp_argument *argument)
{
        static const char *const signs[SECCOMP_COMPARISONS] = {
                [SECCOMP_NE] = "!=", [SECCOMP_LT] = "<",  [SECCOMP_LE] = "<=",
                [SECCOMP_EQ] = "==", [SECCOMP_GE] = ">=", [SECCOMP_GT] = ">",
        };

        if (argument->comparison == SECCOMP_MASKED_EQ)
                fprintf(stream, "argument %u & 0x%" PRIx64 " == 0x%" PRIx64, argument->index,
                        argument->value, argument->value_two);
        else
                fprintf(stream, "argument %u %s 0x%" PRIx64, argument->index,
                        signs[argument->comparison], argument->value);
}

/* Nothing, where none of its calls exists here. */
static void write_rule(FILE *stream, const struct seccomp_rule *rule, bool either)
{
        size_t count = 0;
        int number;

        for (char **name = rule->names; *name; name++) {
                if (seccomp_name_look_up(*name, &number) != SECCOMP_NAME_HERE)
                        continue;
                if (count++ == 0) {
                        write_action(stream, &rule->action);
                        fputc(':', stream);
                }
                fprintf(stream, " %s", *name);
        }
        for (size_t i = 0; i < rule->argument_count && count > 0; i++) {
                fputs(i == 0 ? " if " : either ? " or " : " and ", stream);
                write_condition(stream, &rule->arguments[i]);
        }
        if (count > 0)
                fputc('\n', stream);
}

int program_profile_text(const struct seccomp_profile *profile, uint64_t capabilities,
                         struct plan_filter *filter, struct error *error)
{
        cleanup_free char *text = NULL;
        size_t size = 0;
        FILE *stream = open_memstream(&text, &size);

        if (!stream)
                return error_set(error, ENOMEM, "text of %s", profile->file);
        fprintf(stream, "# %s\n", profile->file);
        fputs("KILL_PROCESS: calls of other architectures\n", stream);
        for (size_t i = 0; i < profile->rule_count; i++)
                if (seccomp_rule_applies(&profile->rules[i], capabilities, seccomp_kernel()))
                        write_rule(stream, &profile->rules[i],
                                   seccomp_rule_is_any(&profile->rules[i]));
        write_action(stream, &profile->default_action);
        fputs(": every other call\n", stream);
        if (fclose(stream) != 0)
                return error_set(error, ENOMEM, "text of %s", profile->file);
        free(filter->text);
        filter->text = TAKE_PTR(text);
        return 0;
}
