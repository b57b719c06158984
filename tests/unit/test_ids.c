#include <errno.h>
#include <sys/capability.h>
#include <sys/mount.h>
#include <sys/wait.h>

#include "ids_fixture.h"
#include "runtime/compile/ids.h"
#include "runtime/compile/subid.h"

/* Runs `check` in a child, which says by its status whether all was well. */
static void in_child(struct fixture *fixture, int (*check)(struct fixture *fixture))
{
        pid_t pid = fork();
        int status;

        cr_assert_geq(pid, 0);
        if (pid == 0)
                _exit(check(fixture));
        cr_assert_eq(waitpid(pid, &status, 0), pid);
        cr_expect(WIFEXITED(status) && WEXITSTATUS(status) == 0, "the child says why on stderr");
}

/* For use in children: says what went wrong, and leaves with 1. */
#define CHECK(condition)                                                                           \
        do {                                                                                       \
                if (!(condition)) {                                                                \
                        fprintf(stderr, "%s:%d: %s: %s\n", __FILE__, __LINE__, #condition,         \
                                error.text);                                                       \
                        return 1;                                                                  \
                }                                                                                  \
        } while (0)

static int assign_application(struct fixture *fixture, size_t index, bool remember,
                              struct plan_identity *ret_identity, struct error *error)
{
        const struct ids_request request = {&fixture->config, &fixture->applications[index], index,
                                            remember, &fixture->arena};

        return ids_assign(&request, ret_identity, error);
}

static int check_root(struct fixture *fixture)
{
        struct error error = ERROR_INIT;
        struct plan_identity first, second, same;

        CHECK(assign_application(fixture, 0, true, &first, &error) == 0);
        CHECK(first.method == PLAN_IDS_DIRECT && !first.deny_groups);
        CHECK(first.uid == 1000 && first.gid == 1001);
        CHECK(first.uid_map.extents[0].inside == 1000 &&
              first.uid_map.extents[0].outside == FIRST && first.uid_map.extents[0].count == 1);
        CHECK(first.gid_map.extents[0].inside == 1001 &&
              first.gid_map.extents[0].outside == FIRST && first.gid_map.extents[0].count == 1);

        fixture->applications[1].isolation.namespaces = 0;
        CHECK(assign_application(fixture, 1, true, &second, &error) == 0);
        CHECK(second.method == PLAN_IDS_NONE && second.uid == FIRST + 1 && second.gid == FIRST + 1);

        /* The same file by another path is the same application. */
        CHECK(chdir(fixture->directory) == 0);
        fixture->config.file = strcpy(fixture->file, "./app.json");
        CHECK(assign_application(fixture, 0, true, &same, &error) == 0);
        CHECK(same.uid_map.extents[0].outside == FIRST);
        return 0;
}

Test(ids, root)
{
        struct fixture fixture;

        need_root();
        fixture_init(&fixture);
        in_child(&fixture, check_root);
        fixture_finish(&fixture);
}

static int check_plan(struct fixture *fixture)
{
        struct error error = ERROR_INIT;
        struct plan_identity identity;

        /* Others come before it, and will get theirs before it. */
        CHECK(assign_application(fixture, 2, false, &identity, &error) == 0);
        CHECK(identity.uid_map.extents[0].outside == FIRST + 2);
        CHECK(access(fixture->state, F_OK) < 0);

        CHECK(assign_application(fixture, 2, true, &identity, &error) == 0);
        CHECK(identity.uid_map.extents[0].outside == FIRST);
        CHECK(assign_application(fixture, 3, false, &identity, &error) == 0);
        CHECK(identity.uid_map.extents[0].outside == FIRST + 3);
        CHECK(assign_application(fixture, 2, false, &identity, &error) == 0);
        CHECK(identity.uid_map.extents[0].outside == FIRST);
        return 0;
}

Test(ids, plan_says_what_would_be)
{
        struct fixture fixture;

        need_root();
        fixture_init(&fixture);
        in_child(&fixture, check_plan);
        fixture_finish(&fixture);
}

static int check_without_capabilities(struct fixture *fixture)
{
        struct error error = ERROR_INIT;
        struct plan_identity identity;
        cap_t none = cap_init();

        CHECK(cap_set_proc(none) == 0);
        cap_free(none);
        CHECK(assign_application(fixture, 0, true, &identity, &error) == -EPERM);
        CHECK(strstr(error.text, "CAP_SETUID") && error.remedy[0]);
        return 0;
}

/* A namespace that maps 0 only, as a small container does. */
static int check_unmapped(struct fixture *fixture)
{
        struct error error = ERROR_INIT;
        struct plan_identity identity;
        cleanup_file FILE *map = NULL;

        CHECK(unshare(CLONE_NEWUSER) == 0);
        map = fopen("/proc/self/uid_map", "we");
        CHECK(map && fputs("0 0 1\n", map) >= 0 && fflush(map) == 0);
        CHECK(assign_application(fixture, 0, true, &identity, &error) == -EINVAL);
        CHECK(strstr(error.text, "not all mapped") && error.remedy[0]);
        return 0;
}

Test(ids, root_that_is_none)
{
        struct fixture fixture;

        need_root();
        fixture_init(&fixture);
        in_child(&fixture, check_without_capabilities);
        in_child(&fixture, check_unmapped);
        cr_expect(access(fixture.state, F_OK) < 0);
        fixture_finish(&fixture);
}

static int check_unprivileged(struct fixture *fixture)
{
        struct error error = ERROR_INIT;
        struct plan_identity identity;

        CHECK(geteuid() != 0 || (setgid(USER + 1) == 0 && setuid(USER) == 0));
        CHECK(setenv("PATH", "/nowhere", 1) == 0); /* no helpers */
        CHECK(assign_application(fixture, 0, true, &identity, &error) == 0);
        CHECK(identity.method == PLAN_IDS_DIRECT && identity.deny_groups);
        CHECK(identity.uid == 1000 && identity.uid_map.extents[0].inside == 1000);
        CHECK(identity.uid_map.extents[0].outside == geteuid() &&
              identity.gid_map.extents[0].outside == getegid());
        CHECK(identity.uid_map.extents[0].count == 1 && identity.gid_map.extents[0].count == 1);

        fixture->applications[0].isolation.namespaces = 0;
        CHECK(assign_application(fixture, 0, true, &identity, &error) == 0);
        CHECK(identity.method == PLAN_IDS_NONE && identity.uid == geteuid() &&
              identity.gid == getegid());
        return 0;
}

Test(ids, unprivileged)
{
        struct fixture fixture;

        fixture_init(&fixture);
        in_child(&fixture, check_unprivileged);
        fixture_finish(&fixture);
}

/* A user of a range, with the real helpers and files of ours in the place of /etc/subuid and subgid. */
static int check_helper(struct fixture *fixture)
{
        struct error error = ERROR_INIT;
        struct plan_identity identity, second;
        char uids[160], gids[160], remembered[512];

        snprintf(uids, sizeof(uids), "%s/subuid", fixture->directory);
        snprintf(gids, sizeof(gids), "%s/subgid", fixture->directory);
        write_file(uids, "other:1:9\n23456:3000000:100\n23456:4000000:65536\n");
        write_file(gids, "23456:7000000:70000\n");
        CHECK(unshare(CLONE_NEWNS) == 0);
        CHECK(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0);
        CHECK(mount(uids, "/etc/subuid", NULL, MS_BIND, NULL) == 0);
        CHECK(mount(gids, "/etc/subgid", NULL, MS_BIND, NULL) == 0);
        CHECK(chown(fixture->directory, USER, USER) == 0);
        CHECK(setgid(USER) == 0 && setuid(USER) == 0);
        CHECK(setenv("XDG_STATE_HOME", fixture->state, 1) == 0);

        CHECK(assign_application(fixture, 1, false, &identity, &error) == 0);
        CHECK(identity.uid_map.extents[0].outside == 4000001);
        CHECK(access(fixture->state, F_OK) < 0);
        CHECK(assign_application(fixture, 1, true, &identity, &error) == 0);
        CHECK(identity.method == PLAN_IDS_HELPER && !identity.deny_groups);
        CHECK(identity.uid_map.extents[0].inside == 1000 &&
              identity.uid_map.extents[0].outside == 4000000);
        CHECK(identity.gid_map.extents[0].inside == 1001 &&
              identity.gid_map.extents[0].outside == 7000000);
        CHECK(assign_application(fixture, 0, true, &second, &error) == 0);
        CHECK(second.uid_map.extents[0].outside == 4000001 &&
              second.gid_map.extents[0].outside == 7000001);
        CHECK(assign_application(fixture, 1, true, &identity, &error) == 0);
        CHECK(identity.uid_map.extents[0].outside == 4000000);
        snprintf(remembered, sizeof(remembered), "4000000\t%s\tapp1\n4000001\t%s\tapp0\n",
                 fixture->file, fixture->file);
        snprintf(uids, sizeof(uids), "%s/clade/ids", fixture->state);
        CHECK(strcmp(read_text(uids), remembered) == 0);
        return 0;
}

Test(ids, helper)
{
        struct fixture fixture;

        need_root();
        if (!subid_helpers_usable() || access("/etc/subuid", F_OK) < 0) {
                cr_assert(!getenv("CI"), "CI must have newuidmap (package uidmap)");
                cr_skip_test("no newuidmap here (package uidmap)");
        }
        fixture_init(&fixture);
        in_child(&fixture, check_helper);
        fixture_finish(&fixture);
}

static const struct {
        const char *text;
        uint32_t first, count;
} subids[] = {
        {"", 0, 0},
        {"ann:100000:65536\n", 100000, 65536},
        {"ann:100000:65536", 100000, 65536},
        {"1234:100000:65536\n", 100000, 65536},
        {"01234x:1:2\nann:x:65536\nann:100000\nann:5:6:7\nann\n:1:2\n", 0, 0},
        {"ann:100000:10\nann:200000:20\nann:300000:20\nbob:1:99\n", 200000, 20},
        {"ann:0:65536\n", 0, 0},
        {"ann:-1:65536\nann: 5:6\n", 0, 0},
        {"ann:4294967290:65536\n", 4294967290u, 5},
        {"ann:99999999999999999999:1\n", 0, 0},
        {"annabel:1:2\nan:3:4\n", 0, 0},
};

Test(ids, subid_files)
{
        struct fixture fixture;
        struct error error = ERROR_INIT;
        struct subid_range range;

        fixture_init(&fixture);
        cr_expect_eq(subid_find("/nowhere/subuid", "ann", 1234, &range, &error), 0);
        cr_expect_eq(range.count, 0);
        for (size_t i = 0; i < ARRAY_SIZE(subids); i++) {
                write_file(fixture.file, subids[i].text);
                cr_expect_eq(subid_find(fixture.file, "ann", 1234, &range, &error), 0);
                cr_expect(range.first == subids[i].first && range.count == subids[i].count,
                          "row %zu: %u %u", i, range.first, range.count);
        }
        fixture_finish(&fixture);
}

static const struct {
        const char *map;
        uint32_t first, count;
        bool mapped;
} maps[] = {
        {"         0          0 4294967295\n", FIRST, 65536, true},
        {"0 1000 1\n", FIRST, 1, false},
        {"0 100000 65536\n", 65535, 1, true},
        {"0 100000 65536\n", 65535, 2, false},
        {"100 1 10\n0 11 100\n110 500 5\n", 0, 115, true},
        {"100 1 10\n0 11 100\n110 500 5\n", 0, 116, false},
        {"", 1, 1, false},
};

Test(ids, maps)
{
        struct fixture fixture;
        struct error error = ERROR_INIT;
        bool mapped;

        fixture_init(&fixture);
        for (size_t i = 0; i < ARRAY_SIZE(maps); i++) {
                write_file(fixture.file, maps[i].map);
                cr_expect_eq(
                        subid_mapped(fixture.file, maps[i].first, maps[i].count, &mapped, &error),
                        0);
                cr_expect_eq(mapped, maps[i].mapped, "row %zu", i);
        }
        fixture_finish(&fixture);
}
