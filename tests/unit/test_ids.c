#include <errno.h>
#include <sys/capability.h>
#include <sys/mount.h>
#include <sys/wait.h>

#include "ids_fixture.h"
#include "runtime/compile/ids.h"
#include "runtime/compile/subid.h"
#include "runtime/compile/subid_service.h"

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

static bool is_extent(const struct plan_id_map *map, size_t index, uint32_t inside,
                      uint32_t outside, uint32_t count)
{
        const struct plan_id_extent *extent = &map->extents[index];

        return index < map->count && extent->inside == inside && extent->outside == outside &&
               extent->count == count;
}

static struct config_id_map given(struct config_id_extent *extents, size_t count)
{
        return (struct config_id_map){true, extents, count};
}

/* What the seventh application gets when it asks for these users, and one group that is fine. */
static int assign_given(struct fixture *fixture, struct config_id_extent users,
                        struct config_id_extent groups, struct plan_identity *ret_identity,
                        struct error *error)
{
        struct config_application *application = &fixture->applications[7];
        int r;

        application->isolation.uid_map = given(&users, 1);
        application->isolation.gid_map = given(&groups, 1);
        application->uid = users.container;
        application->gid = groups.container;
        r = assign_application(fixture, 7, true, ret_identity, error);
        application->isolation.uid_map.given = application->isolation.gid_map.given = false;
        application->isolation.uid_map.count = application->isolation.gid_map.count = 0;
        return r;
}

/* Ranges of ten ids, and an application that is 1000 and 1001 inside. */
static int check_root(struct fixture *fixture)
{
        struct error error = ERROR_INIT;
        struct plan_identity first, second, same;

        CHECK(assign_application(fixture, 0, true, &first, &error) == 0);
        CHECK(first.method == PLAN_IDS_DIRECT && !first.deny_groups);
        CHECK(first.uid == 1000 && first.gid == 1001);
        CHECK(first.uid_map.count == 2 && first.gid_map.count == 2);
        CHECK(is_extent(&first.uid_map, 0, 0, FIRST, 9));
        CHECK(is_extent(&first.uid_map, 1, 1000, FIRST + 9, 1));
        CHECK(is_extent(&first.gid_map, 1, 1001, FIRST + 9, 1));
        CHECK(plan_host_uid(&first) == FIRST + 9);

        fixture->applications[1].isolation.namespaces = 0;
        fixture->applications[1].gid = 3;
        CHECK(assign_application(fixture, 1, true, &second, &error) == 0);
        CHECK(second.method == PLAN_IDS_NONE);
        CHECK(second.uid == FIRST + 19 && second.gid == FIRST + 13);

        /* The same file by another path is the same application; and within the range one extent does. */
        CHECK(chdir(fixture->directory) == 0);
        fixture->config.file = strcpy(fixture->file, "./app.json");
        fixture->applications[0].uid = 9;
        fixture->config.settings.id_size = 10;
        CHECK(assign_application(fixture, 0, true, &same, &error) == 0);
        CHECK(same.uid_map.count == 1 && is_extent(&same.uid_map, 0, 0, FIRST, 10));

        /* Ranges of one id have just that. */
        fixture->config.settings.id_size = 1;
        fixture->config.settings.id_count = 100;
        CHECK(assign_application(fixture, 0, true, &same, &error) == 0);
        CHECK(same.uid_map.count == 1 && is_extent(&same.uid_map, 0, 9, FIRST + 20, 1));
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
        CHECK(identity.uid_map.extents[0].outside == FIRST + 20);
        CHECK(access(fixture->state, F_OK) < 0);

        CHECK(assign_application(fixture, 2, true, &identity, &error) == 0);
        CHECK(identity.uid_map.extents[0].outside == FIRST);
        CHECK(assign_application(fixture, 3, false, &identity, &error) == 0);
        CHECK(identity.uid_map.extents[0].outside == FIRST + 30);
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

/* Clade's own group, an account's id among others and alone, subordinate ids, and what is nobody's. */
static int check_given_by_root(struct fixture *fixture)
{
        const struct config_id_extent group = {0, 3000000000, 100};
        struct plan_identity identity;
        struct error error = ERROR_INIT;
        char file[160];

        snprintf(file, sizeof(file), "%s/subuid", fixture->directory);
        write_file(file, "somebody:2000000000:65536\n");
        CHECK(unshare(CLONE_NEWNS) == 0);
        CHECK(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0);
        CHECK(mount(file, "/etc/subuid", NULL, MS_BIND, NULL) == 0);
        CHECK(setegid(23456) == 0);

        CHECK(assign_given(fixture, (struct config_id_extent){0, 3000000000, 65536}, group,
                           &identity, &error) == 0);
        CHECK(identity.method == PLAN_IDS_DIRECT && !identity.deny_groups);
        CHECK(is_extent(&identity.uid_map, 0, 0, 3000000000, 65536));
        CHECK(is_extent(&identity.gid_map, 0, 0, 3000000000, 100));
        CHECK(assign_given(fixture, (struct config_id_extent){1000, 1, 1}, group, &identity,
                           &error) == 0);

        CHECK(assign_given(fixture, (struct config_id_extent){1000, 1, 2}, group, &identity,
                           &error) == -EPERM);
        CHECK(strstr(error.text, "the user ") && error.remedy[0]);
        CHECK(assign_given(fixture, (struct config_id_extent){0, 1999999999, 2}, group, &identity,
                           &error) == -EPERM);
        CHECK(strstr(error.text, "the subordinate users of somebody"));
        CHECK(assign_given(fixture, group, (struct config_id_extent){0, 23456, 1}, &identity,
                           &error) == -EPERM);
        CHECK(strstr(error.text, "23456, clade's own id"));
        CHECK(setegid(0) == 0);

        /* Automatic ranges keep away from what was claimed, whoever comes first. */
        CHECK(assign_given(fixture, (struct config_id_extent){0, FIRST + 5, 1}, group, &identity,
                           &error) == 0);
        CHECK(assign_application(fixture, 0, true, &identity, &error) == 0);
        CHECK(identity.uid_map.extents[0].outside == FIRST + 10);
        CHECK(assign_given(fixture, (struct config_id_extent){0, FIRST + 19, 1}, group, &identity,
                           &error) == -EEXIST);
        CHECK(strstr(error.text, "application app0 of"));
        return 0;
}

Test(ids, given_by_root)
{
        struct fixture fixture;

        need_root();
        fixture_init(&fixture);
        in_child(&fixture, check_given_by_root);
        fixture_finish(&fixture);
}

/* Ranges that were granted to users are passed over, and so is what an application of the same file claims
 * that comes later. */
static int check_passed_over(struct fixture *fixture)
{
        struct config_id_extent claimed = {0, FIRST + 12, 1}, group = {0, 3000000000, 1};
        struct plan_identity identity;
        struct error error = ERROR_INIT;
        char file[160];

        snprintf(file, sizeof(file), "%s/subgid", fixture->directory);
        write_file(file, "somebody:1879048201:1\n");
        CHECK(unshare(CLONE_NEWNS) == 0);
        CHECK(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0);
        CHECK(mount(file, "/etc/subgid", NULL, MS_BIND, NULL) == 0);
        fixture->applications[7].isolation.uid_map = given(&claimed, 1);
        fixture->applications[7].isolation.gid_map = given(&group, 1);
        CHECK(assign_application(fixture, 0, true, &identity, &error) == 0);
        CHECK(identity.uid_map.extents[0].outside == FIRST + 20);
        return 0;
}

Test(ids, ranges_of_users_are_passed_over)
{
        struct fixture fixture;

        need_root();
        if (access("/etc/subgid", F_OK) < 0)
                cr_skip_test("this host has no /etc/subgid to stand in for");
        fixture_init(&fixture);
        in_child(&fixture, check_passed_over);
        fixture_finish(&fixture);
}

/* Root that calls itself 5 in a user namespace of its own making is still root. */
static int check_root_in_disguise(struct fixture *fixture)
{
        struct error error = ERROR_INIT;
        struct plan_identity identity;
        cleanup_file FILE *map = NULL;

        CHECK(unshare(CLONE_NEWUSER) == 0);
        map = fopen("/proc/self/uid_map", "we");
        CHECK(map && fputs("5 0 1\n", map) >= 0 && fflush(map) == 0);
        CHECK(geteuid() == 5);
        CHECK(assign_application(fixture, 0, true, &identity, &error) == -EPERM);
        CHECK(strstr(error.text, "root in the user namespace above") && error.remedy[0]);
        CHECK(assign_given(fixture, (struct config_id_extent){0, 5, 1},
                           (struct config_id_extent){0, 65534, 1}, &identity, &error) == -EPERM);
        CHECK(strstr(error.text, "host id 5 is root's"));
        return 0;
}

Test(ids, root_in_disguise)
{
        struct fixture fixture;

        need_root();
        fixture_init(&fixture);
        in_child(&fixture, check_root_in_disguise);
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

/* The user of check_helper, who has 3000000 to 3000099 and 4000000 to 4065535. */
static int check_given_by_user(struct fixture *fixture)
{
        const struct config_id_extent group = {0, 7069000, 1000}, own_group = {5, USER, 1};
        struct plan_identity identity;
        struct error error = ERROR_INIT;

        CHECK(assign_given(fixture, (struct config_id_extent){0, 3000000, 100}, group, &identity,
                           &error) == 0);
        CHECK(identity.method == PLAN_IDS_HELPER && !identity.deny_groups);
        CHECK(is_extent(&identity.uid_map, 0, 0, 3000000, 100));
        CHECK(assign_given(fixture, (struct config_id_extent){7, USER, 1}, own_group, &identity,
                           &error) == 0);
        CHECK(identity.method == PLAN_IDS_DIRECT && identity.deny_groups);
        CHECK(assign_given(fixture, (struct config_id_extent){0, 3000000, 100}, own_group,
                           &identity, &error) == 0);
        CHECK(identity.method == PLAN_IDS_HELPER && identity.deny_groups);

        CHECK(assign_given(fixture, (struct config_id_extent){0, 3000000, 101}, group, &identity,
                           &error) == -EPERM);
        CHECK(strstr(error.text, "/etc/subuid") && error.remedy[0]);
        CHECK(assign_given(fixture, (struct config_id_extent){0, USER, 2}, group, &identity,
                           &error) == -EPERM);
        CHECK(assign_given(fixture, (struct config_id_extent){0, 1, 1}, group, &identity, &error) ==
              -EPERM);
        CHECK(assign_given(fixture, (struct config_id_extent){0, 3000000, 1},
                           (struct config_id_extent){0, 3000000, 1}, &identity, &error) == -EPERM);
        CHECK(strstr(error.text, "/etc/subgid") && strstr(error.remedy, "--add-subgids"));
        /* The first application has it. */
        CHECK(assign_given(fixture, (struct config_id_extent){0, 4000300, 1}, group, &identity,
                           &error) == -EEXIST);
        CHECK(strstr(error.text, "application app0 of") && error.remedy[0]);
        return 0;
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

        fixture->config.settings.id_size = 0;
        CHECK(assign_application(fixture, 1, false, &identity, &error) == 0);
        CHECK(identity.uid_map.extents[0].outside == 4000256);
        CHECK(access(fixture->state, F_OK) < 0);
        CHECK(assign_application(fixture, 1, true, &identity, &error) == 0);
        CHECK(identity.method == PLAN_IDS_HELPER && !identity.deny_groups);
        CHECK(is_extent(&identity.uid_map, 0, 0, 4000000, 255));
        CHECK(is_extent(&identity.uid_map, 1, 1000, 4000255, 1));
        CHECK(is_extent(&identity.gid_map, 0, 0, 7000000, 255));
        CHECK(is_extent(&identity.gid_map, 1, 1001, 7000255, 1));
        CHECK(assign_application(fixture, 0, true, &second, &error) == 0);
        CHECK(second.uid_map.extents[0].outside == 4000256);
        CHECK(second.gid_map.extents[0].outside == 7000256);
        CHECK(assign_application(fixture, 1, true, &identity, &error) == 0);
        CHECK(identity.uid_map.extents[0].outside == 4000000);
        snprintf(remembered, sizeof(remembered),
                 "4000000\t7000000\t256\t%s\tapp1\n4000256\t7000256\t256\t%s\tapp0\n",
                 fixture->file, fixture->file);
        snprintf(uids, sizeof(uids), "%s/clade/ids", fixture->state);
        CHECK(strcmp(read_text(uids), remembered) == 0);
        fixture->config.settings.id_size = 4096;
        CHECK(assign_application(fixture, 2, true, &identity, &error) == 0);
        CHECK(is_extent(&identity.uid_map, 0, 0, 4004096, 4096));
        return check_given_by_user(fixture);
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
        struct subid_grants grants;
        struct subid_range range;

        fixture_init(&fixture);
        cr_expect_eq(subid_find("/nowhere/subuid", "ann", 1234, &grants, &error), 0);
        cr_expect_eq(grants.count, 0);
        for (size_t i = 0; i < ARRAY_SIZE(subids); i++) {
                write_file(fixture.file, subids[i].text);
                cr_expect_eq(subid_find(fixture.file, "ann", 1234, &grants, &error), 0);
                range = subid_largest(&grants);
                subid_grants_finish(&grants);
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

static const struct {
        uint32_t first, count;
        bool covered;
} covers[] = {
        {100, 10, true},  {100, 30, true}, {105, 25, true}, {99, 2, false},
        {100, 31, false}, {200, 5, true},  {130, 1, false}, {204, 2, false},
        {1, 1, false},    {109, 1, true},  {110, 20, true},
};

Test(ids, grants_side_by_side_are_as_one)
{
        struct subid_range list[] = {{110, 20}, {200, 5}, {100, 10}};
        const struct subid_grants grants = {list, ARRAY_SIZE(list), 0};

        for (size_t i = 0; i < ARRAY_SIZE(covers); i++)
                cr_expect_eq(subid_covers(&grants, covers[i].first, covers[i].count),
                             covers[i].covered, "row %zu", i);
}

static const struct {
        const char *text;
        bool named;
} services[] = {
        {"", false},
        {"passwd: files\ngroup: files\n", false},
        {"subid: files\n", false},
        {"subid:files", false},
        {"subid: sss\n", true},
        {"passwd: sss\n\n  subid:\tsss # x\n", true},
        {"#subid: sss\n", false},
        {"subid:\npasswd: sss\n", false},
        {"subid: filesystem\n", true},
};

Test(ids, services_for_subordinate_ids)
{
        char answer[] = "0: ann 100000 65536\n1: ann 0 5\n\n2: ann 4294967290 100\n";
        char strange[] = "no ranges\n";
        struct subid_grants grants = {.count = 0};
        struct error error = ERROR_INIT;

        for (size_t i = 0; i < ARRAY_SIZE(services); i++)
                cr_expect_eq(subid_service_named(services[i].text), services[i].named, "row %zu",
                             i);
        cr_expect_eq(subid_service_parse(answer, &grants, &error), 0);
        cr_assert_eq(grants.count, 2);
        cr_expect(grants.list[0].first == 100000 && grants.list[0].count == 65536);
        cr_expect(grants.list[1].first == 4294967290 && grants.list[1].count == 5);
        subid_grants_finish(&grants);
        cr_expect_eq(subid_service_parse(strange, &grants, &error), -EBADMSG);
        subid_grants_finish(&grants);
}
