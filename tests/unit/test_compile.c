#include <criterion/criterion.h>
#include <errno.h>
#include <linux/landlock.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/missing.h"
#include "base/own.h"
#include "compile_suite.h"
#include "runtime/compile/compilation.h"

TestSuite(compile, .init = setup, .fini = teardown);

static struct config_value executable(const char *path)
{
        return (struct config_value){
                .name = (char *)"executable",
                .type = CLADE_PATH,
                .string = (char *)path,
        };
}

Test(compile, what_is_not_of_the_root)
{
        char *environment[] = {(char *)"B=2", (char *)"A=1=1", NULL};
        struct config_listener listeners[] = {
                {.address = (char *)"127.0.0.1:1", .application = 0},
                {.address = (char *)"127.0.0.1:2", .application = 1},
                {.address = (char *)"unix:/x", .application = 0, .target = (char *)"blog"},
        };
        struct config_value word = {.name = (char *)"word", .string = (char *)"w"};
        const struct launch *launch;

        fixture.application.environment = environment;
        fixture.application.values = &word;
        fixture.application.value_count = 1;
        fixture.application.processes = (struct config_processes){3, 1, 15, true};
        fixture.application.limits.requests = 1000;
        fixture.application.limits.timeout = 60;
        fixture.config.settings.http = (struct clade_http_settings){1, 2, 3, 4, 5};
        fixture.config.listeners = listeners;
        fixture.config.listener_count = 3;
        must_compile();
        launch = compiled_launch(fixture.compiled);
        cr_expect_str_eq(launch->application, "a");
        cr_expect_str_eq(launch->module, "test");
        cr_assert_eq(launch->listener_count, 2);
        cr_expect_str_eq(launch->listeners[1].address, "unix:/x");
        cr_expect_str_eq(launch->environment[0], "B=2");
        cr_expect_str_eq(launch->environment[1], "A=1=1");
        cr_expect_null(launch->environment[2], "nothing is added");
        cr_expect_null(launch->working_directory);
        cr_expect_eq(launch->slot_count, 3, "as many as there can be");
        cr_expect_null(launch->listeners[0].target);
        cr_expect_str_eq(launch->listeners[1].target, "blog");
        cr_expect_eq(launch->limits.requests, 1000);
        cr_expect_eq(launch->limits.timeout, 60);
        cr_expect_eq(launch->http.idle_timeout, 4);
        cr_expect_eq(launch->http.max_body_size, 5);
        cr_assert_eq(launch->value_count, 1);
        cr_expect_str_eq(launch->values[0].string, "w");
        cr_expect_str_eq(launch->plan.hostname, "a");
        cr_expect_eq(launch->plan.prototype_filter_count, 2);
        cr_expect_gt(launch->plan.worker_filter.length, 0);
}

/* What was compiled passes the checks of the process that will read it. */
Test(compile, crosses_the_exec)
{
        struct codec_memory memory = {.base = NULL};
        struct launch read;
        cleanup_fd int fd = -1;

        fixture.application.isolation.rootfs = (char *)"host";
        must_compile();
        fd = launch_write(compiled_launch(fixture.compiled));
        cr_assert_geq(fd, 0);
        cr_assert_eq(launch_read(fd, &read, &memory, &fixture.error), 0, "%s", fixture.error.text);
        cr_expect_eq(read.plan.entry_count, fixture_plan(&fixture)->entry_count);
        cr_expect_eq(read.plan.source_count, fixture_plan(&fixture)->source_count);
        codec_memory_finish(&memory);
}

Test(compile, hostname)
{
        const struct {
                const char *name, *hostname;
        } rows[] = {
                {"shop", "shop"},
                {"-shop_1.x-", "shop-1.x"},
                {"...", "clade"},
                {"a b/c", "a-b-c"},
                {"0123456789012345678901234567890123456789012345678901234567890123456789",
                 "0123456789012345678901234567890123456789012345678901234567890123"},
        };

        for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
                fixture.application.name = (char *)rows[i].name;
                must_compile();
                cr_expect_str_eq(fixture_plan(&fixture)->hostname, rows[i].hostname);
        }
        fixture.application.isolation.namespaces &= ~(uint64_t)CLONE_NEWUTS;
        must_compile();
        cr_expect_null(fixture_plan(&fixture)->hostname);
}

Test(compile, paths_are_shown_where_they_are)
{
        struct config_value value = executable(fixture_path(&fixture, "bin//./serve"));
        const struct plan_entry *entry;
        char target[128];

        fixture_directory(&fixture, "bin");
        fixture_file(&fixture, "bin/real", "#!");
        cr_assert_eq(symlink("real", fixture_path(&fixture, "bin/serve")), 0);
        snprintf(target, sizeof(target), "%s/bin//./serve", fixture.directory);
        value.string = target;
        fixture.application.values = &value;
        fixture.application.value_count = 1;
        if (fixture_compile(&fixture) == -ELOOP) {
                /* With one id for all, a link of ours could be the application's. */
                cr_expect_neq(geteuid(), 0);
                cr_expect(strstr(fixture.error.remedy, "/etc/subuid"), "%s", fixture.error.remedy);
                return;
        }
        must_compile();
        /* /tmp is a tmpfs inside: the way there is made. */
        entry = fixture_entry(&fixture, fixture_path(&fixture, "bin/serve"));
        cr_assert(entry);
        cr_expect_eq(entry->attributes, MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV);
        cr_expect_str_eq(fixture_source(&fixture, entry)->path, fixture_path(&fixture, "bin/real"));
        cr_expect(fixture_source(&fixture, entry)->readable);
        entry = fixture_entry(&fixture, fixture_path(&fixture, "bin"));
        cr_assert(entry);
        cr_expect_eq(entry->kind, PLAN_DIRECTORY);
}

Test(compile, lists_of_paths_are_shown)
{
        char first[128], second[128];
        char *paths[] = {second, first, NULL};
        struct config_value value = {.name = (char *)"path", .type = CLADE_PATHS, .strings = paths};
        const struct plan_entry *entry;

        fixture_directory(&fixture, "www");
        fixture_directory(&fixture, "lib");
        snprintf(first, sizeof(first), "%s/www", fixture.directory);
        snprintf(second, sizeof(second), "%s/lib", fixture.directory);
        fixture.application.values = &value;
        fixture.application.value_count = 1;
        must_compile();
        for (char **path = paths; *path; path++) {
                entry = fixture_entry(&fixture, *path);
                cr_assert(entry, "%s", *path);
                cr_expect_eq(entry->kind, PLAN_BIND);
                cr_expect(entry->attributes & MOUNT_ATTR_RDONLY);
        }
        cr_expect_str_eq(compiled_launch(fixture.compiled)->values[0].strings[1], first);
        cr_expect_null(compiled_launch(fixture.compiled)->values[0].strings[2]);
        snprintf(first, sizeof(first), "/absent-here/www");
        must_refuse("/path", "open of /absent-here/www");
}

Test(compile, paths_that_are_visible_are_not_shown_again)
{
        const char *const paths[] = {"/usr/bin/env", "/bin/env", "/bin/sh", "/usr"};
        size_t before;

        fixture.application.isolation.rootfs = (char *)"host";
        must_compile();
        before = fixture_plan(&fixture)->entry_count;
        for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
                struct config_value value = executable(paths[i]);

                fixture.application.values = &value;
                fixture.application.value_count = 1;
                must_compile();
                cr_expect_eq(fixture_plan(&fixture)->entry_count, before, "%s", paths[i]);
        }
}

/* The library of the host that "minimal" shows hides nothing: another file at the same place does. */
Test(compile, another_file_is_shown_over_the_templates)
{
        struct config_value value = executable("/etc/hosts");
        const struct plan_entry *entry;

        fixture.application.values = &value;
        fixture.application.value_count = 1;
        must_compile();
        entry = fixture_entry(&fixture, "/etc/hosts");
        cr_assert(entry);
        cr_expect_eq(entry->kind, PLAN_BIND);
}

Test(compile, missing_paths)
{
        struct config_value value = executable("/absent-here/serve");

        fixture.application.values = &value;
        fixture.application.value_count = 1;
        must_refuse("/executable", "open of /absent-here/serve, at \"absent-here\": No such file "
                                   "or directory (ENOENT)");
        cr_expect(strstr(fixture.error.remedy, "create it"), "%s", fixture.error.remedy);
        value.string = (char *)"serve";
        must_refuse("/executable", "the path \"serve\" is not absolute");
        value.string = (char *)"/etc/passwd/x";
        must_refuse("/executable", "Not a directory");
        /* Also where the application sees the host's tree. */
        fixture.application.isolation.rootfs = NULL;
        value.string = (char *)"/absent-here/serve";
        must_refuse("/executable", "open of /absent-here/serve");
        value.string = (char *)"/bin/sh";
        must_compile();
        cr_expect_not(fixture_plan(&fixture)->root);
        cr_expect_eq(fixture_plan(&fixture)->entry_count, 0);
}

Test(compile, below_the_hosts_files_nothing_is_made)
{
        struct config_mount mount = {
                .destination = (char *)"/usr/absent-here/data",
                .type = (char *)"tmpfs",
        };

        fixture.application.isolation.rootfs = (char *)"host";
        fixture.application.isolation.mounts = &mount;
        fixture.application.isolation.mount_count = 1;
        must_refuse("/isolation/mounts/0", "/usr/absent-here does not exist on the host");
        cr_expect(strstr(fixture.error.remedy, "read") || strstr(fixture.error.remedy, "create"),
                  "%s", fixture.error.remedy);
        mount.destination = (char *)"/usr/share";
        must_compile();
        cr_expect_eq(fixture_entry(&fixture, "/usr/share")->kind, PLAN_TMPFS);
}

Test(compile, working_directory)
{
        size_t before;

        must_compile();
        before = fixture_plan(&fixture)->entry_count;
        /* What only the root has needs nothing of the host's. */
        for (const char *const *path = (const char *const[]){"/", "/tmp", "/etc", "/dev/", NULL};
             *path; path++) {
                fixture.application.working_directory = (char *)*path;
                must_compile();
                cr_expect_eq(fixture_plan(&fixture)->entry_count, before, "%s", *path);
        }
        fixture.application.working_directory = fixture.directory;
        must_compile();
        cr_expect_eq(fixture_source(&fixture, fixture_entry(&fixture, fixture.directory))->type,
                     S_IFDIR);
        cr_expect_str_eq(compiled_launch(fixture.compiled)->working_directory, fixture.directory);
        fixture.application.working_directory = (char *)"/absent-here";
        must_refuse("/working_directory", "open of /absent-here: No such file");
        fixture.application.working_directory = (char *)"/etc/passwd";
        must_refuse("/working_directory", "/etc/passwd: Not a directory");
        fixture.application.isolation.rootfs = NULL;
        must_refuse("/working_directory", "/etc/passwd: Not a directory");
}

/* The way to the program is made first; the directory is the host's all the same. */
Test(compile, working_directory_around_the_program)
{
        struct config_value value;
        char program[128];

        fixture_directory(&fixture, "app");
        fixture_file(&fixture, "app/serve", "#!");
        snprintf(program, sizeof(program), "%s/app/serve", fixture.directory);
        value = executable(program);
        fixture.application.values = &value;
        fixture.application.value_count = 1;
        fixture.application.working_directory = (char *)fixture_path(&fixture, "app");
        must_compile();
        cr_expect_eq(
                fixture_source(&fixture, fixture_entry(&fixture, fixture_path(&fixture, "app")))
                        ->type,
                S_IFDIR);
}

Test(compile, mounts)
{
        char *rw[] = {(char *)"rw", NULL}, *odd[] = {(char *)"shared", NULL};
        struct config_mount mounts[3] = {
                {.destination = (char *)"/data/", .source = fixture.directory, .options = rw},
                {.destination = (char *)"/scratch", .type = (char *)"tmpfs"},
                {.destination = (char *)"/data/etc", .source = (char *)"/etc"},
        };
        struct config_isolation *isolation = &fixture.application.isolation;

        fixture_directory(&fixture, "etc");
        isolation->mounts = mounts;
        isolation->mount_count = 3;
        must_compile();
        cr_expect_eq(fixture_entry(&fixture, "/data")->attributes,
                     MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV);
        cr_expect_gt(fixture_entry(&fixture, "/scratch")->size, 0);
        cr_expect(fixture_source(&fixture, fixture_entry(&fixture, "/data"))->readable);
        mounts[2].destination = (char *)"/data/absent";
        must_refuse("/isolation/mounts/2", "/absent does not exist on the host");
        mounts[2].destination = (char *)"/scratch";
        must_refuse("/isolation/mounts/2", "two mounts have the target /scratch");
        mounts[2].destination = (char *)"/";
        must_refuse("/isolation/mounts/2", "no target");
        mounts[2].destination = (char *)"/a/../b";
        must_refuse("/isolation/mounts/2", "\"..\" part");
        mounts[2].destination = (char *)"/other";
        mounts[2].source = (char *)"/absent-here";
        must_refuse("/isolation/mounts/2", "open of /absent-here: No such file");
        mounts[2].source = NULL;
        must_refuse("/isolation/mounts/2", "a bind mount needs a source");
        mounts[2].type = (char *)"overlay";
        must_refuse("/isolation/mounts/2", "unknown type \"overlay\"");
        mounts[1].options = odd;
        must_refuse("/isolation/mounts/1", "unknown option \"shared\"");
        isolation->rootfs = NULL;
        must_refuse("/isolation/mounts", "mounts need a root");
        isolation->rootfs = (char *)"minimal";
        isolation->namespaces &= ~(uint64_t)CLONE_NEWNS;
        must_refuse("/isolation/rootfs", "needs a mount namespace");
}

Test(compile, a_proc_of_its_own_needs_a_pid_namespace)
{
        struct config_mount mount = {.destination = (char *)"/p", .type = (char *)"proc"};

        fixture.application.isolation.mounts = &mount;
        fixture.application.isolation.mount_count = 1;
        must_compile();
        cr_expect_eq(fixture_entry(&fixture, "/p")->kind, PLAN_PROC);
        fixture.application.isolation.namespaces &= ~(uint64_t)CLONE_NEWPID;
        must_refuse("/isolation/mounts/0", "needs a pid namespace");
}

Test(compile, mounts_of_the_module)
{
        struct catalogue_mount mounts[] = {
                {.source = (char *)"/etc/passwd", .target = (char *)"/etc/real-passwd"},
                {.source = (char *)"/absent-here", .target = (char *)"/x", .optional = true},
        };

        fixture.module.mounts = mounts;
        fixture.module.mount_count = 2;
        must_compile();
        cr_expect_str_eq(
                fixture_source(&fixture, fixture_entry(&fixture, "/etc/real-passwd"))->path,
                "/etc/passwd");
        cr_expect_null(fixture_entry(&fixture, "/x"));
        mounts[1].optional = false;
        must_refuse("/type", "mount /x of module test 1.0: open of /absent-here: No such file");
}

static const struct plan_rlimit *rlimit(uint32_t resource)
{
        const struct plan *plan = fixture_plan(&fixture);

        for (size_t i = 0; i < plan->rlimit_count; i++)
                if (plan->rlimits[i].resource == resource)
                        return &plan->rlimits[i];
        cr_assert_fail("no limit %u", resource);
        return NULL;
}

Test(compile, limits_stay_below_our_own)
{
        struct rlimit own = {.rlim_cur = 700, .rlim_max = 700}, tasks;

        cr_assert_eq(setrlimit(RLIMIT_NOFILE, &own), 0);
        must_compile();
        cr_expect_eq(rlimit(RLIMIT_NOFILE)->soft, 700);
        cr_expect_eq(rlimit(RLIMIT_NOFILE)->hard, 700);
        cr_expect_eq(rlimit(RLIMIT_CORE)->hard, 1);
        cr_expect_leq(rlimit(RLIMIT_NPROC)->soft, rlimit(RLIMIT_NPROC)->hard);
        fixture.application.processes.max = 500;
        must_refuse("/processes", "500 processes need ");
        cr_expect(strstr(fixture.error.remedy, "ulimit -Hn"), "%s", fixture.error.remedy);
        fixture.application.processes.max = 20;
        cr_assert_eq(getrlimit(RLIMIT_NPROC, &tasks), 0);
        tasks.rlim_cur = tasks.rlim_max = 15;
        cr_assert_eq(setrlimit(RLIMIT_NPROC, &tasks), 0);
        must_refuse("/processes", "20 processes need 21 tasks, and the limit is 15");
}

/* The domains for every kernel that we know of, whatever this one is. */
Test(compile, landlock_by_abi)
{
        const struct {
                int abi;
                uint64_t net, scoped, worker_fs, allowed;
        } rows[] = {
                {1, 0, 0, LANDLOCK_ACCESS_FS_MAKE_BLOCK, 0},
                {2, 0, 0, LANDLOCK_ACCESS_FS_REFER, LANDLOCK_ACCESS_FS_REFER},
                {3, 0, 0, LANDLOCK_ACCESS_FS_REFER, LANDLOCK_ACCESS_FS_REFER},
                {4, 3, 0, LANDLOCK_ACCESS_FS_REFER, LANDLOCK_ACCESS_FS_REFER},
                {5, 3, 0, LANDLOCK_ACCESS_FS_REFER, LANDLOCK_ACCESS_FS_REFER},
                {6, 3, 3, LANDLOCK_ACCESS_FS_REFER, LANDLOCK_ACCESS_FS_REFER},
                {9, 3, 3, LANDLOCK_ACCESS_FS_REFER, LANDLOCK_ACCESS_FS_REFER},
        };
        struct arena arena = {.chunks = NULL};

        for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
                struct plan plan = {.namespaces = 0};
                struct compilation compilation = {
                        .application = &fixture.application,
                        .plan = &plan,
                        .arena = &arena,
                        .level = LADDER_FULL,
                };

                fixture.application.isolation.unix_clients = false;
                cr_assert_eq(compile_landlock(&compilation, rows[i].abi, &fixture.error), 0);
                cr_expect_eq(plan.landlock_abi, rows[i].abi);
                cr_expect_eq(plan.prototype_domain.handled_net, rows[i].net, "row %zu", i);
                cr_expect_eq(plan.prototype_domain.scoped, rows[i].scoped, "row %zu", i);
                cr_expect_eq(plan.prototype_domain.handled_fs, 0, "row %zu", i);
                cr_expect_eq(plan.worker_domain.handled_net, rows[i].net, "row %zu", i);
                cr_expect_eq(plan.worker_domain.scoped, rows[i].scoped, "row %zu", i);
                cr_expect_eq(plan.worker_domain.handled_fs, rows[i].worker_fs, "row %zu", i);
                cr_expect_eq(plan.worker_domain.rule_count, rows[i].allowed != 0, "row %zu", i);
                if (rows[i].allowed) {
                        cr_expect_str_eq(plan.worker_domain.rules[0].path, "/");
                        cr_expect_eq(plan.worker_domain.rules[0].allowed, rows[i].allowed);
                }
                /* Any worker's domain must be one: a ruleset that handles nothing is refused. */
                cr_expect(plan.worker_domain.handled_fs || plan.worker_domain.handled_net ||
                          plan.worker_domain.scoped);
                fixture.application.isolation.unix_clients = true;
                cr_expect_eq(compile_landlock(&compilation, rows[i].abi, &fixture.error),
                             rows[i].abi >= 4 ? 0 : -EOPNOTSUPP, "row %zu", i);
        }
        arena_finish(&arena);
}

/* Nothing else keeps one worker from reading another. */
Test(compile, no_start_without_landlock)
{
        struct plan plan = {.namespaces = 0};
        struct compilation compilation = {
                .application = &fixture.application, .plan = &plan, .level = LADDER_FULL};

        cr_expect_eq(compile_landlock(&compilation, 0, &fixture.error), -EOPNOTSUPP);
        cr_expect_eq(compile_landlock(&compilation, -ENOSYS, &fixture.error), -EOPNOTSUPP);
        cr_expect(strstr(fixture.error.remedy, "lsm=landlock"));
}

Test(compile, the_hosts_network_is_left_open)
{
        struct arena arena = {.chunks = NULL};
        struct plan plan = {.namespaces = 0};
        struct compilation compilation = {
                .application = &fixture.application,
                .plan = &plan,
                .arena = &arena,
                .level = LADDER_FULL,
        };

        fixture.application.isolation.network = CONFIG_NETWORK_HOST;
        fixture.application.isolation.unix_clients = true;
        cr_assert_eq(compile_landlock(&compilation, 3, &fixture.error), 0);
        cr_assert_eq(compile_landlock(&compilation, 6, &fixture.error), 0);
        cr_expect_eq(plan.prototype_domain.handled_net, 0);
        cr_expect_neq(plan.prototype_domain.scoped, 0);
        arena_finish(&arena);
}
