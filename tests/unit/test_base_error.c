#include <criterion/criterion.h>

#include <errno.h>
#include <string.h>

#include "base/error.h"

Test(base_error, says_what_and_why)
{
        struct error error = ERROR_INIT;

        cr_expect_eq(error_set(&error, EACCES, "open of %s", "/srv/x"), -EACCES);
        cr_expect_str_eq(error.text, "open of /srv/x: Permission denied (EACCES)");
        cr_expect_eq(error.code, EACCES);
        cr_expect_str_eq(error.remedy, "");
}

Test(base_error, our_own_words_stand_alone)
{
        struct error error = ERROR_INIT;

        cr_expect_eq(error_say(&error, EINVAL, "no %s", "number"), -EINVAL);
        cr_expect_str_eq(error.text, "no number");
        cr_expect_eq(error.code, EINVAL);
        error_remedy(&error, "count");
        cr_expect_eq(error_say(&error, EPERM, "not for you"), -EPERM);
        cr_expect_str_eq(error.text, "not for you", "whatever the code");
        cr_expect_str_eq(error.remedy, "");
}

/* EINVAL is a word of the kernel's as well. */
Test(base_error, no_errno_is_left_out)
{
        struct error error = ERROR_INIT;

        cr_expect_eq(error_set(&error, EINVAL, "mount"), -EINVAL);
        cr_expect_str_eq(error.text, "mount: Invalid argument (EINVAL)");
}

Test(base_error, context_goes_in_front)
{
        struct error error = ERROR_INIT;

        error_say(&error, EINVAL, "no number");
        cr_expect_eq(error_prefix(&error, "line %d", 3), -EINVAL);
        cr_expect_eq(error_prefix(&error, "%s", "a.json"), -EINVAL);
        cr_expect_str_eq(error.text, "a.json: line 3: no number");
}

Test(base_error, the_innermost_remedy_wins)
{
        struct error error = ERROR_INIT;

        error_set(&error, EPERM, "mount");
        cr_expect_eq(error_remedy(&error, "run as %s", "root"), -EPERM);
        cr_expect_eq(error_remedy(&error, "give up"), -EPERM);
        cr_expect_str_eq(error.remedy, "run as root");
        error_set(&error, EPERM, "mount");
        cr_expect_str_eq(error.remedy, "", "a new error has no old remedy");
}

Test(base_error, long_texts_are_cut)
{
        struct error error = ERROR_INIT;
        char text[2 * ERROR_TEXT_SIZE];

        memset(text, 'x', sizeof(text));
        text[sizeof(text) - 1] = '\0';
        error_set(&error, EPERM, "%s", text);
        cr_expect_eq(strlen(error.text), ERROR_TEXT_SIZE - 1);
        cr_expect_eq(error_prefix(&error, "here"), -EPERM);
        cr_expect_eq(strlen(error.text), ERROR_TEXT_SIZE - 1);
        cr_expect_eq(strncmp(error.text, "here: xxx", 9), 0);
        error_prefix(&error, "%s", text);
        cr_expect_eq(strlen(error.text), ERROR_TEXT_SIZE - 1);
        error_remedy(&error, "%s", text);
        cr_expect_eq(strlen(error.remedy), ERROR_REMEDY_SIZE - 1);
}

/* The reason must not push a text over its end either. */
Test(base_error, a_text_that_just_fits)
{
        struct error error = ERROR_INIT;
        char text[ERROR_TEXT_SIZE];

        for (size_t length = ERROR_TEXT_SIZE - 40; length < ERROR_TEXT_SIZE; length++) {
                memset(text, 'x', length);
                text[length] = '\0';
                error_set(&error, ENOENT, "%s", text);
                cr_assert_lt(strlen(error.text), ERROR_TEXT_SIZE);
                cr_assert_eq(strncmp(error.text, text, length), 0);
        }
}

Test(base_error, numbers_without_a_name)
{
        struct error error = ERROR_INIT;

        cr_expect_str_eq(error_name(EAGAIN), "EAGAIN");
        cr_expect_str_eq(error_name(4000), "E?");
        cr_expect_eq(error_set(&error, 4000, "odd"), -4000);
        cr_expect_str_eq(error.text, "odd: unknown error (E?)");
}
