/* When memory is short at any one moment, reading a configuration says so: it neither falls over nor
 * passes off half a configuration as a whole one.
 *
 * The linker leads the allocations of the config library through here (--wrap), and the n-th one fails,
 * for every n that there is. jansson's own are left alone: 2.14 takes no notice of some that fail. Leaks
 * show in the sanitized build. */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/own.h"
#include "runtime/config/config.h"
#include "tests/unit/config_catalogue.h"

static struct {
        bool armed;
        size_t count, fail_at;
} allocations;

static bool refused(void)
{
        return allocations.armed && allocations.count++ == allocations.fail_at;
}

/* clang-format off: each is the library's function, refused or not */
#define WRAP(result, name, parameters, arguments)                                                  \
        result __real_##name parameters;                                                           \
        result __wrap_##name parameters;                                                           \
        result __wrap_##name parameters                                                            \
        {                                                                                          \
                if (refused()) {                                                                   \
                        errno = ENOMEM;                                                            \
                        return NULL;                                                               \
                }                                                                                  \
                return __real_##name arguments;                                                    \
        }

WRAP(void *, malloc, (size_t size), (size))
WRAP(void *, calloc, (size_t count, size_t size), (count, size))
WRAP(void *, realloc, (void *old, size_t size), (old, size))
WRAP(void *, reallocarray, (void *old, size_t count, size_t size), (old, count, size))
WRAP(char *, strdup, (const char *text), (text))
/* clang-format on */

/* How many allocations it took until none failed any more. */
static size_t starve(const char *file, int expected)
{
        cleanup_fd int fd = open(file, O_RDONLY | O_CLOEXEC);
        cleanup_free char *text = NULL;
        struct catalogue catalogue;
        size_t size, fail_at = 0;

        cr_assert_geq(fd, 0, "%s", file);
        cr_assert_eq(fd_read_file(fd, CONFIG_FILE_MAX, &text, &size), 0);
        config_catalogue(&catalogue);
        for (;; fail_at++) {
                struct diagnostics diagnostics = {.count = 0};
                struct config config;
                int r;

                allocations.count = 0;
                allocations.fail_at = fail_at;
                allocations.armed = true;
                r = config_parse(file, text, size, &catalogue, &config, &diagnostics);
                allocations.armed = false;
                if (r == 0)
                        config_finish(&config);
                cr_expect(r == -ENOMEM || (r == -EINVAL) == (diagnostics.count > 0));
                diagnostics_finish(&diagnostics);
                if (allocations.count <= fail_at) {
                        cr_expect_eq(r, expected, "%s: %d", file, r);
                        break;
                }
                cr_expect_eq(r, -ENOMEM, "%s: %d after allocation %zu failed", file, r, fail_at);
        }
        catalogue_finish(&catalogue);
        return fail_at;
}

Test(config_memory, a_good_file, .timeout = 60)
{
        cr_expect_gt(starve(CONFIGS_DIRECTORY "/valid/everything.json", 0), 50);
        cr_expect_gt(starve(CONFIGS_DIRECTORY "/valid/locks.json", 0), 20);
}

Test(config_memory, files_with_errors, .timeout = 60)
{
        json_t *table = json_load_file(CONFIGS_DIRECTORY "/expected.json", 0, NULL), *entry;
        size_t i;

        cr_assert_not_null(table);
        json_array_foreach (table, i, entry) {
                char path[512];

                /* a few of each kind; the last ones have the most errors */
                if (i % 10 && i + 5 < json_array_size(table))
                        continue;
                snprintf(path, sizeof(path), CONFIGS_DIRECTORY "/%s",
                         json_string_value(json_object_get(entry, "file")));
                cr_expect_gt(starve(path, -EINVAL), 0);
        }
        json_decref(table);
}
