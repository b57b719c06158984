/* What lies over a finished root: masks, read-only covers, and file systems that take another's place. */
#include <criterion/criterion.h>
#include <errno.h>
#include <sched.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include "base/own.h"
#include "compile_suite.h"

TestSuite(covers, .init = setup, .fini = teardown);

static size_t count(enum plan_entry_kind kind, const char *target)
{
        const struct plan *plan = fixture_plan(&fixture);
        size_t found = 0;

        for (size_t i = 0; i < plan->entry_count; i++)
                found += plan->entries[i].kind == kind &&
                         (!target || strcmp(plan->entries[i].target, target) == 0);
        return found;
}

static const char *parameter(const char *target, const char *key)
{
        const struct plan_entry *entry = fixture_entry(&fixture, target);

        for (size_t i = 0; entry && i < entry->parameter_count; i++)
                if (strcmp(entry->parameters[i].key, key) == 0)
                        return entry->parameters[i].value;
        return NULL;
}

static void mounts(struct config_mount *list, size_t mount_count)
{
        fixture.application.isolation.mounts = list;
        fixture.application.isolation.mount_count = mount_count;
}

#define PATHS(...)                                                                                 \
        {                                                                                          \
                .given = true, .list = (char *[]){__VA_ARGS__},                                    \
                .count = ARRAY_SIZE(((char *[]){__VA_ARGS__})),                                    \
        }

Test(covers, by_default_a_handful_of_masks_and_nothing_else)
{
        must_compile();
        cr_expect_eq(count(PLAN_MASK, "/proc/keys"), 1);
        cr_expect_eq(count(PLAN_MASK, "/proc/absent-here"), 0);
        cr_expect_eq(count(PLAN_MASK, "/sys/firmware"), 0, "there is no /sys");
        cr_expect_eq(count(PLAN_READONLY, NULL), 0, "/proc is read-only itself");
        cr_expect(count(PLAN_MASK, NULL) <= 12);
        cr_expect_str_eq(parameter("/proc", "hidepid"), "ptraceable");
        cr_expect_eq(fixture.notices[0], '\0', "%s", fixture.notices);
}

Test(covers, a_proc_that_can_be_written_to_has_read_only_parts)
{
        char *options[] = {(char *)"rw,hidepid=off", NULL};
        struct config_mount proc = {(char *)"/proc", (char *)"proc", NULL, options, NULL};

        mounts(&proc, 1);
        must_compile();
        cr_expect_eq(count(PLAN_PROC, NULL), 1, "it takes the template's place");
        cr_expect_eq(count(PLAN_READONLY, "/proc/sys"), 1);
        cr_expect_str_eq(parameter("/proc", "hidepid"), "off");
}

Test(covers, where_proc_shows_processes_only_there_is_nothing_to_mask)
{
        char *options[] = {(char *)"subset=pid", NULL};
        struct config_mount proc = {(char *)"/proc", (char *)"proc", NULL, options, NULL};

        mounts(&proc, 1);
        must_compile();
        cr_expect_eq(count(PLAN_MASK, NULL), 0);
        cr_expect_str_eq(parameter("/proc", "subset"), "pid");
        cr_expect_str_eq(parameter("/proc", "hidepid"), "ptraceable");
}

Test(covers, a_list_takes_the_defaults_place)
{
        struct config_paths masked =
                PATHS((char *)"/etc/passwd", (char *)"/tmp", (char *)"/absent");

        fixture.application.isolation.masked = masked;
        must_compile();
        cr_expect_eq(count(PLAN_MASK, NULL), 2);
        cr_expect_eq(count(PLAN_MASK, "/etc/passwd"), 1);
        cr_expect_eq(fixture_entry(&fixture, "/etc/passwd")->mode, S_IFREG);
        cr_expect_eq(fixture_entry(&fixture, "/tmp")->mode, S_IFDIR);
        cr_expect(strstr(fixture.notices, "maskedPaths: the root has no /absent"), "%s",
                  fixture.notices);
        fixture.application.isolation.masked = (struct config_paths){.given = true};
        must_compile();
        cr_expect_eq(count(PLAN_MASK, NULL), 0, "an empty list is a list");
}

Test(covers, only_what_could_be_written_to_is_covered)
{
        struct config_paths read_only =
                PATHS((char *)"/tmp", (char *)"/etc", (char *)"/proc/sys", (char *)"/proc");

        fixture.application.isolation.read_only = read_only;
        must_compile();
        cr_expect_eq(count(PLAN_READONLY, "/tmp"), 1);
        cr_expect_eq(count(PLAN_READONLY, NULL), 1, "the rest is read-only anyway");
        fixture.application.isolation.root_writable = true;
        must_compile();
        cr_expect_eq(count(PLAN_READONLY, "/etc"), 1);
        cr_expect(fixture_plan(&fixture)->root_writable);
}

Test(covers, the_roots_size)
{
        must_compile();
        cr_expect_eq(fixture_plan(&fixture)->root_size, 1u << 20);
        fixture.application.isolation.root_writable = true;
        must_compile();
        cr_expect_eq(fixture_plan(&fixture)->root_size, 64u << 20);
        cr_expect_eq(fixture_plan(&fixture)->root_inodes, 16384);
        fixture.application.isolation.root_size = 99 << 10;
        fixture.application.isolation.root_inodes = 77;
        must_compile();
        cr_expect_eq(fixture_plan(&fixture)->root_size, 99u << 10);
        cr_expect_eq(fixture_plan(&fixture)->root_inodes, 77);
}

Test(covers, a_tmpfs_takes_the_templates_place)
{
        char *options[] = {(char *)"size=1m,nr_inodes=100", NULL};
        struct config_mount list[] = {
                {(char *)"/tmp", (char *)"tmpfs", NULL, options, NULL},
                {(char *)"/tmp", (char *)"tmpfs", NULL, options, NULL},
        };

        mounts(list, 1);
        must_compile();
        cr_expect_eq(count(PLAN_TMPFS, "/tmp"), 1);
        cr_expect_eq(fixture_entry(&fixture, "/tmp")->size, 1u << 20);
        cr_expect_eq(fixture_entry(&fixture, "/tmp")->inodes, 100);
}

Test(covers, terminals_and_message_queues)
{
        char *options[] = {(char *)"newinstance,ptmxmode=0666,mode=0620", NULL};
        char *group[] = {(char *)"gid=999999999", NULL};
        struct config_mount list[] = {
                {(char *)"/dev/pts", (char *)"devpts", NULL, options, NULL},
                {(char *)"/dev/mqueue", (char *)"mqueue", NULL, NULL, NULL},
        };

        mounts(list, ARRAY_SIZE(list));
        must_compile();
        cr_expect_eq(count(PLAN_DEVPTS, "/dev/pts"), 1);
        cr_expect_str_eq(fixture_entry(&fixture, "/dev/ptmx")->content, "pts/ptmx");
        cr_expect_eq(count(PLAN_MQUEUE, "/dev/mqueue"), 1);
        list[0].options = group;
        cr_expect_eq(fixture_compile(&fixture), -EINVAL);
        cr_expect(strstr(fixture.error.text, "/isolation/mounts/0"), "%s", fixture.error.text);
        cr_expect(strstr(fixture.error.text, "has no such group"), "%s", fixture.error.text);
        list[0].options = options;
        fixture.application.isolation.namespaces &= ~(uint64_t)CLONE_NEWIPC;
        cr_expect_eq(fixture_compile(&fixture), -EINVAL);
        cr_expect(strstr(fixture.error.text, "need an ipc namespace"), "%s", fixture.error.text);
}

Test(covers, bind_alone_is_refused_where_something_is_mounted_below)
{
        char *options[] = {(char *)"bind", NULL};
        struct config_mount list[] = {
                {(char *)"/outer", NULL, (char *)"/", options, NULL},
        };

        mounts(list, 1);
        cr_expect_eq(fixture_compile(&fixture), -EINVAL);
        cr_expect(strstr(fixture.error.text, "is mounted below /"), "%s", fixture.error.text);
        cr_expect(strstr(fixture.error.remedy, "rbind"), "%s", fixture.error.remedy);
        options[0] = (char *)"rbind";
        must_compile();
}
