/* Any bytes as a seccomp profile: it is taken or refused, and what is said about it is complete. Of one that is
 * taken and small a program is made: one that the kernel would take, which ends calls of other machines and
 * knows no number that is none. */
#include <errno.h>
#include <linux/audit.h>
#include <linux/seccomp.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/machine.h"
#include "isolation/seccomp/compiler.h"
#include "runtime/profile/profile.h"
#include "tests/fuzz/require.h"
#include "tests/unit/bpf_simulator.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define CALLS_MAX 24 /* libseccomp takes its time for many conditions */

static void require_rule(const struct seccomp_rule *rule)
{
        REQUIRE(rule->names && rule->names[0]);
        REQUIRE(rule->action.kind < SECCOMP_ACTION_KINDS);
        REQUIRE(rule->argument_count <= SECCOMP_ARGUMENTS_MAX);
        for (size_t i = 0; i < rule->argument_count; i++) {
                REQUIRE(rule->arguments[i].index < SECCOMP_ARGUMENTS_MAX);
                REQUIRE(rule->arguments[i].comparison < SECCOMP_COMPARISONS);
        }
}

static uint32_t answer(const struct plan_filter *filter, uint32_t architecture, uint32_t number)
{
        const struct seccomp_data data = {.nr = (int)number, .arch = architecture};

        return bpf_run(filter->program, filter->length, &data);
}

static void require_program(const struct seccomp_profile *profile)
{
        struct plan_filter filter = {.name = NULL};
        struct error error = ERROR_INIT;

        if (seccomp_compile_profile(profile, 0, &filter, &error) < 0) {
                REQUIRE(error.code && error.text[0] && !filter.program);
                return;
        }
        REQUIRE(seccomp_program_valid(filter.program, filter.length));
        REQUIRE(answer(&filter, AUDIT_ARCH_S390X, 1) == SECCOMP_RET_KILL_PROCESS);
        REQUIRE(answer(&filter, MACHINE, 1000) == (SECCOMP_RET_ERRNO | ENOSYS));
        REQUIRE(answer(&filter, MACHINE, 0x40000001) == (SECCOMP_RET_ERRNO | ENOSYS));
        REQUIRE(answer(&filter, MACHINE, 0) != BPF_BROKEN);
        seccomp_filter_finish(&filter);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        struct diagnostics diagnostics = {.count = 0};
        struct seccomp_profile profile = {.file = NULL};
        char *text = malloc(size ? size : 1);
        size_t calls = 0;
        int r;

        /* of exactly this size, so that reading beyond it is seen */
        if (!text)
                return 0;
        memcpy(text, data, size);
        r = profile_parse("fuzz", text, size, &profile, &diagnostics);
        if (r == 0) {
                REQUIRE(diagnostics.count == 0 && profile.file);
                for (size_t i = 0; i < profile.rule_count; i++) {
                        require_rule(&profile.rules[i]);
                        for (char **name = profile.rules[i].names; *name; name++)
                                calls++;
                }
                if (calls <= CALLS_MAX)
                        require_program(&profile);
                (void)seccomp_profile_lacks(&profile, 0);
                seccomp_profile_finish(&profile);
        } else {
                REQUIRE(r == -EINVAL && diagnostics.count > 0 && !profile.file);
        }
        for (size_t i = 0; i < diagnostics.count; i++)
                REQUIRE(diagnostics.list[i].text[0]);
        diagnostics_finish(&diagnostics);
        free(text);
        return 0;
}
