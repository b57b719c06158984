/* What a configuration without errors becomes. */
#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <linux/capability.h>
#include <netinet/in.h>
#include <sched.h>
#include <stddef.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/un.h>

#include "base/missing.h"
#include "base/own.h"
#include "runtime/config/config.h"
#include "tests/unit/config_catalogue.h"

#define EVERY_NAMESPACE                                                                            \
        ((uint64_t)(CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWUTS |     \
                    CLONE_NEWCGROUP | CLONE_NEWIPC | CLONE_NEWTIME))

static struct catalogue catalogue;
static struct config config;

static void load(const char *file)
{
        struct diagnostics diagnostics = {.count = 0};
        struct error error = ERROR_INIT;
        char path[512];
        int r;

        snprintf(path, sizeof(path), CONFIGS_DIRECTORY "/valid/%s", file);
        config_catalogue(&catalogue);
        r = config_load(path, &catalogue, &config, &diagnostics, &error);
        cr_assert_eq(r, 0, "%s: %s%s", path, error.text,
                     diagnostics.count ? diagnostics.list[0].text : "");
        cr_expect_eq(diagnostics.count, 0);
        cr_expect_str_eq(config.file, path);
}

static void unload(void)
{
        config_finish(&config);
        catalogue_finish(&catalogue);
}

TestSuite(config_valid, .fini = unload);

static void expect_strings(char **found, const char *const *expected)
{
        size_t i = 0;

        cr_assert_not_null(found);
        for (; expected[i]; i++) {
                cr_assert_not_null(found[i], "%s is missing", expected[i]);
                cr_expect_str_eq(found[i], expected[i]);
        }
        cr_expect_null(found[i]);
}

static const struct config_value *value_of(const struct config_application *application,
                                           const char *name)
{
        for (size_t i = 0; i < application->value_count; i++)
                if (strcmp(application->values[i].name, name) == 0)
                        return &application->values[i];
        cr_assert_fail("%s has no %s", application->name, name);
        return NULL;
}

static void expect_processes(const struct config_processes *processes, uint32_t max, uint32_t spare,
                             uint32_t idle_timeout, bool dynamic)
{
        cr_expect_eq(processes->max, max);
        cr_expect_eq(processes->spare, spare);
        cr_expect_eq(processes->idle_timeout, idle_timeout);
        cr_expect_eq(processes->dynamic, dynamic);
}

Test(config_valid, defaults)
{
        const struct config_application *a;

        load("defaults.json");
        cr_expect_eq(config.settings.stop_timeout, 30);
        cr_expect_eq(config.settings.start_timeout, 60);
        cr_expect_eq(config.settings.id_first, 1879048192);
        cr_expect_eq(config.settings.id_count, 4096);
        cr_expect_eq(config.settings.id_size, 0);
        cr_expect_str_eq(config.settings.state_directory, "/var/lib/clade");
        cr_expect_eq(config.settings.http.header_read_timeout, 30);
        cr_expect_eq(config.settings.http.body_read_timeout, 30);
        cr_expect_eq(config.settings.http.send_timeout, 30);
        cr_expect_eq(config.settings.http.idle_timeout, 180);
        cr_expect_eq(config.settings.http.max_body_size, 8u << 20);
        cr_expect_eq(config.listener_count, 0);
        cr_assert_eq(config.application_count, 1);

        a = &config.applications[0];
        cr_expect_str_eq(a->name, "a");
        cr_expect_str_eq(a->type, "go");
        cr_expect_str_eq(a->module->type, "external");
        expect_processes(&a->processes, 1, 1, 15, false);
        cr_expect_eq(a->limits.requests, 0);
        cr_expect_eq(a->limits.timeout, 0);
        expect_strings(a->environment, (const char *const[]){NULL});
        cr_expect_null(a->working_directory);
        cr_expect_null(a->stdout_path);
        cr_expect_null(a->stderr_path);
        cr_expect_eq(a->uid, 1000);
        cr_expect_eq(a->gid, 1000);
        cr_expect_str_eq(a->user, "app");
        cr_expect_str_eq(a->group, "app");
        cr_expect_eq(a->value_count, 1);
        cr_expect_str_eq(a->pointer, "/applications/a");
        cr_expect_eq(a->isolation.namespaces, EVERY_NAMESPACE);
        cr_expect_str_eq(a->isolation.rootfs, "minimal");
        cr_expect_eq(a->isolation.maximum, LADDER_FULL);
        cr_expect_eq(a->isolation.minimum, LADDER_USER, "all that is asked for");
        cr_expect_not(a->isolation.minimum_named);
        cr_expect_eq(a->isolation.mount_count, 0);
        cr_expect_eq(a->isolation.network, CONFIG_NETWORK_NONE);
        cr_expect_not(a->isolation.unix_clients);
        cr_expect_not(a->isolation.uid_map.given);
        cr_expect_eq(a->isolation.gid_map.count, 0);
}

Test(config_valid, no_applications_at_all)
{
        load("none.json");
        cr_expect_eq(config.application_count, 0);
        cr_expect_eq(config.listener_count, 0);
}

Test(config_valid, settings)
{
        load("everything.json");
        cr_expect_eq(config.settings.stop_timeout, 0);
        cr_expect_eq(config.settings.start_timeout, 3600);
        cr_expect_eq(config.settings.id_first, 65536);
        cr_expect_eq(config.settings.id_count, 1000);
        cr_expect_eq(config.settings.id_size, 10);
        cr_expect_str_eq(config.settings.state_directory, "/srv/clade/state");
}

Test(config_valid, listeners_lead_to_their_applications)
{
        static const struct {
                const char *address;
                size_t application;
                sa_family_t family;
        } expected[] = {
                {"127.0.0.1:8080", 1, AF_INET}, {"*:1", 0, AF_INET},
                {"[::1]:65535", 0, AF_INET6},   {"unix:/run/web.sock", 0, AF_UNIX},
                {"unix:@web", 1, AF_UNIX},
        };

        load("everything.json");
        cr_assert_eq(config.listener_count, ARRAY_SIZE(expected));
        for (size_t i = 0; i < ARRAY_SIZE(expected); i++) {
                cr_expect_str_eq(config.listeners[i].address, expected[i].address);
                cr_expect_eq(config.listeners[i].application, expected[i].application);
                cr_expect_eq(config.listeners[i].socket_address.ss_family, expected[i].family);
                cr_expect_neq(config.listeners[i].socket_length, 0);
        }
}

Test(config_valid, addresses_of_different_families_and_hosts_share_a_port)
{
        load("addresses.json");
        cr_expect_eq(config.listener_count, 7);
}

Test(config_valid, application)
{
        const struct config_application *web;

        load("everything.json");
        cr_assert_eq(config.application_count, 2);
        web = &config.applications[0];
        cr_expect_str_eq(web->name, "web");
        cr_expect_str_eq(web->type, "external 1");
        expect_processes(&web->processes, 1024, 1024, 15, false);
        expect_strings(web->environment,
                       (const char *const[]){"ZEBRA=1", "APPLE=a=b", "EMPTY=", NULL});
        cr_expect_str_eq(web->working_directory, "/");
        cr_expect_str_eq(web->stdout_path, "/var/log/web.out");
        cr_expect_str_eq(web->stderr_path, "/var/log/web.err");
}

Test(config_valid, options_of_the_module)
{
        const struct config_application *web, *shop, *odd;

        load("everything.json");
        web = &config.applications[0];
        shop = &config.applications[1];
        cr_expect_eq(web->value_count, 3);
        cr_expect_eq(value_of(web, "executable")->type, CLADE_PATH);
        cr_expect_str_eq(value_of(web, "executable")->string, "/usr/bin/env");
        cr_expect_eq(value_of(web, "arguments")->type, CLADE_STRINGS);
        expect_strings(value_of(web, "arguments")->strings,
                       (const char *const[]){"-i", "", "größer", NULL});
        cr_expect_str_eq(value_of(web, "ready")->string, "notify");
        cr_expect_eq(shop->value_count, 1);
        cr_expect_str_eq(shop->module->type, "native");
        cr_expect_str_eq(shop->module->version, "1.2", "the highest version is taken");
        unload();

        load("loose.json");
        cr_expect_str_eq(config.applications[0].module->version, "1.0");
        odd = &config.applications[1];
        cr_expect_str_eq(odd->name, "0._-Z");
        cr_expect_eq(value_of(odd, "level")->integer, -3);
        cr_expect_eq(value_of(odd, "verbose")->type, CLADE_BOOLEAN);
        cr_expect_eq(value_of(odd, "verbose")->integer, 1);
        cr_expect_eq(value_of(&config.applications[2], "verbose")->integer, 0);
}

Test(config_valid, names_are_looked_up_for_their_numbers)
{
        load("everything.json");
        cr_expect_eq(config.applications[0].uid, 0);
        cr_expect_str_eq(config.applications[0].user, "root");
        cr_expect_eq(config.applications[0].gid, 1, "the group daemon is 1 wherever there is one");
        cr_expect_str_eq(config.applications[0].group, "daemon");
        cr_expect_eq(config.applications[1].uid, 0);
        cr_expect_str_eq(config.applications[1].user, "app");
        cr_expect_eq(config.applications[1].gid, 4294967293);
        cr_expect_str_eq(config.applications[1].group, "app");
}

Test(config_valid, isolation)
{
        const struct config_isolation *isolation;

        load("everything.json");
        isolation = &config.applications[0].isolation;
        cr_expect_eq(isolation->namespaces,
                     EVERY_NAMESPACE & ~(uint64_t)(CLONE_NEWTIME | CLONE_NEWCGROUP));
        cr_expect_str_eq(isolation->rootfs, "host");
        cr_expect_eq(isolation->maximum, LADDER_USER);
        cr_expect_eq(isolation->minimum, LADDER_CONFINE);
        cr_expect(isolation->minimum_named);
        cr_expect_eq(isolation->network, CONFIG_NETWORK_NONE);
        cr_expect(isolation->unix_clients);
        cr_expect_str_eq(isolation->seccomp, "/etc/clade/web.json");
        cr_expect(isolation->deny_write_execute);
        cr_expect(isolation->uid_map.given && isolation->gid_map.given);
        cr_assert_eq(isolation->uid_map.count, 2);
        cr_expect_eq(isolation->uid_map.extents[0].size, 1000);
        cr_expect_eq(isolation->uid_map.extents[1].container, 4294967293);
        cr_expect_eq(isolation->uid_map.extents[1].host, 4294967293);
        cr_assert_eq(isolation->gid_map.count, 1);
        cr_expect_eq(isolation->gid_map.extents[0].container, 1);
        cr_assert_eq(isolation->mount_count, 4);
        cr_expect_str_eq(isolation->mounts[0].destination, "/data");
        cr_expect_null(isolation->mounts[0].type);
        cr_expect_str_eq(isolation->mounts[0].source, "/srv/data");
        expect_strings(isolation->mounts[0].options, (const char *const[]){"ro", "noexec", NULL});
        cr_expect_str_eq(isolation->mounts[0].pointer, "/applications/web/isolation/mounts/0");
        cr_expect_str_eq(isolation->mounts[1].type, "tmpfs");
        cr_expect_str_eq(isolation->mounts[2].type, "proc");
        cr_expect_null(isolation->mounts[2].source);
        expect_strings(isolation->mounts[2].options, (const char *const[]){NULL});
        cr_expect_str_eq(isolation->mounts[3].source, "/");
}

Test(config_valid, the_hosts_network_is_no_namespace)
{
        const struct config_isolation *isolation;

        load("everything.json");
        isolation = &config.applications[1].isolation;
        cr_expect_eq(isolation->network, CONFIG_NETWORK_HOST);
        cr_expect_eq(isolation->namespaces, EVERY_NAMESPACE & ~(uint64_t)CLONE_NEWNET);
        cr_expect_str_eq(isolation->rootfs, "/srv/roots/debian");
        unload();

        load("loose.json");
        isolation = &config.applications[0].isolation;
        cr_expect_eq(isolation->namespaces, 0);
        cr_expect_eq(isolation->network, CONFIG_NETWORK_HOST, "as the ancestor has it");
        cr_expect_null(isolation->rootfs, "no mount namespace, no root");
        cr_expect_eq(config.applications[2].isolation.network, CONFIG_NETWORK_HOST);
}

Test(config_valid, limits_and_scheduling)
{
        const struct config_limits *limits;

        load("locks.json");
        limits = &config.applications[0].limits;
        cr_expect(limits->has_nice && limits->has_oom_score);
        cr_expect_eq(limits->nice, -20);
        cr_expect_eq(limits->oom_score, -1000);
        cr_assert_eq(limits->cpu_words, 128);
        cr_expect_eq(limits->cpus[0], 0xb);
        cr_expect_eq(limits->cpus[1], 3);
        cr_expect_eq(limits->cpus[2], 0);
        cr_expect_eq(limits->cpus[127], 1ull << 63);
        cr_assert_eq(limits->rlimit_count, 2);
        cr_expect_str_eq(limits->rlimits[0].name, "RLIMIT_NOFILE");
        cr_expect_eq(limits->rlimits[0].resource, RLIMIT_NOFILE);
        cr_expect_eq(limits->rlimits[0].hard, 4096);
        cr_expect_eq(limits->rlimits[1].soft, INT64_MAX);
        cr_expect_eq(limits->rlimits[1].hard, RLIM_INFINITY);
}

/* An ambient capability is inheritable as well; what is blocked is not in the bounding set. */
Test(config_valid, what_is_about_namespaces_of_its_own)
{
        const struct config_isolation *isolation;

        load("locks.json");
        isolation = &config.applications[0].isolation;
        cr_expect_eq(isolation->network, CONFIG_NETWORK_LOOPBACK);
        cr_expect(isolation->namespaces & CLONE_NEWNET);
        cr_expect_eq(isolation->capabilities.ambient, 1u << CAP_NET_BIND_SERVICE);
        cr_expect_eq(isolation->capabilities.inheritable,
                     1u << CAP_NET_BIND_SERVICE | 1u << CAP_CHOWN);
        cr_expect_eq(isolation->capabilities.bounding, 1u << CAP_NET_BIND_SERVICE);
        cr_expect_str_eq(isolation->hostname, "shop-1.example");
        cr_expect(isolation->time_offsets.given);
        cr_expect_eq(isolation->time_offsets.monotonic, 0);
        cr_expect_eq(isolation->time_offsets.boottime, -5);
}

Test(config_valid, landlock)
{
        const struct config_landlock *landlock;

        load("locks.json");
        landlock = &config.applications[0].isolation.landlock;
        cr_expect(landlock->has_paths && landlock->audit);
        cr_assert_eq(landlock->path_count, 2);
        cr_expect_str_eq(landlock->paths[0].path, "/");
        cr_expect_eq(landlock->paths[0].rights, LANDLOCK_ACCESS_FS_READ_FILE |
                                                        LANDLOCK_ACCESS_FS_READ_DIR |
                                                        LANDLOCK_ACCESS_FS_EXECUTE);
        cr_expect_not(landlock->paths[1].rights & landlock->paths[0].rights);
        cr_expect(landlock->paths[1].rights & LANDLOCK_ACCESS_FS_TRUNCATE);
        cr_expect_not(landlock->paths[1].rights & LANDLOCK_ACCESS_FS_MAKE_BLOCK);
        cr_expect(landlock->bind.given && landlock->connect.given);
        cr_assert_eq(landlock->bind.count, 2);
        cr_expect_eq(landlock->bind.list[1], 65535);
        cr_expect_eq(landlock->connect.count, 0);
        cr_expect_eq(landlock->scopes, LANDLOCK_SCOPE_SIGNAL | LANDLOCK_SCOPE_ABSTRACT_UNIX_SOCKET);
}

Test(config_valid, settings_of_http)
{
        load("requests.json");
        cr_expect_eq(config.settings.http.header_read_timeout, 1);
        cr_expect_eq(config.settings.http.body_read_timeout, 3600);
        cr_expect_eq(config.settings.http.send_timeout, 5);
        cr_expect_eq(config.settings.http.idle_timeout, 6);
        cr_expect_eq(config.settings.http.max_body_size, 16u << 20);
}

Test(config_valid, processes_and_what_they_serve)
{
        load("requests.json");
        cr_assert_eq(config.application_count, 4);
        expect_processes(&config.applications[0].processes, 8, 0, 86400, true);
        expect_processes(&config.applications[1].processes, 1024, 1, 15, true);
        expect_processes(&config.applications[2].processes, 1, 1, 15, true);
        expect_processes(&config.applications[3].processes, 7, 7, 15, false);
        cr_expect_eq(config.applications[0].limits.requests, 1000000000000);
        cr_expect_eq(config.applications[0].limits.timeout, 86400);
        cr_expect_eq(config.applications[1].limits.requests, 1);
        cr_expect_eq(config.applications[1].limits.timeout, 1);
}

Test(config_valid, a_path_is_a_list_of_one)
{
        const struct config_value *path;

        load("requests.json");
        path = value_of(&config.applications[0], "path");
        cr_expect_eq(path->type, CLADE_PATHS);
        expect_strings(path->strings, (const char *const[]){"/srv/site", "/srv/lib", NULL});
        path = value_of(&config.applications[2], "path");
        cr_expect_eq(path->type, CLADE_PATHS);
        expect_strings(path->strings, (const char *const[]){"/srv/one", NULL});
}

/* In the file's order; within a target in the module's. */
Test(config_valid, members_of_targets_are_values)
{
        static const struct {
                const char *name, *string;
        } expected[] = {
                {"path", NULL},
                {"targets/blog/module", "blog.wsgi"},
                {"targets/blog/callable", "app"},
                {"targets/blog/prefix", "/blog"},
                {"targets/a.b_c-1/module", "other"},
        };
        const struct config_application *site;

        load("requests.json");
        site = &config.applications[0];
        cr_assert_eq(site->value_count, ARRAY_SIZE(expected));
        for (size_t i = 1; i < ARRAY_SIZE(expected); i++) {
                cr_expect_str_eq(site->values[i].name, expected[i].name);
                cr_expect_eq(site->values[i].type, CLADE_TARGETS);
                cr_expect_str_eq(site->values[i].string, expected[i].string);
                cr_expect_null(site->values[i].strings);
        }
}

/* Also where the listeners are before the applications in the file. */
Test(config_valid, listeners_lead_to_targets)
{
        load("requests.json");
        cr_assert_eq(config.listener_count, 3);
        cr_expect_eq(config.listeners[0].application, 0);
        cr_expect_str_eq(config.listeners[0].target, "blog");
        cr_expect_str_eq(config.listeners[1].target, "a.b_c-1");
        cr_expect_eq(config.listeners[2].application, 1);
        cr_expect_null(config.listeners[2].target);
}
