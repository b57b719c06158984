#include "isolation/scheduling.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/own.h"

static int set_oom_score(pid_t pid, int32_t score, struct error *error)
{
        cleanup_fd int fd = -1;
        char path[64], text[16];

        snprintf(path, sizeof(path), "/proc/%d/oom_score_adj", (int)pid);
        snprintf(text, sizeof(text), "%d", score);
        fd = open(path, O_WRONLY | O_CLOEXEC);
        if (fd < 0)
                return error_set(error, errno, "open of %s", path);
        if (write(fd, text, strlen(text)) < 0) {
                error_set(error, errno, "write of %s to oom_score_adj", text);
                return error_remedy(error, "below clade's own value it needs CAP_SYS_RESOURCE: run "
                                           "clade as root, or raise limits.oom_score_adj");
        }
        return 0;
}

/* The raw call: glibc's wrapper knows sets of 1024 only, and the mask's size is part of it. */
static int set_cpus(pid_t pid, const struct plan_scheduling *scheduling, struct error *error)
{
        size_t size = scheduling->cpu_words * sizeof(*scheduling->cpus);

        if (syscall(SYS_sched_setaffinity, pid, size, scheduling->cpus) < 0) {
                error_set(error, errno, "sched_setaffinity");
                return error_remedy(error, "name processors in limits.cpus that clade may use "
                                           "itself (taskset -cp $$)");
        }
        return 0;
}

int scheduling_set(pid_t pid, const struct plan_scheduling *scheduling, struct error *error)
{
        int32_t nice = (int32_t)scheduling->nice;
        int r = 0;

        if (scheduling->set_nice && setpriority(PRIO_PROCESS, (id_t)pid, nice) < 0) {
                error_set(error, errno, "setpriority to %d", nice);
                return error_remedy(error, "below clade's own value it needs CAP_SYS_NICE or "
                                           "RLIMIT_NICE: run clade as root, or raise limits.nice");
        }
        if (scheduling->cpu_words > 0)
                r = set_cpus(pid, scheduling, error);
        if (r == 0 && scheduling->set_oom_score)
                r = set_oom_score(pid, (int32_t)scheduling->oom_score, error);
        return r;
}

static void describe_cpus(const struct plan_scheduling *scheduling,
                          const struct isolation_report *report)
{
        char words[1024] = "";
        size_t used = 0;

        for (size_t i = scheduling->cpu_words; i-- > 0 && used < sizeof(words);)
                used += (size_t)snprintf(words + used, sizeof(words) - used, "%s%016llx",
                                         used ? "," : "0x",
                                         (unsigned long long)scheduling->cpus[i]);
        report_call(report, "sched_setaffinity", "the clone, %s", words);
}

void scheduling_describe(const struct plan_scheduling *scheduling,
                         const struct isolation_report *report)
{
        if (!scheduling->set_nice && !scheduling->set_oom_score && scheduling->cpu_words == 0)
                return;
        report_step(report, "limits");
        if (scheduling->set_nice)
                report_call(report, "setpriority", "PRIO_PROCESS, the clone, %d",
                            (int)(int32_t)scheduling->nice);
        if (scheduling->cpu_words > 0)
                describe_cpus(scheduling, report);
        if (scheduling->set_oom_score)
                report_call(report, "write", "oom_score_adj, \"%d\"",
                            (int)(int32_t)scheduling->oom_score);
}
