/* What follows from "isolation" and "limits" beside namespaces, root and filters. */
#include <criterion/criterion.h>
#include <errno.h>
#include <limits.h>
#include <linux/capability.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/missing.h"
#include "base/own.h"
#include "compile_suite.h"
#include "runtime/compile/landlock.h"

#define READ_ONLY (LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR)
#define CHANGES                                                                                    \
        (LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_TRUNCATE |                             \
         LANDLOCK_ACCESS_FS_MAKE_REG | LANDLOCK_ACCESS_FS_REMOVE_FILE | LANDLOCK_ACCESS_FS_REFER)

TestSuite(locks, .init = setup, .fini = teardown);

static const struct plan_landlock_rule *rule_of(const struct plan_landlock *domain,
                                                const char *path)
{
        for (size_t i = 0; i < domain->rule_count; i++)
                if (strcmp(domain->rules[i].path, path) == 0)
                        return &domain->rules[i];
        return NULL;
}

static uint64_t allowed(const char *path)
{
        const struct plan_landlock_rule *rule =
                rule_of(&fixture_plan(&fixture)->prototype_domain, path);

        return rule ? rule->allowed : 0;
}

/* Each mount's rule says what its options say, and what lies below a later mount has none. */
Test(locks, a_domain_from_the_mounts)
{
        char read_only[128], writable[128];
        char *rw[] = {(char *)"rw", NULL}, *noexec[] = {(char *)"noexec", NULL};
        struct config_mount mounts[] = {
                {.destination = (char *)"/srv/ro",
                 .source = read_only,
                 .options = noexec,
                 .pointer = (char *)""},
                {.destination = (char *)"/srv/rw",
                 .source = writable,
                 .options = rw,
                 .pointer = (char *)""},
                {.destination = (char *)"/etc", .type = (char *)"tmpfs", .pointer = (char *)""},
        };
        const struct plan *plan;

        if (landlock_abi() < LANDLOCK_TRUNCATE_ABI)
                cr_skip_test("this kernel's Landlock is older than ABI 3");
        fixture_directory(&fixture, "ro");
        fixture_directory(&fixture, "rw");
        snprintf(read_only, sizeof(read_only), "%s/ro", fixture.directory);
        snprintf(writable, sizeof(writable), "%s/rw", fixture.directory);
        must_compile();
        cr_expect_eq(allowed("/etc/passwd") & READ_ONLY, READ_ONLY);

        fixture.application.isolation.mounts = mounts;
        fixture.application.isolation.mount_count = 3;
        must_compile();
        plan = fixture_plan(&fixture);
        cr_expect_eq(plan->prototype_domain.handled_fs, landlock_fs_rights(landlock_abi()));
        cr_expect_eq(allowed("/"), LANDLOCK_ACCESS_FS_READ_DIR);
        cr_expect_eq(allowed("/srv/ro"), READ_ONLY);
        cr_expect_eq(allowed("/srv/rw") & (READ_ONLY | CHANGES), READ_ONLY | CHANGES);
        cr_expect(allowed("/srv/rw") & LANDLOCK_ACCESS_FS_EXECUTE);
        cr_expect_eq(allowed("/tmp") & (READ_ONLY | CHANGES), READ_ONLY | CHANGES);
        cr_expect_not(allowed("/tmp") & LANDLOCK_ACCESS_FS_EXECUTE);
        cr_expect_not(allowed("/proc") & LANDLOCK_ACCESS_FS_MAKE_REG);
        cr_expect_eq(allowed("/proc"), READ_ONLY);
        cr_expect(allowed("/dev/null") & LANDLOCK_ACCESS_FS_WRITE_FILE);
        cr_expect_null(rule_of(&plan->prototype_domain, "/etc/passwd"), "it lies below a tmpfs");
        for (size_t i = 0; i < plan->prototype_domain.rule_count; i++) {
                uint64_t rights = plan->prototype_domain.rules[i].allowed;

                cr_expect_not(
                        rights & (LANDLOCK_ACCESS_FS_MAKE_CHAR | LANDLOCK_ACCESS_FS_MAKE_BLOCK),
                        "%s", plan->prototype_domain.rules[i].path);
                cr_expect_not(rights & ~plan->prototype_domain.handled_fs);
        }
}

Test(locks, configured_paths)
{
        struct config_landlock *landlock = &fixture.application.isolation.landlock;
        struct config_landlock_path paths[] = {
                {(char *)"/", READ_ONLY},
                {(char *)"/dev/stdin", READ_ONLY},
        };
        const struct plan_landlock *domain;

        if (landlock_abi() < LANDLOCK_TRUNCATE_ABI)
                cr_skip_test("this kernel's Landlock is older than ABI 3");
        landlock->has_paths = true;
        must_compile();
        domain = &fixture_plan(&fixture)->configured_domain;
        cr_expect_neq(domain->handled_fs, 0, "an empty list allows nothing");
        cr_expect_eq(domain->rule_count, 0);

        landlock->paths = paths;
        landlock->path_count = 1;
        must_compile();
        domain = &fixture_plan(&fixture)->configured_domain;
        cr_assert_eq(domain->rule_count, 1);
        cr_expect_eq(domain->rules[0].allowed, READ_ONLY);

        landlock->path_count = 2;
        must_refuse("/isolation/landlock/paths/1/path", "/dev/stdin inside the root");
        paths[1].path = (char *)"/etc/passwd";
        must_compile();
        paths[1].path = (char *)"/etc/absent";
        must_refuse("/isolation/landlock/paths/1/path", "/etc/absent inside the root");
        paths[1] =
                (struct config_landlock_path){(char *)"/etc/passwd", LANDLOCK_ACCESS_FS_MAKE_REG};
        must_refuse("/isolation/landlock/paths/1/path", "mean nothing for a file");
}

/* What is asked for in words is refused on a kernel that lacks it; each row is one key. */
Test(locks, what_the_kernel_lacks)
{
        static uint16_t port[] = {80};
        static struct config_landlock_path ioctls[] = {
                {(char *)"/dev", LANDLOCK_ACCESS_FS_IOCTL_DEV}};
        const struct {
                struct config_landlock landlock;
                int least;
                const char *pointer;
        } rows[] = {
                {{.has_paths = true}, 3, "/isolation/landlock/paths: "},
                {{.has_paths = true, .paths = ioctls, .path_count = 1},
                 5,
                 "/isolation/landlock/paths: "},
                {{.bind = {true, port, 1}}, 4, "/isolation/landlock/bind: "},
                {{.connect = {true, NULL, 0}}, 4, "/isolation/landlock/connect: "},
                {{.scopes = LANDLOCK_SCOPE_SIGNAL}, 6, "/isolation/landlock/scopes: "},
                {{.audit = true}, 7, "/isolation/landlock/audit: "},
        };

        for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
                for (int abi = 1; abi <= 7; abi++) {
                        struct arena arena = {.chunks = NULL};
                        struct plan plan = {.root = true};
                        struct plan_entry entry = {
                                .kind = PLAN_DIRECTORY, .target = (char *)"/dev", .mode = 0755};
                        const struct compile compile = {.config = NULL};
                        struct compilation compilation = {
                                .compile = &compile,
                                .application = &fixture.application,
                                .plan = &plan,
                                .arena = &arena,
                                .root = {.plan = &plan, .arena = &arena},
                                .level = LADDER_FULL,
                        };
                        struct error error = ERROR_INIT;
                        int r;

                        plan.entries = &entry;
                        plan.entry_count = 1;
                        fixture.application.isolation.network = CONFIG_NETWORK_HOST;
                        fixture.application.isolation.landlock = rows[i].landlock;
                        r = compile_landlock(&compilation, abi, &error);
                        cr_expect_eq(r, abi < rows[i].least ? -EOPNOTSUPP : 0,
                                     "row %zu, ABI %d: %s", i, abi, error.text);
                        cr_expect(r == 0 || strstr(error.text, rows[i].pointer), "%s", error.text);
                        cr_expect(r == 0 || error.remedy[0]);
                        arena_finish(&arena);
                }
}

Test(locks, ports)
{
        static uint16_t binds[] = {0, 8080}, connects[] = {443};
        struct config_isolation *isolation = &fixture.application.isolation;
        const struct plan_landlock *domain;

        if (landlock_abi() < LANDLOCK_NETWORK_ABI)
                cr_skip_test("this kernel's Landlock is older than ABI 4");
        isolation->network = CONFIG_NETWORK_HOST;
        isolation->namespaces &= ~(uint64_t)CLONE_NEWNET;
        isolation->landlock.bind = (struct config_ports){true, binds, 2};
        isolation->landlock.connect = (struct config_ports){true, connects, 1};
        must_compile();
        domain = &fixture_plan(&fixture)->configured_domain;
        cr_expect_eq(domain->handled_net,
                     LANDLOCK_ACCESS_NET_BIND_TCP | LANDLOCK_ACCESS_NET_CONNECT_TCP);
        cr_assert_eq(domain->port_count, 3);
        cr_expect_eq(domain->ports[1].port, 8080);
        cr_expect_eq(domain->ports[1].allowed, LANDLOCK_ACCESS_NET_BIND_TCP);
        cr_expect_eq(domain->ports[2].port, 443);
        cr_expect_eq(domain->ports[2].allowed, LANDLOCK_ACCESS_NET_CONNECT_TCP);
        /* It moves files between directories as before. */
        cr_expect_eq(domain->handled_fs, LANDLOCK_ACCESS_FS_REFER);
}

Test(locks, refusals_are_not_logged_unless_asked_for)
{
        const struct plan *plan;

        if (landlock_abi() < LANDLOCK_AUDIT_ABI)
                cr_skip_test("this kernel's Landlock is older than ABI 7");
        must_compile();
        plan = fixture_plan(&fixture);
        cr_expect_eq(plan->prototype_domain.flags, LANDLOCK_RESTRICT_SELF_LOG_SAME_EXEC_OFF);
        cr_expect_eq(plan->worker_domain.flags, LANDLOCK_RESTRICT_SELF_LOG_SAME_EXEC_OFF |
                                                        LANDLOCK_RESTRICT_SELF_LOG_SUBDOMAINS_OFF);
        fixture.application.isolation.landlock.audit = true;
        must_compile();
        cr_expect_eq(fixture_plan(&fixture)->prototype_domain.flags,
                     LANDLOCK_RESTRICT_SELF_LOG_NEW_EXEC_ON);
}

Test(locks, capabilities)
{
        must_compile();
        cr_expect_eq(fixture_plan(&fixture)->capabilities.ambient, 0);
        cr_expect_eq(fixture_plan(&fixture)->capabilities.bounding, 0);
        fixture.application.isolation.capabilities = (struct config_capabilities){
                1u << CAP_NET_BIND_SERVICE, 1u << CAP_NET_BIND_SERVICE, 1u << CAP_NET_BIND_SERVICE};
        must_compile();
        cr_expect_eq(fixture_plan(&fixture)->capabilities.ambient, 1u << CAP_NET_BIND_SERVICE);
}

Test(locks, loopback_is_for_those_who_accept_no_tcp)
{
        struct config_listener listener = {.address = (char *)"127.0.0.1:1"};

        fixture.application.isolation.network = CONFIG_NETWORK_LOOPBACK;
        must_compile();
        cr_expect(fixture_plan(&fixture)->loopback);
        cr_expect_eq(fixture_plan(&fixture)->prototype_domain.handled_net, 0);
        fixture.config.listeners = &listener;
        fixture.config.listener_count = 1;
        listener.socket_address.ss_family = AF_UNIX;
        must_compile();
        listener.socket_address.ss_family = AF_INET6;
        must_refuse("/isolation/network", "cannot have the network \"loopback\"");
        listener.application = 1;
        must_compile();
}

Test(locks, clocks)
{
        struct config_time_offsets *offsets = &fixture.application.isolation.time_offsets;
        struct timespec now;

        must_compile();
        cr_expect_not(fixture_plan(&fixture)->clocks.set);
        cr_assert_eq(clock_gettime(CLOCK_BOOTTIME, &now), 0);
        *offsets = (struct config_time_offsets){true, 100, -now.tv_sec};
        must_compile();
        cr_expect_eq(fixture_plan(&fixture)->clocks.monotonic, 100);
        cr_expect_eq((int64_t)fixture_plan(&fixture)->clocks.boottime, -now.tv_sec);
        offsets->boottime = -now.tv_sec - 1000;
        must_refuse("/isolation/time_offsets/boottime", "the clock would show -");
}

Test(locks, configured_hostname)
{
        fixture.application.isolation.hostname = (char *)"shop.example";
        must_compile();
        cr_expect_str_eq(fixture_plan(&fixture)->hostname, "shop.example");
}

Test(locks, rlimits)
{
        struct config_rlimit rlimits[] = {
                {"RLIMIT_FSIZE", 0, RLIMIT_FSIZE, 10, 20},
                {"RLIMIT_CORE", 1, RLIMIT_CORE, 0, 0},
        };
        const struct rlimit own = {.rlim_cur = 15, .rlim_max = 15};
        const struct plan *plan;
        size_t cores = 0;

        fixture.application.limits.rlimits = rlimits;
        fixture.application.limits.rlimit_count = 2;
        must_compile();
        plan = fixture_plan(&fixture);
        for (size_t i = 0; i < plan->rlimit_count; i++) {
                if (plan->rlimits[i].resource == RLIMIT_CORE) {
                        cr_expect_eq(plan->rlimits[i].hard, 0, "in place of the default");
                        cores++;
                }
                if (plan->rlimits[i].resource == RLIMIT_FSIZE)
                        cr_expect_eq(plan->rlimits[i].soft, 10);
        }
        cr_expect_eq(cores, 1);

        rlimits[1] = (struct config_rlimit){"RLIMIT_NOFILE", 1, RLIMIT_NOFILE, 8, 64};
        must_refuse("/limits/rlimits/1/soft", "RLIMIT_NOFILE of 8 is too low: 1 processes need");
        rlimits[1] = (struct config_rlimit){"RLIMIT_NPROC", 1, RLIMIT_NPROC, 1, 64};
        must_refuse("/limits/rlimits/1/soft", "RLIMIT_NPROC of 1 is too low");
        cr_assert_eq(setrlimit(RLIMIT_FSIZE, &own), 0);
        must_refuse("/limits/rlimits/0/hard", "RLIMIT_FSIZE of 20 is above clade's own hard limit");
}

Test(locks, scheduling)
{
        uint64_t cpus[CONFIG_CPUS_MAX / 64] = {1};
        struct config_limits *limits = &fixture.application.limits;
        const struct plan_scheduling *scheduling;

        limits->has_nice = limits->has_oom_score = true;
        limits->nice = 19;
        limits->oom_score = 1000;
        limits->cpus = cpus;
        limits->cpu_words = 1;
        must_compile();
        scheduling = &fixture_plan(&fixture)->scheduling;
        cr_expect(scheduling->set_nice && scheduling->set_oom_score);
        cr_expect_eq((int32_t)scheduling->nice, 19);
        cr_expect_eq((int32_t)scheduling->oom_score, 1000);
        cr_expect_eq(scheduling->cpu_words, 1);
        cr_expect_eq(scheduling->cpus[0], 1);

        cpus[CONFIG_CPUS_MAX / 64 - 1] = 1ull << 63;
        limits->cpu_words = CONFIG_CPUS_MAX / 64;
        must_refuse("/limits/cpus", "processor 8191 is not there");
        limits->cpu_words = 1;
        if (geteuid() == 0)
                return; /* may give more than it has */
        limits->nice = -20;
        must_refuse("/limits/nice", "a niceness of -20 is below clade's own");
        limits->nice = 19;
        limits->oom_score = -1000;
        must_refuse("/limits/oom_score_adj", "an oom_score_adj of -1000 is below clade's own");
}
