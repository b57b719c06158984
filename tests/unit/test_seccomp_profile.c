/* Programs made of profiles, held against two others: what libseccomp itself makes of the same rules, not
 * arranged as a tree and without our prologue, and a plain evaluation of the rules. */
#include <criterion/criterion.h>

#include <errno.h>
#include <linux/audit.h>
#include <seccomp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/machine.h"
#include "base/own.h"
#include "tests/unit/bpf_simulator.h"
#include "tests/unit/profile_fixture.h"

#define NUMBERS_END 600 /* the youngest call has 469 */
#define ERRNO(code) (SECCOMP_RET_ERRNO | (code))
#define NEEDED                                                                                     \
        "\"clone\",\"close\",\"exit_group\",\"mmap\",\"munmap\",\"prctl\",\"read\",\"write\","     \
        "\"seccomp\",\"setsid\",\"waitid\",\"landlock_restrict_self\""

static uint32_t run(const struct plan_filter *filter, uint32_t architecture, uint32_t number,
                    const uint64_t args[6])
{
        struct seccomp_data data = {.nr = (int)number, .arch = architecture};

        memcpy(data.args, args, sizeof(data.args));
        return bpf_run(filter->program, filter->length, &data);
}

static struct plan_filter compiled(const struct seccomp_profile *profile, uint64_t capabilities)
{
        struct plan_filter filter;
        struct error error = ERROR_INIT;

        cr_assert_eq(seccomp_compile_profile(profile, capabilities, &filter, &error), 0, "%s",
                     error.text);
        cr_assert(seccomp_program_valid(filter.program, filter.length));
        return filter;
}

/* --- libseccomp's own ----------------------------------------------------------------------------- */

static const uint32_t actions[SECCOMP_ACTION_KINDS] = {
        [SECCOMP_KILL_PROCESS] = SCMP_ACT_KILL_PROCESS,
        [SECCOMP_KILL_THREAD] = SCMP_ACT_KILL_THREAD,
        [SECCOMP_TRAP] = SCMP_ACT_TRAP,
        [SECCOMP_LOG] = SCMP_ACT_LOG,
        [SECCOMP_ALLOW] = SCMP_ACT_ALLOW,
};

static uint32_t action_of(const struct seccomp_action *action)
{
        if (action->kind == SECCOMP_ERRNO)
                return SCMP_ACT_ERRNO(action->data);
        return action->kind == SECCOMP_TRACE ? SCMP_ACT_TRACE(action->data) : actions[action->kind];
}

static const enum scmp_compare compares[SECCOMP_COMPARISONS] = {
        [SECCOMP_NE] = SCMP_CMP_NE,
        [SECCOMP_LT] = SCMP_CMP_LT,
        [SECCOMP_LE] = SCMP_CMP_LE,
        [SECCOMP_EQ] = SCMP_CMP_EQ,
        [SECCOMP_GE] = SCMP_CMP_GE,
        [SECCOMP_GT] = SCMP_CMP_GT,
        [SECCOMP_MASKED_EQ] = SCMP_CMP_MASKED_EQ,
};

static void add_plainly(scmp_filter_ctx context, uint32_t by_default,
                        const struct seccomp_rule *rule)
{
        uint32_t action = action_of(&rule->action);

        for (char **name = rule->names; *name && action != by_default; name++) {
                struct scmp_arg_cmp all[SECCOMP_ARGUMENTS_MAX];
                int number;

                if (seccomp_name_look_up(*name, &number) != SECCOMP_NAME_HERE)
                        continue;
                for (size_t i = 0; i < rule->argument_count; i++)
                        all[i] = (struct scmp_arg_cmp){
                                rule->arguments[i].index,
                                compares[rule->arguments[i].comparison],
                                rule->arguments[i].value,
                                rule->arguments[i].value_two,
                        };
                for (size_t i = 0; i < rule->argument_count && seccomp_rule_is_any(rule); i++)
                        cr_assert_eq(seccomp_rule_add_array(context, action, number, 1, &all[i]),
                                     0);
                if (!seccomp_rule_is_any(rule))
                        cr_assert_eq(seccomp_rule_add_array(context, action, number,
                                                            (unsigned)rule->argument_count, all),
                                     0);
        }
}

static struct plan_filter plain(const struct seccomp_profile *profile, uint64_t capabilities)
{
        uint32_t by_default = action_of(&profile->default_action);
        scmp_filter_ctx context = seccomp_init(by_default);
        cleanup_fd int fd = memfd_create("plain", MFD_CLOEXEC);
        struct plan_filter filter = {.name = NULL};
        char *data;
        size_t size;

        cr_assert(context);
        for (size_t i = 0; i < profile->rule_count; i++)
                if (seccomp_rule_applies(&profile->rules[i], capabilities, seccomp_kernel()))
                        add_plainly(context, by_default, &profile->rules[i]);
        cr_assert_eq(seccomp_export_bpf(context, fd), 0);
        seccomp_release(context);
        lseek(fd, 0, SEEK_SET);
        cr_assert_eq(fd_read_file(fd, 1u << 20, &data, &size), 0);
        filter.program = (void *)data;
        filter.length = size / sizeof(*filter.program);
        return filter;
}

static const uint32_t architectures[] = {AUDIT_ARCH_X86_64, AUDIT_ARCH_I386, AUDIT_ARCH_AARCH64,
                                         AUDIT_ARCH_ARM};

/* A number without a name answers ENOSYS, another architecture ends the process, and the rest is as
 * libseccomp has it. */
static void same_as_libseccomp(const struct seccomp_profile *profile,
                               const struct plan_filter *ours, const struct plan_filter *theirs,
                               const uint64_t args[6])
{
        for (uint32_t number = 0; number < NUMBERS_END; number++) {
                char *name = seccomp_syscall_resolve_num_arch(SCMP_ARCH_NATIVE, (int)number);
                uint32_t got = run(ours, MACHINE, number, args);
                uint32_t expected = run(theirs, MACHINE, number, args);
                char texts[2][32];

                /* What is younger than libseccomp's table has a name here, or else none. */
                if (!name && got == ERRNO(ENOSYS))
                        expected = got;
                cr_expect(name || number >= 335 || MACHINE != AUDIT_ARCH_X86_64);
                free(name);
                cr_assert_eq(got, expected, "%s, number %u: %s, not %s", profile->file, number,
                             bpf_action_text(got, texts[0], sizeof(texts[0])),
                             bpf_action_text(expected, texts[1], sizeof(texts[1])));
                for (size_t i = 0; i < ARRAY_SIZE(architectures); i++)
                        if (architectures[i] != MACHINE)
                                cr_assert_eq(run(ours, architectures[i], number, args),
                                             SECCOMP_RET_KILL_PROCESS);
                cr_assert_eq(run(ours, MACHINE, number | 0x40000000, args), ERRNO(ENOSYS));
        }
}

/* What decides: the values of the profile themselves, those beside them, and with bits above. */
static void compare(const struct seccomp_profile *profile, uint64_t capabilities)
{
        struct plan_filter ours = compiled(profile, capabilities);
        struct plan_filter theirs = plain(profile, capabilities);
        static const uint64_t fixed[] = {0, 1, UINT32_MAX, UINT64_MAX, 1ull << 32, 1u << 31};
        uint64_t values[256];
        size_t count = 0;

        for (size_t i = 0; i < ARRAY_SIZE(fixed); i++)
                values[count++] = fixed[i];
        for (size_t i = 0; i < profile->rule_count; i++)
                for (size_t k = 0; k < profile->rules[i].argument_count && count + 8 < 256; k++) {
                        const struct seccomp_argument *argument = &profile->rules[i].arguments[k];

                        values[count++] = argument->value;
                        values[count++] = argument->value - 1;
                        values[count++] = argument->value + 1;
                        values[count++] = argument->value | 1ull << 40;
                        values[count++] = argument->value_two;
                        values[count++] = argument->value_two | ~argument->value;
                }
        for (size_t i = 0; i < count; i++)
                for (size_t k = 0; k < 2; k++) {
                        uint64_t other = values[(i * 7 + 3) % count];
                        const uint64_t args[6] = {k ? other : values[i],
                                                  values[i],
                                                  other,
                                                  values[i],
                                                  other,
                                                  values[i]};

                        same_as_libseccomp(profile, &ours, &theirs, args);
                }
        seccomp_filter_finish(&ours);
        seccomp_filter_finish(&theirs);
}

Test(seccomp_profile, our_own_are_what_libseccomp_makes_of_them)
{
        static const char *const names[] = {"default", "strict"};

        for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
                struct seccomp_profile profile = profile_own(names[i]);
                int number;

                compare(&profile, 0);
                for (size_t r = 0; r < profile.rule_count; r++)
                        for (char **name = profile.rules[r].names; *name; name++)
                                cr_expect_neq(seccomp_name_look_up(*name, &number),
                                              SECCOMP_NAME_UNKNOWN, "%s", *name);
                seccomp_profile_finish(&profile);
        }
}

/* Forms that the profiles of container engines have, in words of our own. */
static const char *const forms[] = {
        /* a default that allows, one that ends, one that logs */
        "{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"syscalls\":[{\"names\":[\"mount\",\"ptrace\"],"
        "\"action\":\"SCMP_ACT_ERRNO\"},{\"name\":\"kexec_load\",\"action\":\"SCMP_ACT_KILL\"}]}",
        "{\"defaultAction\":\"SCMP_ACT_KILL_PROCESS\",\"syscalls\":[{\"names\":[" NEEDED
        "],\"action\":\"SCMP_ACT_ALLOW\"},{\"names\":[\"openat\"],\"action\":\"SCMP_ACT_TRACE\","
        "\"errnoRet\":7},{\"names\":[\"open\"],\"action\":\"SCMP_ACT_TRAP\"}]}",
        "{\"defaultAction\":\"SCMP_ACT_LOG\",\"syscalls\":[{\"names\":[\"socket\"],"
        "\"action\":\"SCMP_ACT_ERRNO\",\"errnoRet\":97,\"args\":[{\"index\":0,\"value\":40,"
        "\"op\":\"SCMP_CMP_EQ\"}]}]}",
        /* every comparison */
        "{\"defaultAction\":\"SCMP_ACT_ERRNO\",\"defaultErrnoRet\":1,\"syscalls\":["
        "{\"names\":[\"read\"],\"action\":\"SCMP_ACT_ALLOW\",\"args\":[{\"index\":0,\"value\":5,"
        "\"op\":\"SCMP_CMP_NE\"}]},{\"names\":[\"write\"],\"action\":\"SCMP_ACT_ALLOW\",\"args\":["
        "{\"index\":1,\"value\":4294967297,\"op\":\"SCMP_CMP_LT\"}]},{\"names\":[\"close\"],"
        "\"action\":\"SCMP_ACT_ALLOW\",\"args\":[{\"index\":2,\"value\":9,\"op\":\"SCMP_CMP_LE\"}]}"
        ","
        "{\"names\":[\"fstat\"],\"action\":\"SCMP_ACT_ALLOW\",\"args\":[{\"index\":3,\"value\":9,"
        "\"op\":\"SCMP_CMP_GE\"}]},{\"names\":[\"lseek\"],\"action\":\"SCMP_ACT_ALLOW\",\"args\":["
        "{\"index\":4,\"value\":9,\"op\":\"SCMP_CMP_GT\"}]},{\"names\":[\"mmap\"],"
        "\"action\":\"SCMP_ACT_ALLOW\",\"args\":[{\"index\":5,\"value\":255,\"valueTwo\":17,"
        "\"op\":\"SCMP_CMP_MASKED_EQ\"}]},{\"names\":[\"ioctl\"],\"action\":\"SCMP_ACT_ALLOW\","
        "\"args\":[{\"index\":0,\"value\":1,\"op\":\"SCMP_CMP_EQ\"},{\"index\":1,\"value\":2,"
        "\"op\":\"SCMP_CMP_GE\"}]}]}",
        /* one argument, several values; the same call in two rules */
        "{\"defaultAction\":\"SCMP_ACT_ERRNO\",\"archMap\":[{\"architecture\":\"SCMP_ARCH_X86_64\","
        "\"subArchitectures\":[\"SCMP_ARCH_X86\"]},{\"architecture\":\"SCMP_ARCH_AARCH64\"}],"
        "\"syscalls\":[{\"names\":[\"personality\"],\"action\":\"SCMP_ACT_ALLOW\",\"args\":["
        "{\"index\":0,\"value\":0,\"op\":\"SCMP_CMP_EQ\"},{\"index\":0,\"value\":8,"
        "\"op\":\"SCMP_CMP_EQ\"}],\"comment\":\"\",\"includes\":{},\"excludes\":{}},"
        "{\"names\":[\"socket\"],\"action\":\"SCMP_ACT_ALLOW\",\"args\":[{\"index\":0,\"value\":40,"
        "\"op\":\"SCMP_CMP_NE\"}]},{\"names\":[\"futex\",\"arm_fadvise64_64\",\"_llseek\"],"
        "\"action\":\"SCMP_ACT_ALLOW\",\"args\":null}]}",
};

Test(seccomp_profile, forms_of_container_engines)
{
        for (size_t i = 0; i < ARRAY_SIZE(forms); i++) {
                struct seccomp_profile profile = profile_from(forms[i]);

                compare(&profile, 0);
                seccomp_profile_finish(&profile);
        }
}

/* --- by chance ------------------------------------------------------------------------------------- */

/* Marsaglia's xorshift: the same profiles every time. */
static uint64_t chance(void)
{
        static uint64_t state = 0x9e3779b97f4a7c15;

        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        return state;
}

static const char *const some[] = {"read",   "write",  "openat", "close",  "socket", "ioctl",
                                   "mmap",   "futex",  "fcntl",  "execve", "kill",   "prctl",
                                   "sendto", "statfs", "mount",  "bpf",    "getpid", "setns"};

static uint64_t some_value(void)
{
        uint64_t values[] = {chance() % 8, chance() & 0xffffffff, chance() >> 1,
                             1ull << chance() % 63};

        return values[chance() % ARRAY_SIZE(values)];
}

static struct seccomp_action some_action(void)
{
        struct seccomp_action action = {.kind = (uint32_t)(chance() % SECCOMP_ACTION_KINDS)};

        if (action.kind == SECCOMP_ERRNO || action.kind == SECCOMP_TRACE)
                action.data = (uint32_t)(chance() % 134);
        return action;
}

/* Each call in one rule at most, each argument once: then there is one meaning only. */
static struct seccomp_profile some_profile(void)
{
        struct seccomp_profile profile = {.file = strdup("chance"),
                                          .default_action = some_action()};

        profile.rules = calloc(ARRAY_SIZE(some), sizeof(*profile.rules));
        for (size_t i = 0; i < ARRAY_SIZE(some); i++) {
                struct seccomp_rule *rule = &profile.rules[profile.rule_count];

                if (chance() % 4 == 0)
                        continue;
                profile.rule_count++;
                rule->names = calloc(2, sizeof(*rule->names));
                rule->names[0] = strdup(some[i]);
                rule->action = some_action();
                rule->arguments = calloc(6, sizeof(*rule->arguments));
                for (uint32_t k = 0; k < 6 && chance() % 3; k += 1 + (uint32_t)(chance() % 3)) {
                        struct seccomp_argument *at = &rule->arguments[rule->argument_count++];

                        at->index = k;
                        at->comparison = (uint32_t)(chance() % SECCOMP_COMPARISONS);
                        at->value = some_value();
                        if (at->comparison == SECCOMP_MASKED_EQ)
                                at->value_two = at->value & chance();
                        /* libseccomp takes what is always or never so for a mistake */
                        else if (at->value == 0)
                                at->value = 1;
                }
        }
        return profile;
}

static bool met(const struct seccomp_argument *argument, uint64_t value)
{
        switch ((enum seccomp_comparison)argument->comparison) {
        case SECCOMP_NE:
                return value != argument->value;
        case SECCOMP_LT:
                return value < argument->value;
        case SECCOMP_LE:
                return value <= argument->value;
        case SECCOMP_EQ:
                return value == argument->value;
        case SECCOMP_GE:
                return value >= argument->value;
        case SECCOMP_GT:
                return value > argument->value;
        case SECCOMP_MASKED_EQ:
                return (value & argument->value) == argument->value_two;
        case SECCOMP_COMPARISONS:
                break;
        }
        return false;
}

static uint32_t kernel_action(const struct seccomp_action *action)
{
        uint32_t made = action_of(action);

        /* libseccomp's words for the kernel's: the same numbers, apart from the data's width */
        return made;
}

static uint32_t evaluate(const struct seccomp_profile *profile, const char *name,
                         const uint64_t args[6])
{
        for (size_t i = 0; i < profile->rule_count; i++) {
                const struct seccomp_rule *rule = &profile->rules[i];
                bool all = strcmp(rule->names[0], name) == 0;

                for (size_t k = 0; k < rule->argument_count && all; k++)
                        all = met(&rule->arguments[k], args[rule->arguments[k].index]);
                if (all)
                        return kernel_action(&rule->action);
        }
        return kernel_action(&profile->default_action);
}

Test(seccomp_profile, made_by_chance_they_mean_what_they_say)
{
        for (unsigned round = 0; round < 300; round++) {
                struct seccomp_profile profile = some_profile();
                struct plan_filter filter = compiled(&profile, 0);

                for (unsigned attempt = 0; attempt < 400; attempt++) {
                        const char *name = some[chance() % ARRAY_SIZE(some)];
                        uint64_t args[6];
                        uint32_t got, expected;

                        for (size_t i = 0; i < 6; i++)
                                args[i] = some_value();
                        /* near to what is asked for */
                        for (size_t i = 0; i < profile.rule_count; i++)
                                if (strcmp(profile.rules[i].names[0], name) == 0)
                                        for (size_t k = 0; k < profile.rules[i].argument_count; k++)
                                                if (chance() % 2)
                                                        args[profile.rules[i].arguments[k].index] =
                                                                profile.rules[i]
                                                                        .arguments[k]
                                                                        .value +
                                                                chance() % 3 - 1;
                        got = run(&filter, MACHINE, (uint32_t)seccomp_syscall_resolve_name(name),
                                  args);
                        expected = evaluate(&profile, name, args);
                        cr_assert_eq(
                                got, expected,
                                "round %u: %s(%lx, %lx, %lx, %lx, %lx, %lx): 0x%x, not 0x%x\n%s",
                                round, name, args[0], args[1], args[2], args[3], args[4], args[5],
                                got, expected, filter.text);
                }
                seccomp_filter_finish(&filter);
                seccomp_profile_finish(&profile);
        }
}

/* --- conditions on the rules themselves ------------------------------------------------------------- */

Test(seccomp_profile, includes_and_excludes)
{
        struct seccomp_profile profile = profile_from(
                "{\"defaultAction\":\"SCMP_ACT_ERRNO\",\"syscalls\":["
                "{\"names\":[\"mount\"],\"action\":\"SCMP_ACT_ALLOW\",\"includes\":{\"caps\":["
                "\"CAP_SYS_ADMIN\"]}},"
                "{\"names\":[\"chroot\"],\"action\":\"SCMP_ACT_ALLOW\",\"includes\":{\"caps\":["
                "\"CAP_SYS_ADMIN\",\"CAP_SYS_CHROOT\"]}},"
                "{\"names\":[\"ptrace\"],\"action\":\"SCMP_ACT_ALLOW\",\"excludes\":{\"caps\":["
                "\"CAP_SYS_PTRACE\"]}},"
                "{\"names\":[\"bpf\"],\"action\":\"SCMP_ACT_ALLOW\",\"includes\":{\"minKernel\":"
                "\"4.8\"}},"
                "{\"names\":[\"kcmp\"],\"action\":\"SCMP_ACT_ALLOW\",\"includes\":{\"minKernel\":"
                "\"999.0\"}},"
                "{\"names\":[\"getpid\"],\"action\":\"SCMP_ACT_ALLOW\",\"includes\":{\"arches\":["
                "\"amd64\",\"arm64\"]}},"
                "{\"names\":[\"getppid\"],\"action\":\"SCMP_ACT_ALLOW\",\"includes\":{\"arches\":["
                "\"s390x\"]}},"
                "{\"names\":[\"gettid\"],\"action\":\"SCMP_ACT_ALLOW\",\"excludes\":{\"arches\":["
                "\"amd64\",\"arm64\"]}},"
                "{\"names\":[\"getuid\"],\"action\":\"SCMP_ACT_ALLOW\",\"includes\":{\"caps\":["
                "\"CAP_OF_TOMORROW\"]}}]}");
        static const uint64_t nothing[6];
        static const struct {
                int number;
                bool without, with_admin, with_all;
        } rows[] = {
                {SYS_mount, false, true, true},     {SYS_chroot, false, false, true},
                {SYS_ptrace, true, true, false},    {SYS_bpf, true, true, true},
                {SYS_kcmp, false, false, false},    {SYS_getpid, true, true, true},
                {SYS_getppid, false, false, false}, {SYS_gettid, false, false, false},
                {SYS_getuid, false, false, false},
        };
        struct plan_filter none = compiled(&profile, 0), admin = compiled(&profile, 1ull << 21);
        struct plan_filter all = compiled(&profile, UINT64_MAX >> 1);

        for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
                uint32_t number = (uint32_t)rows[i].number;

                cr_expect_eq(run(&none, MACHINE, number, nothing),
                             rows[i].without ? SECCOMP_RET_ALLOW : ERRNO(EPERM), "%u", number);
                cr_expect_eq(run(&admin, MACHINE, number, nothing),
                             rows[i].with_admin ? SECCOMP_RET_ALLOW : ERRNO(EPERM), "%u", number);
                cr_expect_eq(run(&all, MACHINE, number, nothing),
                             rows[i].with_all ? SECCOMP_RET_ALLOW : ERRNO(EPERM), "%u", number);
        }
        cr_expect(seccomp_profile_asks(&profile));
        seccomp_filter_finish(&none);
        seccomp_filter_finish(&admin);
        seccomp_filter_finish(&all);
        seccomp_profile_finish(&profile);
}

Test(seccomp_profile, what_clade_needs_itself)
{
        static const struct {
                const char *rules, *lacks;
        } rows[] = {
                {"[{\"names\":[" NEEDED "],\"action\":\"SCMP_ACT_ALLOW\"}]", NULL},
                {"[{\"names\":[\"clone\"],\"action\":\"SCMP_ACT_ALLOW\"}]", "close"},
                {"[]", "clone"},
                {"[{\"names\":[" NEEDED "],\"action\":\"SCMP_ACT_LOG\",\"excludes\":{\"arches\":["
                 "\"amd64\",\"arm64\"]}}]",
                 "clone"},
        };

        for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
                char json[1024];
                struct seccomp_profile profile;
                const char *lacks;

                snprintf(json, sizeof(json),
                         "{\"defaultAction\":\"SCMP_ACT_ERRNO\",\"syscalls\":%s}", rows[i].rules);
                profile = profile_from(json);
                lacks = seccomp_profile_lacks(&profile, 0);
                if (rows[i].lacks)
                        cr_expect_str_eq(lacks, rows[i].lacks);
                else
                        cr_expect_null(lacks);
                seccomp_profile_finish(&profile);
        }
}
