/* Where the file of a unix socket is made and removed, while its directory's owner plays with the path. */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "base/missing.h"
#include "base/own.h"
#include "listener_fixture.h"
#include "runtime/supervisor/listener_open.h"

#define TENANT 1000

/* A tenant's directory, with the socket's path in its directory "run"; and one that is none of its business,
 * with a stale socket of the same name. */
struct ground {
        struct fixture fixture;
        char run[80], old[80], link[80], victim[80], canary[96];
};

static int bound(const char *path)
{
        struct sockaddr_un address = {.sun_family = AF_UNIX};
        int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

        strcpy(address.sun_path, path);
        cr_assert_eq(bind(fd, (const void *)&address, sizeof(address)), 0, "%s", path);
        return fd;
}

static void configure(struct fixture *fixture, const char *path)
{
        struct sockaddr_un address = {.sun_family = AF_UNIX};

        strcpy(address.sun_path, path);
        snprintf(fixture->address, sizeof(fixture->address), "unix:%s", path);
        memcpy(&fixture->config.socket_address, &address, sizeof(address));
        fixture->config.socket_length =
                (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(path) + 1);
}

static void ground_init(struct ground *ground)
{
        struct fixture *fixture = &ground->fixture;
        char path[96];

        fixture_prepare(fixture, FILE_SOCKET);
        snprintf(ground->run, sizeof(ground->run), "%s/run", fixture->directory);
        snprintf(ground->old, sizeof(ground->old), "%s/old", fixture->directory);
        snprintf(ground->link, sizeof(ground->link), "%s/link", fixture->directory);
        snprintf(ground->victim, sizeof(ground->victim), "%s/victim", fixture->directory);
        snprintf(ground->canary, sizeof(ground->canary), "%s/socket", ground->victim);
        snprintf(path, sizeof(path), "%s/socket", ground->run);
        cr_assert_eq(mkdir(ground->run, 0755), 0);
        cr_assert_eq(mkdir(ground->victim, 0755), 0);
        cr_assert_eq(symlink(ground->victim, ground->link), 0);
        if (geteuid() == 0)
                cr_assert_eq(lchown(ground->link, TENANT, TENANT), 0);
        configure(fixture, path);
}

static void ground_finish(struct ground *ground)
{
        cr_expect_eq(unlink(ground->link), 0);
        cr_expect_eq(rmdir(ground->run), 0, "something is left in %s", ground->run);
        cr_expect_eq(rmdir(ground->victim), 0, "something is left in %s", ground->victim);
        fixture_finish(&ground->fixture);
}

/* What was in the directory is in "old" then, and the path leads to the victim. */
static void divert(const struct ground *ground)
{
        cr_assert_eq(rename(ground->run, ground->old), 0);
        cr_assert_eq(rename(ground->link, ground->run), 0);
}

static void restore(const struct ground *ground)
{
        cr_assert_eq(rename(ground->run, ground->link), 0);
        cr_assert_eq(rename(ground->old, ground->run), 0);
}

static bool same_file(const char *path, const struct stat *st)
{
        struct stat now;

        return lstat(path, &now) == 0 && now.st_ino == st->st_ino && now.st_dev == st->st_dev;
}

Test(listener_file, a_link_of_the_tenant_leads_nowhere)
{
        struct ground ground;
        struct fixture *fixture = &ground.fixture;
        struct stat canary;
        int fd;

        ground_init(&ground);
        fixture_create(fixture);
        divert(&ground);
        close(bound(ground.canary));
        cr_assert_eq(lstat(ground.canary, &canary), 0);

        /* Opened anew, it neither goes there nor clears the way there, and says why. */
        cr_assert_eq(shutdown(listener_fd(fixture->listener), SHUT_RDWR), 0);
        fixture_run(fixture, 200);
        cr_expect(fixture->lost == 1 && fixture->failed == 1);
        cr_expect_eq(fixture->error.code, ELOOP, "%s", fixture->error.text);
        cr_expect(strstr(fixture->error.text, "symbolic link of user"), "%s", fixture->error.text);
        cr_expect(strstr(fixture->error.text, fixture->address), "%s", fixture->error.text);
        cr_expect(fixture->error.remedy[0]);
        cr_expect(same_file(ground.canary, &canary));
        /* The old file was removed where it really was. */
        cr_expect_eq(rmdir(ground.old), 0);
        cr_assert_eq(mkdir(ground.old, 0755), 0);

        restore(&ground);
        fixture_run(fixture, 1300);
        cr_expect_eq(fixture->reopened, 1);
        cr_expect(fixture_serves(fixture, listener_fd(fixture->listener)));

        /* At the end as well; also where the one in its place is alive. */
        divert(&ground);
        cr_assert_eq(unlink(ground.canary), 0);
        fd = bound(ground.canary);
        cr_assert_eq(lstat(ground.canary, &canary), 0);
        fixture->listener = listener_destroy(fixture->listener);
        cr_expect(same_file(ground.canary, &canary));
        close(fd);
        cr_expect_eq(unlink(ground.canary), 0);
        restore(&ground);
        ground_finish(&ground);
}

/* Between the look at the directory and bind(2) there is always time for a swap. */
Test(listener_file, a_race_for_the_directory_leads_nowhere, .timeout = 60)
{
        struct ground ground;
        unsigned opened = 0, refused = 0;
        struct timespec start, now;
        pid_t pid;

        ground_init(&ground);
        pid = fork();
        if (pid == 0)
                for (prctl(PR_SET_PDEATHSIG, SIGKILL);;)
                        renameat2(AT_FDCWD, ground.run, AT_FDCWD, ground.link, RENAME_EXCHANGE);
        clock_gettime(CLOCK_MONOTONIC, &start);
        do {
                struct listener_file file = {0};
                struct error error = ERROR_INIT;
                int fd = listener_open(&ground.fixture.config, &file, &error);

                if (fd < 0) {
                        cr_assert(fd == -ELOOP || fd == -EACCES || fd == -ENOENT, "%s", error.text);
                        refused++;
                } else {
                        opened++;
                        close(fd);
                        listener_unlink(&ground.fixture.config, &file);
                }
                cr_assert_eq(access(ground.canary, F_OK), -1, "after %u rounds", opened + refused);
                clock_gettime(CLOCK_MONOTONIC, &now);
        } while (now.tv_sec - start.tv_sec < 2);
        end_process(pid);
        cr_expect(opened && refused, "opened %u times, refused %u times", opened, refused);
        if (access(ground.link, F_OK) == 0 && rmdir(ground.link) == 0)
                cr_assert(rename(ground.run, ground.link) == 0 && mkdir(ground.run, 0755) == 0);
        ground_finish(&ground);
}

/* Servers find an inherited socket by its address. */
Test(listener_file, the_address_is_the_configured_one)
{
        struct fixture fixture;
        struct sockaddr_un address;
        socklen_t size = sizeof(address);
        char path[108];

        fixture_prepare(&fixture, FILE_SOCKET);
        memset(path, 'x', sizeof(path) - 1);
        path[sizeof(path) - 1] = '\0';
        memcpy(path, fixture.directory, strlen(fixture.directory));
        path[strlen(fixture.directory)] = '/';
        configure(&fixture, path);
        fixture_create(&fixture);
        cr_expect(fixture_serves(&fixture, listener_fd(fixture.listener)));
        cr_assert_eq(getsockname(listener_fd(fixture.listener), (void *)&address, &size), 0);
        cr_expect_eq(size, sizeof(address));
        cr_expect_eq(strncmp(address.sun_path, path, sizeof(address.sun_path)), 0);
        fixture_finish(&fixture);
}

/* A process can be in 16 domains: one more is what a kernel without Landlock says as well. */
static void exhaust_landlock(void)
{
        const struct landlock_ruleset_attr_6 attributes = {
                .handled_access_fs = LANDLOCK_ACCESS_FS_MAKE_BLOCK,
        };
        cleanup_fd int ruleset =
                (int)syscall(SYS_landlock_create_ruleset, &attributes,
                             offsetof(struct landlock_ruleset_attr_6, handled_access_net), 0);

        if (ruleset < 0)
                return;
        cr_assert_eq(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
        while (syscall(SYS_landlock_restrict_self, ruleset, 0) == 0)
                ;
        cr_assert_eq(errno, E2BIG);
}

Test(listener_file, without_landlock_the_file_is_the_same)
{
        struct fixture fixture;
        struct listener_file file = {0};
        struct error error = ERROR_INIT;
        struct sockaddr_un address;
        socklen_t size = sizeof(address);
        struct stat st;
        int fd;

        fixture_prepare(&fixture, FILE_SOCKET);
        exhaust_landlock();
        fd = listener_open(&fixture.config, &file, &error);
        cr_assert_geq(fd, 0, "%s", error.text);
        cr_assert_eq(stat(fixture.address + 5, &st), 0);
        cr_expect(st.st_mode == (S_IFSOCK | 0666) && st.st_ino == file.inode);
        cr_expect(fixture_serves(&fixture, fd));
        cr_assert_eq(getsockname(fd, (void *)&address, &size), 0);
        cr_expect_str_eq(address.sun_path, "socket");
        close(fd);
        listener_unlink(&fixture.config, &file);
        fixture_finish(&fixture);
}

Test(listener_file, a_directory_that_is_not_there)
{
        struct fixture fixture;
        struct listener_file file = {0};
        struct error error = ERROR_INIT;

        fixture_prepare(&fixture, FILE_SOCKET);
        configure(&fixture, "/nowhere/at/all/socket");
        cr_expect_eq(listener_open(&fixture.config, &file, &error), -ENOENT);
        cr_expect(strstr(error.text, "\"nowhere\"") && strstr(error.text, fixture.address), "%s",
                  error.text);
        cr_expect(strstr(error.remedy, "directory must exist"), "%s", error.remedy);
        fixture_finish(&fixture);
}
