#include "tests/unit/profile_fixture.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "base/own.h"
#include "runtime/profile/profile.h"

struct seccomp_profile profile_own(const char *name)
{
        struct seccomp_profile profile;
        struct error error = ERROR_INIT;
        cleanup_fd int fd = -1;
        char path[256];

        snprintf(path, sizeof(path), "%s/%s.json", PROFILES, name);
        fd = open(path, O_RDONLY | O_CLOEXEC);
        cr_assert_geq(fd, 0, "%s", path);
        cr_assert_eq(profile_read(fd, path, &profile, &error), 0, "%s", error.text);
        return profile;
}

struct seccomp_profile profile_from(const char *json)
{
        struct diagnostics diagnostics = {.count = 0};
        struct seccomp_profile profile;
        int r = profile_parse("test.json", json, strlen(json), &profile, &diagnostics);

        cr_assert_eq(r, 0, "%s: %s", json, diagnostics.count ? diagnostics.list[0].text : "");
        diagnostics_finish(&diagnostics);
        return profile;
}
