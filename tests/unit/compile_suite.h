/* What a file of tests of the compiler begins with: a fixture that is fresh for each test, and what must come of
 * compiling it. */
#pragma once

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "compile_fixture.h"

static struct fixture fixture;

/* The .init and .fini of a TestSuite. */
static inline void setup(void)
{
        fixture_init(&fixture);
}

static inline void teardown(void)
{
        fixture_finish(&fixture);
}

static inline void must_compile(void)
{
        cr_assert_eq(fixture_compile(&fixture), 0, "%s", fixture.error.text);
}

/* `pointer` leads from the application to what is refused; `text` is in the reason, beside which is a remedy. */
static inline void must_refuse(const char *pointer, const char *text)
{
        char place[128];

        snprintf(place, sizeof(place), "configuration /applications/a%s: ", pointer);
        cr_assert_lt(fixture_compile(&fixture), 0, "it compiled, expected: %s", text);
        cr_expect_eq(strncmp(fixture.error.text, place, strlen(place)), 0, "%s",
                     fixture.error.text);
        cr_expect(strstr(fixture.error.text, text), "%s", fixture.error.text);
        cr_expect(fixture.error.remedy[0], "no remedy for: %s", fixture.error.text);
}
