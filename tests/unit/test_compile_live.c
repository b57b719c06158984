/* Compiled plans carried out: what is visible inside the real templates, and what can be written. */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/own.h"
#include "compile_suite.h"
#include "isolation/clone.h"

TestSuite(compile_live, .init = setup, .fini = teardown, .timeout = 60);

static void on_failed(void *context, bool arranged, enum isolation_step_id step,
                      const struct error *error)
{
        (void)context;
        dprintf(arranged ? 1 : 2, "step %s: %s\n", isolation_step_name(step), error->text);
}

/* Compiles, clones, lets the probe try; its answers are in `answers`. */
static void inside(const char *const *arguments, char *answers, size_t room)
{
        char *environment[] = {(char *)"ASAN_OPTIONS=detect_leaks=0", NULL};
        cleanup_fd int executable = open(PROBE, O_RDONLY | O_CLOEXEC);
        cleanup_fd int launch = -1, null = -1, reader = -1, pidfd = -1;
        enum isolation_step_id step = 0;
        struct isolation_clone clone;
        int pipes[2], descriptors[4], status;
        ssize_t n;
        pid_t pid;

        cr_assert_geq(executable, 0);
        must_compile();
        launch = launch_write(compiled_launch(fixture.compiled));
        cr_assert_geq(launch, 0);
        null = open("/dev/null", O_RDWR | O_CLOEXEC);
        cr_assert_eq(pipe2(pipes, O_CLOEXEC), 0);
        reader = pipes[0];
        descriptors[0] = null;
        descriptors[1] = pipes[1];
        descriptors[2] = pipes[1];
        descriptors[3] = launch;
        clone = (struct isolation_clone){
                .plan = fixture_plan(&fixture),
                .executable = executable,
                .arguments = (char **)arguments,
                .environment = environment,
                .descriptors = descriptors,
                .descriptor_count = 4,
                .first_source = 4,
                .failed = on_failed,
        };
        cr_assert_eq(isolation_clone(&clone, &pid, &pidfd, &step, &fixture.error), 0, "step %s: %s",
                     isolation_step_name(step), fixture.error.text);
        close(pipes[1]);
        n = fd_read_full(reader, answers, room - 1);
        cr_assert_geq(n, 0);
        answers[n] = '\0';
        cr_assert_eq(waitpid(pid, &status, 0), pid);
        cr_expect(WIFEXITED(status) && WEXITSTATUS(status) == 0, "status %x: %s", (unsigned)status,
                  answers);
}

#define INSIDE(answers, ...)                                                                       \
        inside((const char *const[]){"probe", __VA_ARGS__, NULL}, (answers), sizeof(answers))

static void expect(const char *answers, const char *line)
{
        cr_expect(strstr(answers, line), "expected \"%s\" in:\n%s", line, answers);
}

Test(compile_live, minimal)
{
        char answers[4096];

        INSIDE(answers, "r:/etc/passwd", "r:/dev/urandom", "w:/dev/null", "r:/dev/fd", "w:/tmp/x",
               "w:/x", "w:/etc/x", "w:/dev/x", "r:/proc/self/status", "r:/bin/sh", "r:/home",
               "r:/etc/shadow");
        expect(answers, "r:/etc/passwd ok\n");
        expect(answers, "r:/dev/urandom ok\n");
        expect(answers, "w:/dev/null ok\n");
        expect(answers, "r:/dev/fd ok\n");
        expect(answers, "w:/tmp/x ok\n");
        expect(answers, "w:/x EROFS\n");
        expect(answers, "w:/etc/x EROFS\n");
        expect(answers, "w:/dev/x EROFS\n");
        expect(answers, "r:/proc/self/status ok\n");
        expect(answers, "r:/bin/sh ENOENT\n");
        expect(answers, "r:/home ENOENT\n");
        expect(answers, "r:/etc/shadow ENOENT\n");
}

Test(compile_live, host)
{
        char answers[4096];

        fixture.application.isolation.rootfs = (char *)"host";
        INSIDE(answers, "r:/usr/bin/env", "r:/bin/sh", "w:/usr/x", "w:/dev/shm/x", "w:/run/x",
               "w:/var/tmp/x", "w:/etc/hosts", "r:/etc/shadow", "r:/root", "x:/usr/bin/env");
        expect(answers, "r:/usr/bin/env ok\n");
        expect(answers, "r:/bin/sh ok\n");
        expect(answers, "w:/usr/x EROFS\n");
        expect(answers, "w:/dev/shm/x ok\n");
        expect(answers, "w:/run/x ok\n");
        expect(answers, "w:/var/tmp/x ok\n");
        expect(answers, "w:/etc/hosts EROFS\n");
        expect(answers, "r:/etc/shadow ENOENT\n");
        expect(answers, "r:/root ENOENT\n");
        cr_expect_null(strstr(answers, "x:/usr/bin/env"), "exec failed: %s", answers);
}

/* A directory as root, a path of the application in it, and mounts over both. */
Test(compile_live, directory_with_mounts)
{
        char *rw[] = {(char *)"rw", NULL};
        struct config_mount mounts[] = {
                {.destination = (char *)"/srv", .options = rw},
                {.destination = (char *)"/usr/cache", .type = (char *)"tmpfs"},
        };
        char image[128], data[128], answers[4096];

        fixture_directory(&fixture, "image");
        fixture_directory(&fixture, "image/srv");
        fixture_directory(&fixture, "image/usr");
        fixture_directory(&fixture, "image/usr/cache");
        fixture_directory(&fixture, "data");
        cr_assert_eq(symlink("usr", fixture_path(&fixture, "image/lib")), 0);
        fixture_file(&fixture, "image/usr/hello", "hello");
        snprintf(image, sizeof(image), "%s/image", fixture.directory);
        snprintf(data, sizeof(data), "%s/data", fixture.directory);
        /* What an application may write to must belong to its id: here everybody's. */
        cr_assert_eq(chmod(data, 0777), 0);
        cr_assert_eq(chmod(fixture_path(&fixture, "image/usr/hello"), 0666), 0);
        cr_assert_eq(chmod(fixture.directory, 0755), 0);
        mounts[0].source = data;
        fixture.application.isolation.rootfs = image;
        fixture.application.isolation.mounts = mounts;
        fixture.application.isolation.mount_count = 2;
        INSIDE(answers, "r:/lib/hello", "w:/usr/hello", "w:/usr/new", "w:/usr/cache/x", "w:/srv/x",
               "r:/dev/null", "r:/usr/bin");
        expect(answers, "r:/lib/hello ok\n");
        expect(answers, "w:/usr/hello EROFS\n");
        expect(answers, "w:/usr/new EROFS\n");
        expect(answers, "w:/usr/cache/x ok\n");
        expect(answers, "w:/srv/x ok\n");
        expect(answers, "r:/dev/null ok\n");
        expect(answers, "r:/usr/bin ENOENT\n");
        cr_expect_eq(access(fixture_path(&fixture, "data/x"), F_OK), 0, "it was the host's own");
        cr_expect_eq(access(fixture_path(&fixture, "image/usr/cache/x"), F_OK), -1);
}

Test(compile_live, option_paths_and_module_mounts)
{
        struct catalogue_mount mount = {.source = (char *)"/etc/services",
                                        .target = (char *)"/opt/deep/services"};
        struct config_value value = {.name = (char *)"executable", .type = CLADE_PATH};
        char path[128], line[192], answers[4096];

        cr_assert_eq(access(mount.source, R_OK), 0, "this host has no /etc/services");
        cr_assert_eq(chmod(fixture.directory, 0755), 0);
        fixture_file(&fixture, "serve", "#!");
        snprintf(path, sizeof(path), "r:%s/serve", fixture.directory);
        value.string = path + 2;
        fixture.module.mounts = &mount;
        fixture.module.mount_count = 1;
        fixture.application.values = &value;
        fixture.application.value_count = 1;
        fixture.application.working_directory = fixture.directory;
        INSIDE(answers, path, "r:/opt/deep/services");
        snprintf(line, sizeof(line), "%s ok\n", path);
        expect(answers, line);
        expect(answers, "r:/opt/deep/services ok\n");
}
