#include "isolation/clone.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <inttypes.h>
#include <linux/capability.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/missing.h"
#include "base/own.h"
#include "base/signals.h"
#include "isolation/birthplace.h"
#include "isolation/clocks.h"
#include "isolation/counts.h"
#include "isolation/idmap.h"
#include "isolation/mount_owners.h"
#include "isolation/refusal.h"
#include "isolation/scheduling.h"
#include "isolation/sources.h"
#include "isolation/steps/steps.h"

/* What C holds between the clone and its exec. */
struct child {
        const struct isolation_clone *clone;
        int go;     /* reads one byte when the id maps are there */
        int writer; /* the clone's copy of P's end, which would keep the end of the file away */
        int *trees; /* one for each source; -1: to be opened by C */
        bool arranged;
};

/* --- in C: full capabilities in the new user namespace, P's ids outside ---------------------- */

/* Everything we may do, effective, inheritable and ambient: an exec of a uid other than 0 keeps nothing
 * else. The prototype gives it all back in its step `capabilities`. */
static int raise_capabilities(struct error *error)
{
        struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
        struct __user_cap_data_struct sets[2];

        if (syscall(SYS_capget, &header, sets) < 0)
                return error_set(error, errno, "capget");
        for (size_t i = 0; i < ARRAY_SIZE(sets); i++)
                sets[i].effective = sets[i].inheritable = sets[i].permitted;
        if (syscall(SYS_capset, &header, sets) < 0)
                return error_set(error, errno, "capset");
        for (unsigned long capability = 0; capability < 64; capability++) {
                if (!(sets[capability / 32].permitted & (1u << (capability % 32))))
                        continue;
                if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, capability, 0, 0) < 0)
                        return error_set(error, errno, "raising ambient capability %lu",
                                         capability);
        }
        return 0;
}

/* From P's ids to the plan's. Without a user namespace of its own an unprivileged C already has them. */
static int take_identity(const struct plan *plan, struct error *error)
{
        const struct plan_identity *identity = &plan->identity;

        if (identity->method == PLAN_IDS_NONE && !plan->privileged)
                return 0;
        if (prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) < 0)
                return error_set(error, errno, "prctl(PR_SET_KEEPCAPS)");
        if (!identity->deny_groups && setgroups(0, NULL) < 0)
                return error_set(error, errno, "setgroups to none");
        if (setresgid(identity->gid, identity->gid, identity->gid) < 0)
                return error_set(error, errno, "setresgid to %u", identity->gid);
        if (setresuid(identity->uid, identity->uid, identity->uid) < 0)
                return error_set(error, errno, "setresuid to %u", identity->uid);
        return raise_capabilities(error);
}

static int exec_program(struct child *child, struct error *error)
{
        const struct isolation_clone *clone = child->clone;
        size_t sources = clone->plan->source_count;
        size_t count = clone->first_source + sources;
        int list[ISOLATION_DESCRIPTORS_MAX + 1];
        int r;

        if (count < clone->descriptor_count)
                count = clone->descriptor_count;
        if (count > ISOLATION_DESCRIPTORS_MAX)
                return error_say(error, EMFILE, "%zu descriptors for one prototype", count);
        for (size_t i = 0; i < count; i++)
                list[i] = i < clone->descriptor_count ? clone->descriptors[i] : -1;
        for (size_t i = 0; i < sources; i++)
                list[clone->first_source + i] = child->trees[i];
        list[count] = clone->executable;
        r = fd_arrange(list, count + 1, 0);
        if (r < 0)
                return error_set(error, -r, "moving descriptors to their numbers");
        child->arranged = true;
        r = fd_cloexec((int)count, true);
        if (r < 0)
                return error_set(error, -r, "close-on-exec of the program");
        execveat((int)count, "", clone->arguments, clone->environment, AT_EMPTY_PATH);
        error_set(error, errno, "exec of %s", clone->arguments[0]);
        return error_remedy(error, "the program must be readable and executable by everybody");
}

static enum isolation_step_id child_steps(struct child *child, struct error *error)
{
        const struct isolation_clone *clone = child->clone;
        char byte;

        /* End of file: P is gone or has given us up. */
        if (fd_read_full(child->go, &byte, 1) != 1)
                _exit(STEP_ID_MAPS);
        if (birthplace_apply(clone->plan, error) < 0 ||
            clocks_apply(&clone->plan->clocks, error) < 0 ||
            counts_apply(&clone->plan->counts, error) < 0)
                return STEP_NAMESPACES;
        if (!clone->plan->privileged && sources_open(clone->plan, child->trees, error) < 0)
                return STEP_SOURCES;
        if (take_identity(clone->plan, error) < 0)
                return STEP_IDENTITY;
        if (clone->run) {
                clone->run(clone->context, child->trees);
                _exit(0);
        }
        exec_program(child, error);
        return STEP_EXEC;
}

static _Noreturn void child_main(struct child *child)
{
        struct error error = ERROR_INIT;
        enum isolation_step_id step;

        signals_reset();
        /* P may have died before this was asked for; then the pipe's end of file tells. */
        prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
        fd_close(child->writer);
        umask(022);
        step = child_steps(child, &error);
        child->clone->failed(child->clone->context, child->arranged, step, &error);
        _exit((int)step);
}

/* --- in P --------------------------------------------------------------------------------- */

/* Ends a clone that cannot be used. It has not run any program yet. */
static void child_end(int pidfd)
{
        siginfo_t info;

        syscall(SYS_pidfd_send_signal, pidfd, SIGKILL, NULL, 0);
        while (waitid(P_PIDFD, (id_t)pidfd, &info, WEXITED) < 0 && errno == EINTR)
                ;
}

/* Container engines answer ENOSYS for clone3, whose flags their filters cannot see, and let plain clone pass
 * where it asks for no namespaces. It does all that is needed here, but for the time namespace: that bit
 * is part of the exit signal there. */
static long clone_plain(uint64_t namespaces, int *ret_pidfd)
{
        if (namespaces & CLONE_NEWTIME) {
                errno = ENOSYS;
                return -1;
        }
        return syscall(SYS_clone, namespaces | CLONE_PIDFD | SIGCHLD, NULL, ret_pidfd, NULL, NULL);
}

static pid_t clone_child(struct child *child, int *ret_pidfd, struct error *error)
{
        const struct plan *plan = child->clone->plan;
        uint64_t namespaces = birthplace_clone_flags(plan, clocks_clone_flags(plan));
        struct clone_args args = {
                .flags = namespaces | CLONE_PIDFD,
                .pidfd = (uint64_t)(uintptr_t)ret_pidfd,
                .exit_signal = SIGCHLD,
        };
        bool plain = false;
        long pid;
        int r;

        birthplace_arguments(plan, child->clone->cgroup, &args);
        pid = syscall(SYS_clone3, &args, sizeof(args));
        if (pid < 0 && errno == ENOSYS) {
                plain = true;
                pid = clone_plain(namespaces, ret_pidfd);
        }
        if (pid == 0)
                child_main(child);
        if (pid < 0 && birthplace_explain(plan, errno, error))
                return -error->code;
        if (pid < 0)
                return refusal_explain(error, errno, plan->namespaces);
        r = plain ? birthplace_move(plan, child->clone->cgroup, (pid_t)pid, error) : 0;
        if (r < 0)
                child_end(*ret_pidfd);
        return r < 0 ? r : (pid_t)pid;
}

static int clone_with_trees(const struct isolation_clone *clone, int *trees, pid_t *ret_pid,
                            int *ret_pidfd, enum isolation_step_id *ret_step, struct error *error)
{
        struct child child = {.clone = clone, .trees = trees};
        cleanup_fd int reader = -1, writer = -1;
        cleanup_fd int pidfd = -1;
        int fds[2], r;
        pid_t pid;

        *ret_step = STEP_SOURCES;
        if (clone->plan->privileged) {
                r = sources_open(clone->plan, trees, error);
                if (r < 0)
                        return r;
        }
        *ret_step = STEP_NAMESPACES;
        if (pipe2(fds, O_CLOEXEC) < 0)
                return error_set(error, errno, "pipe2");
        child.go = reader = fds[0];
        child.writer = writer = fds[1];
        pid = clone_child(&child, &pidfd, error);
        if (pid < 0)
                return pid;

        /* The clone waits, and has our ids: what we may do to ourselves we may do to it. */
        *ret_step = STEP_LIMITS;
        r = scheduling_set(pid, &clone->plan->scheduling, error);
        if (r == 0) {
                *ret_step = STEP_ID_MAPS;
                r = idmap_write(pid, &clone->plan->identity, error);
        }
        if (r == 0)
                r = fd_write_full(writer, "", 1);
        if (r < 0) {
                if (!error->code)
                        error_set(error, -r, "letting the clone go on");
                child_end(pidfd);
                return r;
        }
        *ret_pid = pid;
        *ret_pidfd = TAKE_FD(pidfd);
        return 0;
}

int isolation_clone(const struct isolation_clone *clone, pid_t *ret_pid, int *ret_pidfd,
                    enum isolation_step_id *ret_step, struct error *error)
{
        size_t count = clone->plan->source_count;
        cleanup_free int *trees = malloc((count + 1) * sizeof(*trees));
        int r;

        *ret_step = STEP_SOURCES;
        if (!trees)
                return error_set(error, ENOMEM, "descriptors of the sources");
        for (size_t i = 0; i < count; i++)
                trees[i] = -1;
        r = clone_with_trees(clone, trees, ret_pid, ret_pidfd, ret_step, error);
        for (size_t i = 0; i < count; i++)
                fd_close(trees[i]);
        return r;
}

/* A privileged parent opens them before it clones, any other leaves them to the clone. */
static void describe_sources(const struct plan *plan, const struct isolation_report *report)
{
        report_step(report, "sources");
        for (size_t i = 0; i < plan->source_count; i++) {
                report_call(report, "open_tree", "\"%s\", OPEN_TREE_CLONE|AT_RECURSIVE",
                            plan->sources[i].path);
                if (plan->sources[i].owner_map != PLAN_OWNERS_KEPT)
                        mount_owners_describe(&plan->sources[i], &plan->identity, report);
        }
}

void clone_describe(const struct plan *plan, const struct isolation_report *report)
{
        const struct plan_identity *identity = &plan->identity;
        char words[256];

        if (plan->privileged)
                describe_sources(plan, report);
        report_step(report, "namespaces");
        report_call(report, "clone3", "%s%s",
                    report_namespaces(birthplace_clone_flags(plan, clocks_clone_flags(plan)), words,
                                      sizeof(words)),
                    plan->cgroup.present ? "|CLONE_INTO_CGROUP" : "");
        report_call(report, "prctl", "PR_SET_PDEATHSIG, SIGKILL");
        scheduling_describe(&plan->scheduling, report);
        report_step(report, "id-maps");
        idmap_describe(identity, report);
        birthplace_describe(plan, report);
        clocks_describe(&plan->clocks, report);
        counts_describe(&plan->counts, report);
        if (!plan->privileged)
                describe_sources(plan, report);
        report_step(report, "identity");
        if (identity->method != PLAN_IDS_NONE || plan->privileged) {
                report_call(report, "prctl", "PR_SET_KEEPCAPS, 1");
                if (!identity->deny_groups)
                        report_call(report, "setgroups", "0");
                report_call(report, "setresgid", "%u", identity->gid);
                report_call(report, "setresuid", "%u", identity->uid);
                report_call(report, "capset", "all that is permitted, inheritable");
                report_call(report, "prctl", "PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, the same");
        }
        report_step(report, "exec");
        report_call(report, "execveat", "the prototype");
}
