#include <criterion/criterion.h>
#include <string.h>
#include <unistd.h>

#include "runtime/paths/paths.h"
#include "runtime/paths/places.h"

/* Which parts a program uses depends on where it is, and on nothing else. */
static const struct {
        const char *self;
        bool built;
} rows[] = {
        {BUILD_ROOT "/runtime/cli/clade", true},
        {BUILD_ROOT "/tests/unit/test_paths", true},
        {BUILD_ROOT "/root/usr/bin/clade", false}, /* installed below the build tree */
        {BUILD_ROOT "-other/runtime/cli/clade", false},
        {"/usr/bin/clade", false},
        {"/usr/bin/clade (deleted)", false},
};

Test(paths, by_place)
{
        for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
                struct error error = ERROR_INIT;
                struct paths paths;

                cr_assert_eq(paths_for(rows[i].self, &paths, &error), 0, "%s", error.text);
                cr_expect_str_eq(paths.templates, rows[i].built ? SOURCE_ROOT "/rootfs-templates"
                                                                : TEMPLATE_DIRECTORY);
                cr_expect_str_eq(paths.profiles, rows[i].built ? SOURCE_ROOT "/seccomp-profiles"
                                                               : PROFILE_DIRECTORY);
                cr_expect_eq(strncmp(paths.prototype, BUILD_ROOT "/", strlen(BUILD_ROOT "/")) == 0,
                             rows[i].built, "%s", paths.prototype);
                paths_finish(&paths);
        }
}

Test(paths, ours_are_there)
{
        struct error error = ERROR_INIT;
        struct paths paths;

        cr_assert_eq(paths_find(&paths, &error), 0, "%s", error.text);
        cr_expect_eq(access(paths.templates, R_OK | X_OK), 0, "%s", paths.templates);
        cr_expect_eq(access(paths.profiles, R_OK | X_OK), 0, "%s", paths.profiles);
        cr_expect_eq(paths.prototype[0], '/');
        paths_finish(&paths);
}
