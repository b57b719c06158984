/* isolation_clone for real: what it makes, what it says when a step cannot be done, and that nothing is left. */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/audit.h>
#include <linux/seccomp.h>
#include <linux/sched.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/channel.h"
#include "base/own.h"
#include "isolation/clone.h"
#include "isolation/steps/steps.h"

#define PLAIN (CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNS | CLONE_NEWUTS)

/* What the clone says when it fails before its exec. */
struct told {
        enum isolation_step_id step;
        struct error error;
};

struct fixture {
        struct plan plan;
        struct plan_id_extent extents[2];
        struct isolation_clone clone;
        int told[2];
        pid_t pid;
        int pidfd;
        enum isolation_step_id step;
        struct error error;
        int descriptors[4];
        char *arguments[4];
        char *environment[1];
};

static void tell(void *context, bool arranged, enum isolation_step_id step,
                 const struct error *error)
{
        const struct fixture *fixture = context;
        struct told told = {step, *error};

        channel_send(arranged ? 3 : fixture->told[1], &told, sizeof(told));
}

/* A plan for whoever we are: one id inside, our own outside. */
static void fixture_init(struct fixture *fixture, const char *program, char *command)
{
        static char shell[] = "sh", option[] = "-c";

        *fixture = (struct fixture){
                .pidfd = -1,
                .extents = {{1000, geteuid(), 1}, {1000, getegid(), 1}},
        };
        cr_assert_eq(channel_packet_pipe(fixture->told), 0);
        fixture->plan = (struct plan){
                .namespaces = PLAIN,
                .identity =
                        {
                                .method = PLAN_IDS_DIRECT,
                                .deny_groups = true,
                                .uid_map = {&fixture->extents[0], 1},
                                .gid_map = {&fixture->extents[1], 1},
                                .uid = 1000,
                                .gid = 1000,
                        },
        };
        fixture->descriptors[0] = fixture->descriptors[1] = -1;
        fixture->descriptors[2] = 2;
        fixture->descriptors[3] = fixture->told[1];
        fixture->arguments[0] = shell;
        fixture->arguments[1] = option;
        fixture->arguments[2] = command;
        fixture->clone = (struct isolation_clone){
                .plan = &fixture->plan,
                .executable = open(program, O_RDONLY | O_CLOEXEC),
                .arguments = fixture->arguments,
                .environment = fixture->environment,
                .descriptors = fixture->descriptors,
                .descriptor_count = 4,
                .first_source = 4,
                .failed = tell,
                .context = fixture,
        };
        cr_assert_geq(fixture->clone.executable, 0);
}

static int fixture_clone(struct fixture *fixture)
{
        return isolation_clone(&fixture->clone, &fixture->pid, &fixture->pidfd, &fixture->step,
                               &fixture->error);
}

/* The exit status of a clone that was made. */
static int fixture_wait(struct fixture *fixture)
{
        siginfo_t info;

        cr_assert_eq(waitid(P_PIDFD, (id_t)fixture->pidfd, &info, WEXITED), 0);
        cr_assert_eq(info.si_code, CLD_EXITED, "signal %d", info.si_status);
        return info.si_status;
}

static void must_tell(struct fixture *fixture, enum isolation_step_id step, const char *text)
{
        struct told told;

        cr_assert_eq(fixture_clone(fixture), 0, "%s", fixture->error.text);
        cr_expect_eq(fixture_wait(fixture), (int)step);
        cr_assert_eq(channel_receive(fixture->told[0], &told, sizeof(told)), (ssize_t)sizeof(told));
        cr_expect_eq(told.step, step);
        cr_expect(strstr(told.error.text, text), "%s", told.error.text);
}

static void no_child_is_left(void)
{
        cr_expect_eq(waitpid(-1, NULL, WNOHANG), -1);
        cr_expect_eq(errno, ECHILD);
}

Test(clone, the_program_runs_as_pid_1_under_the_ids_of_the_plan)
{
        struct fixture fixture;
        char command[] = "test $$ = 1 && test $(id -u) = 1000 && test $(id -g) = 1000 && exit 40";

        fixture_init(&fixture, "/bin/sh", command);
        cr_assert_eq(fixture_clone(&fixture), 0, "%s", fixture.error.text);
        cr_expect_eq(fixture_wait(&fixture), 40);
        no_child_is_left();
}

Test(clone, all_capabilities_survive_the_exec)
{
        struct fixture fixture;
        char command[] = "grep -q '^CapEff:.*1ffffffffff$' /proc/self/status && exit 41";

        fixture_init(&fixture, "/bin/sh", command);
        cr_assert_eq(fixture_clone(&fixture), 0, "%s", fixture.error.text);
        cr_expect_eq(fixture_wait(&fixture), 41);
}

Test(clone, only_the_listed_descriptors_are_open)
{
        struct fixture fixture;
        /* 2 and 3 are ours; ls has 0 (the directory) */
        char command[] = "test \"$(echo $(ls /proc/self/fd))\" = '0 1 2 3' && exit 42";
        int stray = open("/etc/passwd", O_RDONLY); /* NOLINT: not close-on-exec is the point */

        fixture_init(&fixture, "/bin/sh", command);
        cr_assert_eq(fixture_clone(&fixture), 0, "%s", fixture.error.text);
        cr_expect_eq(fixture_wait(&fixture), 42);
        close(stray);
}

Test(clone, ids_that_are_not_ours_to_give)
{
        struct fixture fixture;
        char command[] = "exit 0";

        if (geteuid() == 0) {
                /* root may map what it likes: be nobody; and dumpable, or the map is not even ours to open */
                cr_assert_eq(setgroups(0, NULL), 0);
                cr_assert_eq(setresgid(65534, 65534, 65534), 0);
                cr_assert_eq(setresuid(65534, 65534, 65534), 0);
                cr_assert_eq(prctl(PR_SET_DUMPABLE, 1, 0, 0, 0), 0);
        }
        fixture_init(&fixture, "/bin/sh", command);
        fixture.extents[0].outside = 0;
        cr_expect_eq(fixture_clone(&fixture), -EPERM);
        cr_expect_eq(fixture.step, STEP_ID_MAPS);
        cr_expect(strstr(fixture.error.text, "uid_map"), "%s", fixture.error.text);
        cr_expect(fixture.error.remedy[0]);
        no_child_is_left();
}

Test(clone, a_source_that_is_gone)
{
        struct plan_source source = {.path = (char[]){"/nonexistent/source"}};
        struct fixture fixture;
        char command[] = "exit 0";

        fixture_init(&fixture, "/bin/sh", command);
        fixture.plan.sources = &source;
        fixture.plan.source_count = 1;
        must_tell(&fixture, STEP_SOURCES, "/nonexistent/source");
        no_child_is_left();
}

Test(clone, a_source_that_was_replaced)
{
        struct plan_source source = {.path = (char[]){"/etc/passwd"}, .type = S_IFREG};
        struct fixture fixture;
        char command[] = "exit 0";
        struct stat st;

        fixture_init(&fixture, "/bin/sh", command);
        cr_assert_eq(stat("/etc/passwd", &st), 0);
        source.device = st.st_dev;
        source.inode = st.st_ino + 1;
        fixture.plan.sources = &source;
        fixture.plan.source_count = 1;
        must_tell(&fixture, STEP_SOURCES, "/etc/passwd is not the file any more");
}

Test(clone, an_identity_without_a_map)
{
        struct fixture fixture;
        char command[] = "exit 0";

        fixture_init(&fixture, "/bin/sh", command);
        fixture.plan.identity.uid = 7;
        must_tell(&fixture, STEP_IDENTITY, "setresuid to 7");
}

Test(clone, a_program_that_is_none)
{
        struct fixture fixture;
        char command[] = "exit 0";

        fixture_init(&fixture, "/etc/passwd", command);
        must_tell(&fixture, STEP_EXEC, "EACCES");
}

/* A filter as container engines have it: clone3 answers `code`, the rest passes. */
static void refuse_clone3(unsigned code)
{
        struct sock_filter program[] = {
                BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 0), /* seccomp_data.nr */
                BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_clone3, 0, 1),
                BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | code),
                BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
        };
        struct plan_filter filter = {
                .name = (char[]){"test"}, .program = program, .length = ARRAY_SIZE(program)};
        struct error error = ERROR_INIT;

        cr_assert_eq(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
        cr_assert_eq(seccomp_install(&filter, &error), 0, "%s", error.text);
}

Test(clone, plain_clone_serves_where_clone3_is_hidden)
{
        struct fixture fixture;
        char command[] = "test $$ = 1 && exit 43";

        refuse_clone3(ENOSYS);
        fixture_init(&fixture, "/bin/sh", command);
        cr_assert_eq(fixture_clone(&fixture), 0, "%s", fixture.error.text);
        cr_expect_eq(fixture_wait(&fixture), 43);
}

Test(clone, but_not_for_a_time_namespace)
{
        struct fixture fixture;
        char command[] = "exit 0";

        refuse_clone3(ENOSYS);
        fixture_init(&fixture, "/bin/sh", command);
        fixture.plan.namespaces |= CLONE_NEWTIME;
        cr_expect_eq(fixture_clone(&fixture), -ENOSYS);
        cr_expect_eq(fixture.step, STEP_NAMESPACES);
        cr_expect(fixture.error.remedy[0]);
        no_child_is_left();
}

Test(clone, a_host_that_refuses_is_explained)
{
        struct fixture fixture;
        char command[] = "exit 0";

        refuse_clone3(EPERM);
        fixture_init(&fixture, "/bin/sh", command);
        cr_expect_eq(fixture_clone(&fixture), -EPERM);
        cr_expect_eq(fixture.step, STEP_NAMESPACES);
        cr_expect(strstr(fixture.error.text, "CLONE_NEWUSER|CLONE_NEWPID"), "%s",
                  fixture.error.text);
        cr_expect(fixture.error.remedy[0]);
        no_child_is_left();
}
