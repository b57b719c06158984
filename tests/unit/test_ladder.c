/* The ladder: what features make which level, and what a real probe finds in worlds that lack something. */
#include <criterion/criterion.h>
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <stddef.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "isolation/ladder.h"

#define SOME (CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNS | CLONE_NEWUTS)

Test(ladder, names_lead_to_levels_and_back)
{
        for (unsigned level = 0; level < LADDER_LEVELS; level++) {
                enum ladder_level found = LADDER_LEVELS;

                cr_expect(ladder_level_find(ladder_level_name(level), &found));
                cr_expect_eq(found, level);
        }
        cr_expect_not(ladder_level_find("strong", &(enum ladder_level){0}));
        cr_expect_not(ladder_level_find("", &(enum ladder_level){0}));
}

Test(ladder, every_cause_has_a_name_and_a_remedy)
{
        for (unsigned a = 0; a < CAUSES; a++) {
                cr_assert(cause_name(a) && cause_remedy(a) && cause_remedy(a)[0], "cause %u", a);
                cr_expect_lt(strlen(cause_remedy(a)), ERROR_REMEDY_SIZE, "%s", cause_name(a));
                for (unsigned b = 0; b < a; b++)
                        cr_expect_str_neq(cause_name(a), cause_name(b));
        }
}

Test(ladder, features_make_levels)
{
        enum { N = 1, I = 2, R = 4, P = 8, L = 16, S = 32 };
        static const struct {
                unsigned features;
                enum ladder_level level;
        } rows[] = {
                {0, LADDER_NONE},
                {N | I | R | P | L, LADDER_NONE},
                {S, LADDER_FILTER},
                {N | S, LADDER_FILTER},
                {L | S, LADDER_CONFINE},
                {N | L | S, LADDER_CONFINE},
                {N | I | P | L | S, LADDER_CONFINE},
                {N | R | L | S, LADDER_SHARED_PROC},
                {N | I | R | L | S, LADDER_SHARED_PROC},
                {N | R | P | L | S, LADDER_USER},
                {N | I | R | P | L | S, LADDER_FULL},
                {N | I | R | P | S, LADDER_FULL},
        };

        for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
                struct ladder ladder = {.level = LADDER_NONE};

                for (unsigned f = 0; f < LADDER_FEATURES; f++)
                        ladder.findings[f].state =
                                rows[i].features & 1u << f ? LADDER_THERE : LADDER_MISSING;
                cr_expect_eq(ladder_level_of(&ladder), rows[i].level, "row %zu", i);
        }
}

/* --- in a child that a filter refuses something to: Criterion's own process has two threads ------ */

static struct ladder_request own_ids(struct plan_id_extent extents[2])
{
        struct ladder_request request = {.namespaces = SOME};
        /* An id of our own, whoever runs the tests; nothing is started with it. */
        struct plan_identity identity = {
                .method = PLAN_IDS_DIRECT,
                .deny_groups = true,
                .uid = 1000,
                .gid = 1000,
        };

        extents[0] = (struct plan_id_extent){1000, geteuid(), 1};
        extents[1] = (struct plan_id_extent){1000, getegid(), 1};
        identity.uid_map = (struct plan_id_map){&extents[0], 1};
        identity.gid_map = (struct plan_id_map){&extents[1], 1};
        request.own_identity = identity;
        request.no_identity = CAUSE_NO_SUBUID;
        error_say(&request.no_identity_error, EPERM, "none to give");
        return request;
}

/* Answers `code` to one system call, to us and all below us. */
static void refuse(unsigned call, unsigned code)
{
        struct sock_filter program[] = {
                BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
                BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, call, 0, 1),
                BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | code),
                BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
        };
        struct sock_fprog filter = {.len = 4, .filter = program};

        if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
            syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &filter) < 0)
                _exit(99);
}

static int probe(unsigned call, unsigned code, struct ladder *ladder)
{
        struct plan_id_extent extents[2];
        struct ladder_request request = own_ids(extents);
        struct error error = ERROR_INIT;
        int fds[2], status;
        ssize_t n;
        pid_t pid;

        cr_assert_eq(pipe(fds), 0);
        pid = fork();
        cr_assert_geq(pid, 0);
        if (pid == 0) {
                if (code)
                        refuse(call, code);
                if (ladder_probe(&request, ladder, &error) < 0)
                        _exit(98);
                _exit(write(fds[1], ladder, sizeof(*ladder)) != (ssize_t)sizeof(*ladder));
        }
        close(fds[1]);
        n = read(fds[0], ladder, sizeof(*ladder));
        close(fds[0]);
        cr_assert_eq(waitpid(pid, &status, 0), pid);
        cr_assert_eq(n, (ssize_t)sizeof(*ladder), "status 0x%x", (unsigned)status);
        return status;
}

Test(ladder, what_is_refused_is_missing_and_what_it_carries_is_untried)
{
        static const struct {
                unsigned call, code;
                enum ladder_level level;
                enum ladder_feature missing;
                enum cause cause;
        } rows[] = {
                {SYS_pivot_root, EPERM, LADDER_CONFINE, LADDER_ROOT, CAUSE_SECCOMP},
                {SYS_move_mount, ENOSYS, LADDER_CONFINE, LADDER_ROOT, CAUSE_SECCOMP},
                {SYS_landlock_restrict_self, EPERM, LADDER_USER, LADDER_LANDLOCK, CAUSE_SECCOMP},
                {SYS_landlock_create_ruleset, EOPNOTSUPP, LADDER_USER, LADDER_LANDLOCK,
                 CAUSE_LANDLOCK_DISABLED},
                {SYS_seccomp, EPERM, LADDER_NONE, LADDER_SECCOMP, CAUSE_SECCOMP},
        };
        struct ladder ladder;

        probe(0, 0, &ladder);
        if (ladder.level != LADDER_USER)
                cr_skip("this host has no user namespaces to try: %s",
                        ladder.findings[LADDER_NAMESPACES].error.text);
        cr_expect_eq(ladder.findings[LADDER_IDS].cause, CAUSE_NO_SUBUID);
        for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
                const struct ladder_finding *finding = &ladder.findings[rows[i].missing];

                probe(rows[i].call, rows[i].code, &ladder);
                cr_expect_eq(ladder.level, rows[i].level, "row %zu: %s", i,
                             ladder_level_name(ladder.level));
                cr_expect_eq(finding->state, LADDER_MISSING, "row %zu", i);
                cr_expect_eq(finding->cause, rows[i].cause, "row %zu: %s", i,
                             cause_name(finding->cause));
                cr_expect_eq(finding->error.code, (int)rows[i].code, "row %zu", i);
                cr_expect(finding->error.remedy[0], "row %zu", i);
                if (rows[i].missing == LADDER_ROOT)
                        cr_expect_eq(ladder.findings[LADDER_PROC].state, LADDER_UNTRIED);
        }
}

/* Whatever is refused, the search ends. */
Test(ladder, it_ends_where_nothing_works, .timeout = 20)
{
        static const unsigned calls[] = {SYS_pipe2, SYS_clone3,    SYS_prctl, SYS_capset,
                                         SYS_mount, SYS_setresuid, SYS_fsopen};
        struct ladder ladder;
        enum ladder_level before;

        probe(0, 0, &ladder);
        before = ladder.level;
        for (size_t i = 1; i < sizeof(calls) / sizeof(calls[0]); i++) {
                probe(calls[i], EPERM, &ladder);
                cr_expect_lt(ladder.level, before, "call %u", calls[i]);
        }
}

Test(ladder, without_namespaces_asked_for_none_are_tried)
{
        struct ladder_request request = {.namespaces = 0};
        struct error error = ERROR_INIT;
        struct ladder ladder;
        int status;
        pid_t pid = fork();

        if (pid == 0)
                _exit(ladder_probe(&request, &ladder, &error) < 0 ||
                      ladder.findings[LADDER_NAMESPACES].state != LADDER_UNTRIED ||
                      ladder.findings[LADDER_SECCOMP].state != LADDER_THERE);
        cr_assert_eq(waitpid(pid, &status, 0), pid);
        cr_expect_eq(status, 0);
}
