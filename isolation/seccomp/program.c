#include "isolation/seccomp/program.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/own.h"
#include "isolation/seccomp/compiler.h"
#include "isolation/seccomp/profile.h"

#define TEXT_MAX (1u << 20) /* bytes; a profile's text has some 60 000 */

/* A context in which all architectures but its own end the process. */
static scmp_filter_ctx new_context(uint32_t default_action, bool tree)
{
        scmp_filter_ctx context = seccomp_init(default_action);
        int r;

        if (!context)
                return NULL;
        r = seccomp_attr_set(context, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS);
        if (r == 0 && tree)
                r = seccomp_attr_set(context, SCMP_FLTATR_CTL_OPTIMIZE, 2);
        if (r == 0)
                return context;
        seccomp_release(context);
        return NULL;
}

int program_begin(struct program *program, const char *name, uint32_t default_action, bool tree,
                  struct error *error)
{
        *program = (struct program){
                .context = new_context(default_action, tree),
                .default_action = default_action,
                .tree = tree,
                .x32 = true,
                .name = name,
        };
        if (program->context)
                return 0;
        error_set(error, ENOTSUP, "seccomp program %s", name);
        return error_remedy(error, "filters need a kernel with CONFIG_SECCOMP_FILTER, memory, and "
                                   "a libseccomp that knows this machine");
}

static struct scmp_arg_cmp comparison(const struct condition *condition)
{
        if (condition->differs)
                return (struct scmp_arg_cmp){
                        .arg = condition->argument,
                        .op = SCMP_CMP_NE,
                        .datum_a = condition->value,
                };
        return (struct scmp_arg_cmp){
                .arg = condition->argument,
                .op = SCMP_CMP_MASKED_EQ,
                .datum_a = condition->mask,
                .datum_b = condition->value,
        };
}

int program_rule(struct program *program, uint32_t action, const char *name,
                 const struct condition *conditions, size_t count, struct error *error)
{
        struct scmp_arg_cmp comparisons[CONDITIONS_MAX];
        unsigned used = 0;
        int call, r;

        for (size_t i = 0; i < count; i++)
                if (conditions[i].mask)
                        comparisons[used++] = comparison(&conditions[i]);
        if (seccomp_name_look_up(name, &call) != SECCOMP_NAME_HERE)
                return 0;
        r = seccomp_rule_add_array(program->context, action, call, used, comparisons);
        if (r < 0)
                return error_set(error, -r, "rule for %s in seccomp program %s", name,
                                 program->name);
        return 0;
}

/* An x32 call has the architecture of a 64-bit one and a bit in its number, as has any very large number
 * that a program tries out. It gets the default action: from the profile ENOSYS, as from a kernel without
 * x32. To libseccomp x32 is an architecture; ours has no rules, so it is merged in when the native rules
 * are complete (rules added later would hold for it too). */
static int merge_x32(struct program *program)
{
        scmp_filter_ctx x32;
        int r;

        if (!program->x32 || seccomp_arch_native() != SCMP_ARCH_X86_64)
                return 0;
        x32 = new_context(program->default_action, program->tree);
        if (!x32)
                return -ENOMEM;
        r = seccomp_arch_add(x32, SCMP_ARCH_X32);
        if (r == 0)
                r = seccomp_arch_remove(x32, SCMP_ARCH_NATIVE);
        if (r == 0)
                r = seccomp_merge(program->context, x32);
        if (r < 0)
                seccomp_release(x32); /* otherwise the other context has taken it over */
        return r;
}

/* What libseccomp writes to a descriptor, as one block. */
static int exported(const struct program *program,
                    int (*export)(const scmp_filter_ctx context, int fd), char **ret_data,
                    size_t *ret_size, struct error *error)
{
        cleanup_fd int fd = memfd_create("seccomp", MFD_CLOEXEC);
        int r;

        if (fd < 0)
                return error_set(error, errno, "memfd for seccomp program %s", program->name);
        r = export(program->context, fd);
        if (r < 0)
                return error_set(error, -r, "export of seccomp program %s", program->name);
        if (lseek(fd, 0, SEEK_SET) < 0)
                return error_set(error, errno, "lseek in seccomp program %s", program->name);
        r = fd_read_file(fd, TEXT_MAX, ret_data, ret_size);
        if (r < 0)
                return error_set(error, -r, "read of seccomp program %s", program->name);
        return 0;
}

int program_end(struct program *program, struct plan_filter *ret_filter, struct error *error)
{
        cleanup_free char *bytes = NULL;
        cleanup_free char *text = NULL;
        cleanup_free char *name = strdup(program->name);
        size_t size = 0, text_size = 0;
        int r;

        r = name ? 0 : error_set(error, ENOMEM, "seccomp program %s", program->name);
        if (r == 0) {
                r = merge_x32(program);
                if (r < 0)
                        error_set(error, -r, "x32 in seccomp program %s", program->name);
        }
        if (r == 0)
                r = exported(program, seccomp_export_bpf, &bytes, &size, error);
        if (r == 0)
                r = exported(program, seccomp_export_pfc, &text, &text_size, error);
        if (r == 0 && size / sizeof(struct sock_filter) > BPF_MAXINSNS)
                r = error_set(error, E2BIG, "seccomp program %s has %zu instructions, more than %d",
                              program->name, size / sizeof(struct sock_filter), BPF_MAXINSNS);
        program_abandon(program);
        if (r < 0)
                return r;
        *ret_filter = (struct plan_filter){
                .name = TAKE_PTR(name),
                .program = (void *)TAKE_PTR(bytes),
                .length = size / sizeof(struct sock_filter),
                .text = TAKE_PTR(text),
        };
        return 0;
}

int program_text_prefix(struct plan_filter *filter, struct error *error, const char *format, ...)
{
        cleanup_free char *line = NULL;
        char *text;
        va_list args;
        int r;

        va_start(args, format);
        r = vasprintf(&line, format, args);
        va_end(args);
        if (r < 0) {
                line = NULL;
                return error_set(error, ENOMEM, "seccomp program %s", filter->name);
        }
        if (asprintf(&text, "%s%s", line, filter->text ? filter->text : "") < 0)
                return error_set(error, ENOMEM, "seccomp program %s", filter->name);
        free(filter->text);
        filter->text = text;
        return 0;
}

void program_abandon(struct program *program)
{
        seccomp_release(program->context);
        program->context = NULL;
}

void seccomp_filter_finish(struct plan_filter *filter)
{
        free(filter->name);
        free(filter->program);
        free(filter->text);
        *filter = (struct plan_filter){.name = NULL};
}
