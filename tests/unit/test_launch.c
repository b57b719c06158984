#include <criterion/criterion.h>

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/own.h"
#include "runtime/protocol/launch.h"

#define HEADER 16 /* magic, version, length */

/* What launch_write makes of a launch with a bit of everything, as bytes; the caller frees them. */
static size_t written(char **ret_image)
{
        static char application[] = "hello", module[] = "external", name[] = "executable";
        static char path[] = "/bin/true", address[] = "127.0.0.1:8080", target[] = "/tmp";
        static char option[] = "-v", empty[] = "", lang[] = "LANG=C.UTF-8", secret[] = "SECRET=x";
        static char member[] = "targets/blog/module", blog[] = "blog";
        static char *strings[] = {option, empty, NULL};
        static char *environment[] = {lang, secret, NULL};
        static struct launch_value values[] = {
                {name, CLADE_PATH, path, -5, NULL},
                {name, CLADE_PATHS, NULL, 0, strings},
                {member, CLADE_TARGETS, empty, 0, NULL},
        };
        static struct launch_listener listeners[] = {{address, blog}, {address, NULL}};
        static struct plan_entry entries[] = {{.kind = PLAN_TMPFS, .target = target}};
        static const struct launch launch = {
                .application = application,
                .module = module,
                .values = values,
                .value_count = ARRAY_SIZE(values),
                .listeners = listeners,
                .listener_count = ARRAY_SIZE(listeners),
                .environment = environment,
                .slot_count = 8,
                .limits = {.requests = UINT64_MAX - 1, .timeout = UINT32_MAX - 1},
                .http = {1, 2, 3, 4, UINT64_C(5) << 32},
                .plan = {.entries = entries, .entry_count = 1, .root = true},
        };
        struct launch copy = launch;
        cleanup_fd int fd = -1;
        char *no_strings[] = {NULL};
        size_t size = 0;

        values[0].strings = values[2].strings = no_strings;
        fd = launch_write(&copy);
        cr_assert_geq(fd, 0, "%d", fd);
        cr_assert_eq(fd_read_file(fd, 1 << 20, ret_image, &size), 0);
        return size;
}

static int decode(const char *image, size_t size, struct launch *launch,
                  struct codec_memory *memory, struct error *error)
{
        cleanup_free char *exact = malloc(size ? size : 1);

        cr_assert(exact);
        memcpy(exact, image, size);
        *error = (struct error)ERROR_INIT;
        return launch_decode(exact, size, launch, memory, error);
}

Test(launch, comes_back_as_it_was)
{
        cleanup_free char *image = NULL;
        size_t size = written(&image);
        struct codec_memory memory;
        struct launch launch;
        struct error error;
        cleanup_fd int fd = fd_sealed("launch", image, size);

        cr_assert_eq(launch_read(fd, &launch, &memory, &error), 0, "%s", error.text);
        cr_expect_str_eq(launch.application, "hello");
        cr_expect_str_eq(launch.module, "external");
        cr_assert_eq(launch.value_count, 3);
        cr_expect_str_eq(launch.values[0].name, "executable");
        cr_expect_str_eq(launch.values[0].string, "/bin/true");
        cr_expect_eq(launch.values[0].integer, -5);
        cr_expect_null(launch.values[0].strings[0]);
        cr_expect_null(launch.values[1].string);
        cr_expect_str_eq(launch.values[1].strings[0], "-v");
        cr_expect_str_eq(launch.values[1].strings[1], "");
        cr_expect_null(launch.values[1].strings[2]);
        cr_assert_eq(launch.listener_count, 2);
        cr_expect_str_eq(launch.values[2].name, "targets/blog/module");
        cr_expect_eq(launch.values[2].type, CLADE_TARGETS);
        cr_expect_str_eq(launch.values[2].string, "");
        cr_expect_str_eq(launch.listeners[0].target, "blog");
        cr_expect_null(launch.listeners[1].target);
        cr_expect_str_eq(launch.listeners[1].address, "127.0.0.1:8080");
        cr_expect_str_eq(launch.environment[1], "SECRET=x");
        cr_expect_null(launch.environment[2]);
        cr_expect_null(launch.working_directory);
        cr_expect_eq(launch.slot_count, 8);
        cr_expect_eq(launch.limits.requests, UINT64_MAX - 1);
        cr_expect_eq(launch.limits.timeout, UINT32_MAX - 1);
        cr_expect_eq(launch.http.header_read_timeout, 1);
        cr_expect_eq(launch.http.body_read_timeout, 2);
        cr_expect_eq(launch.http.send_timeout, 3);
        cr_expect_eq(launch.http.idle_timeout, 4);
        cr_expect_eq(launch.http.max_body_size, UINT64_C(5) << 32);
        cr_assert_eq(launch.plan.entry_count, 1);
        cr_expect_str_eq(launch.plan.entries[0].target, "/tmp");
        codec_memory_finish(&memory);
}

Test(launch, is_sealed)
{
        char *no_strings[] = {NULL};
        char name[] = "a";
        const struct launch launch = {
                .application = name, .module = name, .environment = no_strings};
        cleanup_fd int fd = launch_write(&launch);

        cr_assert_geq(fd, 0);
        cr_expect_eq(fcntl(fd, F_GET_SEALS),
                     F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE);
        cr_expect_eq(fcntl(fd, F_GETFD), FD_CLOEXEC);
}

Test(launch, what_must_be_there)
{
        char *no_strings[] = {NULL};
        char name[] = "a";
        struct launch_listener listener = {NULL};
        struct launch_value value = {.name = NULL, .strings = no_strings};
        const struct launch good = {.application = name, .module = name, .environment = no_strings};
        struct launch bad = good;

        bad.application = NULL;
        cr_expect_eq(launch_write(&bad), -EBADMSG);
        bad = good;
        bad.module = NULL;
        cr_expect_eq(launch_write(&bad), -EBADMSG);
        bad = good;
        bad.slot_count = 4097;
        cr_expect_eq(launch_write(&bad), -EBADMSG);
        bad = good;
        bad.listeners = &listener;
        bad.listener_count = 1;
        cr_expect_eq(launch_write(&bad), -EBADMSG);
        bad = good;
        bad.values = &value;
        bad.value_count = 1;
        cr_expect_eq(launch_write(&bad), -EBADMSG);
}

Test(launch, larger_than_a_launch_may_be)
{
        size_t size = 9u << 20;
        cleanup_free char *text = malloc(size + 1);
        char *environment[] = {text, NULL};
        char name[] = "a";
        const struct launch launch = {
                .application = name, .module = name, .environment = environment};

        cr_assert(text);
        memset(text, 'x', size);
        text[size] = '\0';
        cr_expect_eq(launch_write(&launch), -E2BIG);
}

static void put_u32(char *image, size_t at, uint32_t value)
{
        memcpy(image + at, &value, sizeof(value));
}

Test(launch, headers_that_are_not_ours)
{
        static const struct {
                size_t at;
                uint32_t value;
                const char *text;
        } cases[] = {
                {0, 0x464c457f, "this is no launch"},
                {4, 3, "launch of version 3, where this binary wants 2"},
                {8, 1, "bytes claims 1"},
                {12, 1, "bytes claims"},
        };
        cleanup_free char *image = NULL;
        size_t size = written(&image);

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                cleanup_free char *spoilt = malloc(size);
                struct codec_memory memory;
                struct launch launch;
                struct error error;

                cr_assert(spoilt);
                memcpy(spoilt, image, size);
                put_u32(spoilt, cases[i].at, cases[i].value);
                cr_expect_eq(decode(spoilt, size, &launch, &memory, &error), -EBADMSG);
                cr_expect(strstr(error.text, cases[i].text), "%s", error.text);
                cr_expect_null(memory.base);
                cr_expect_eq(error.remedy[0] != '\0', cases[i].at == 4,
                             "only another version has a remedy");
        }
}

Test(launch, every_truncation_is_refused)
{
        cleanup_free char *image = NULL;
        size_t size = written(&image);
        struct codec_memory memory;
        struct launch launch;
        struct error error;

        for (size_t cut = 0; cut < size; cut++) {
                cr_expect_eq(decode(image, cut, &launch, &memory, &error), -EBADMSG);
                cr_expect_null(memory.base);
                if (cut < HEADER)
                        continue;
                /* ... and with a length that has been corrected */
                put_u32(image, 8, (uint32_t)(cut - HEADER));
                cr_expect_eq(decode(image, cut, &launch, &memory, &error), -EBADMSG);
                cr_expect_null(memory.base);
                cr_expect_null(launch.application, "nothing points into memory that is gone");
                put_u32(image, 8, (uint32_t)(size - HEADER));
        }
        cr_expect_eq(decode(image, size, &launch, &memory, &error), 0, "the whole is good");
        codec_memory_finish(&memory);
}

/* Each word of the image, taken for a count or a length, claims the most. */
Test(launch, hostile_counts)
{
        static const uint32_t hostile[] = {0x100, 0x7fffffff, 0xfffffffe, 0xffffffff};
        cleanup_free char *image = NULL;
        size_t size = written(&image), refused = 0;

        for (size_t at = HEADER; at + 4 <= size; at++)
                for (size_t i = 0; i < ARRAY_SIZE(hostile); i++) {
                        struct codec_memory memory;
                        struct launch launch;
                        struct error error;
                        char saved[4];
                        int r;

                        memcpy(saved, image + at, 4);
                        put_u32(image, at, hostile[i]);
                        r = decode(image, size, &launch, &memory, &error);
                        memcpy(image + at, saved, 4);
                        cr_assert(r == 0 || r == -EBADMSG, "%s", error.text);
                        refused += r != 0;
                        codec_memory_finish(&memory);
                }
        cr_expect_gt(refused, size);
}

Test(launch, descriptors_that_hold_none)
{
        cleanup_fd int empty = fd_sealed("empty", NULL, 0);
        struct codec_memory memory;
        struct launch launch;
        struct error error;
        int pipe_fds[2];

        cr_expect_eq(launch_read(empty, &launch, &memory, &error), -EBADMSG);
        cr_expect_eq(launch_read(-1, &launch, &memory, &error), -EBADF);
        cr_assert_eq(pipe2(pipe_fds, O_CLOEXEC), 0);
        cr_expect_eq(launch_read(pipe_fds[0], &launch, &memory, &error), -EBADMSG);
        cr_expect_null(memory.base);
}
