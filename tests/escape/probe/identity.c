/* Rows 26 to 29, 44 and 51: who we are, and who we can become. */
#include <errno.h>
#include <linux/capability.h>
#include <linux/securebits.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "probe.h"

enum { INHERITABLE, PERMITTED, EFFECTIVE, BOUNDING, AMBIENT };

static int get_capabilities(struct __user_cap_data_struct data[2])
{
        struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};

        return (int)syscall(SYS_capget, &header, data);
}

/* By system calls: /proc may not be there. */
static void find_set(const struct probe *probe, const struct attempt *attempt,
                     struct outcome *outcome)
{
        struct __user_cap_data_struct data[2] = {{0}};
        unsigned long long set = 0;

        (void)probe;
        if (get_capabilities(data) < 0) {
                outcome_call(outcome, -1);
                return;
        }
        for (int i = 0; i < 2; i++) {
                const uint32_t words[] = {data[i].inheritable, data[i].permitted,
                                          data[i].effective};

                if (attempt->number <= EFFECTIVE)
                        set |= (unsigned long long)words[attempt->number] << 32 * i;
        }
        for (unsigned long cap = 0; cap <= CAP_LAST_CAP && attempt->number >= BOUNDING; cap++) {
                int r = attempt->number == BOUNDING
                                ? prctl(PR_CAPBSET_READ, cap, 0, 0, 0)
                                : prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_IS_SET, cap, 0, 0);

                if (r == 1)
                        set |= 1ull << cap;
        }
        if (set == 0)
                outcome_set(outcome, "zero");
        else
                outcome_set(outcome, "set:%llx", set);
}

static void find_prctl(const struct probe *probe, const struct attempt *attempt,
                       struct outcome *outcome)
{
        int r = prctl((int)attempt->number, 0, 0, 0, 0);

        (void)probe;
        if (r < 0)
                outcome_call(outcome, r);
        else
                outcome_set(outcome, "%d", r);
}

static void try_capset(const struct probe *probe, const struct attempt *attempt,
                       struct outcome *outcome)
{
        struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
        struct __user_cap_data_struct data[2];

        (void)probe, (void)attempt;
        memset(data, 0xff, sizeof(data));
        data[1] = (struct __user_cap_data_struct){0};
        outcome_call(outcome, syscall(SYS_capset, &header, data));
}

static void try_prctl(const struct probe *probe, const struct attempt *attempt,
                      struct outcome *outcome)
{
        (void)probe;
        outcome_call(outcome,
                     prctl((int)attempt->number, attempt->arguments[0], attempt->arguments[1],
                           attempt->arguments[2], attempt->arguments[3]));
}

/* When it began: the children that attempts are made in share it. */
static void find_session(const struct probe *probe, const struct attempt *attempt,
                         struct outcome *outcome)
{
        (void)attempt;
        if (probe->session <= 0)
                outcome_set(outcome, "zero");
        else
                outcome_set(outcome, probe->session == probe->self ? "own" : "another");
}

static void find_environment(const struct probe *probe, const struct attempt *attempt,
                             struct outcome *outcome)
{
        char names[OUTCOME_MAX - 16] = "";
        size_t length = 0;

        (void)probe, (void)attempt;
        for (char **variable = environ; *variable && length < sizeof(names); variable++)
                length += (size_t)snprintf(names + length, sizeof(names) - length, "%s%.*s",
                                           length ? "," : "", (int)strcspn(*variable, "="),
                                           *variable);
        outcome_set(outcome, "names:%s", names);
}

/* What the exec left in memory, whatever became of `environ` since. */
static void find_started_with(const struct probe *probe, const struct attempt *attempt,
                              struct outcome *outcome)
{
        FILE *file = fopen("/proc/self/environ", "re");
        char text[1024], names[OUTCOME_MAX - 16] = "";
        size_t length = 0, n;

        (void)probe, (void)attempt;
        if (!file) {
                outcome_call(outcome, -1);
                return;
        }
        n = fread(text, 1, sizeof(text) - 1, file);
        fclose(file);
        text[n] = '\0';
        for (const char *at = text; at < text + n && length < sizeof(names); at += strlen(at) + 1)
                if (*at)
                        length += (size_t)snprintf(names + length, sizeof(names) - length, "%s%.*s",
                                                   length ? "," : "", (int)strcspn(at, "="), at);
        outcome_set(outcome, "names:%s", names);
}

const struct attempt identity_attempts[] = {
        {26, "inheritable", find_set, .number = INHERITABLE},
        {26, "permitted", find_set, .number = PERMITTED},
        {26, "effective", find_set, .number = EFFECTIVE},
        {26, "bounding", find_set, .number = BOUNDING},
        {26, "ambient", find_set, .number = AMBIENT},
        {27, "no_new_privs", find_prctl, .number = PR_GET_NO_NEW_PRIVS},
        {27, "seccomp", find_prctl, .number = PR_GET_SECCOMP},
        {28, "capset", try_capset},
        {28, "ambient-raise", try_prctl, .number = PR_CAP_AMBIENT,
         .arguments = {PR_CAP_AMBIENT_RAISE, CAP_NET_BIND_SERVICE}},
        {28, "securebits", try_prctl, .number = PR_SET_SECUREBITS, .arguments = {SECBIT_NOROOT}},
        {28, "bounding-drop", try_prctl, .number = PR_CAPBSET_DROP, .arguments = {CAP_SYS_ADMIN}},
        {28, "no_new_privs-off", try_prctl, .number = PR_SET_NO_NEW_PRIVS},
        {29, "setuid-root", try_syscall, .number = SYS_setuid, .arguments = {0}},
        {29, "setuid-other", try_syscall, .number = SYS_setuid, .arguments = {12345}},
        {29, "setgid-root", try_syscall, .number = SYS_setgid, .arguments = {0}},
        {29, "setgid-other", try_syscall, .number = SYS_setgid, .arguments = {12345}},
        {29, "setresuid", try_syscall, .number = SYS_setresuid, .arguments = {0, 0, 0}},
        {29, "setresgid", try_syscall, .number = SYS_setresgid, .arguments = {0, 0, 0}},
        {29, "setreuid", try_syscall, .number = SYS_setreuid, .arguments = {0, 0}},
        {44, "session", find_session},
        {51, "environment", find_environment},
        {51, "started-with", find_started_with},
        {0},
};
