/* Two programs in one. A worker is a clone that installs a filter each time: one that is twice as long costs
 * less than two, and later calls run through one program instead of two.
 *
 * Whatever the first program allows goes on at the beginning of the second: each of its "return ALLOW" becomes
 * a jump there. The kernel would have taken the stricter of two answers; here the first that is no ALLOW
 * counts, which is the same for two lists that refuse with an errno, and never lets more through. */
#include "isolation/seccomp/program.h"

#include <errno.h>
#include <linux/seccomp.h>
#include <string.h>

#include "base/own.h"
#include "isolation/seccomp/compiler.h"

static int chain(struct plan_filter *filter, const struct plan_filter *second, struct error *error)
{
        size_t length = filter->length + second->length;
        struct sock_filter *program;
        cleanup_free char *name = NULL;

        if (length > BPF_MAXINSNS)
                return error_say(error, E2BIG,
                                 "seccomp program %s has %zu instructions, more than %d",
                                 filter->name, length, BPF_MAXINSNS);
        if (asprintf(&name, "%s, %s", filter->name, second->name) < 0) {
                name = NULL;
                return error_set(error, ENOMEM, "seccomp program %s", filter->name);
        }
        program = reallocarray(filter->program, length, sizeof(*program));
        if (!program)
                return error_set(error, ENOMEM, "seccomp program %s", filter->name);
        filter->program = program;
        for (size_t i = 0; i < filter->length; i++)
                if (program[i].code == (BPF_RET | BPF_K) && program[i].k == SECCOMP_RET_ALLOW)
                        program[i] = (struct sock_filter)BPF_STMT(
                                BPF_JMP | BPF_JA, (uint32_t)(filter->length - i - 1));
        memcpy(program + filter->length, second->program, second->length * sizeof(*program));
        filter->length = length;
        free(filter->name);
        filter->name = TAKE_PTR(name);
        return 0;
}

int program_chain(struct plan_filter *filter, struct plan_filter *second, struct error *error)
{
        cleanup_free char *text = TAKE_PTR(filter->text);
        int r = chain(filter, second, error);

        if (r == 0) {
                filter->text = TAKE_PTR(second->text);
                filter->flags |= second->flags;
                r = program_text_prefix(filter, error,
                                        "%s\n# what is allowed so far goes on here\n",
                                        text ? text : "");
        }
        seccomp_filter_finish(second);
        return r;
}
