/* Every kept profile that is malformed gives the errors that tests/profiles/expected.txt lists, and every good one
 * is read. A line is: the file, the place, the pointer, a part of the text. */
#include <criterion/criterion.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/seccomp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/own.h"
#include "runtime/profile/profile.h"

static int parse(const char *name, struct seccomp_profile *profile, struct diagnostics *diagnostics)
{
        cleanup_fd int fd = -1;
        cleanup_free char *text = NULL;
        char path[512];
        size_t size;

        snprintf(path, sizeof(path), PROFILES "/%s", name);
        fd = open(path, O_RDONLY | O_CLOEXEC);
        cr_assert_geq(fd, 0, "%s", path);
        cr_assert_eq(fd_read_file(fd, PROFILE_FILE_MAX, &text, &size), 0);
        return profile_parse(name, text, size, profile, diagnostics);
}

/* Takes the next line that begins with the file's name out of the table. */
static void expect_line(FILE *table, const struct diagnostic *found)
{
        char line[512], place[32], *text;
        int place_length = snprintf(place, sizeof(place), "%u:%u: ", found->line, found->column);

        cr_assert(fgets(line, sizeof(line), table), "%s has more errors than are listed: %s",
                  found->file, found->text);
        line[strcspn(line, "\n")] = '\0';
        cr_assert_eq(strncmp(line, found->file, strlen(found->file)), 0,
                     "expected \"%s\", found %s:%s%s: %s", line, found->file, place, found->pointer,
                     found->text);
        text = line + strlen(found->file) + 1;
        cr_expect_eq(strncmp(text, place, (size_t)place_length), 0, "%s: found at %s", line, place);
        text += place_length;
        cr_expect_eq(strncmp(text, found->pointer, strlen(found->pointer)), 0, "%s: pointer %s",
                     line, found->pointer);
        text += strlen(found->pointer) + 2;
        cr_expect(strstr(found->text, text), "\"%s\" is not in \"%s\"", text, found->text);
}

static int is_json(const struct dirent *entry)
{
        const char *dot = strrchr(entry->d_name, '.');

        return dot && strcmp(dot, ".json") == 0;
}

Test(profile, every_malformed_file_gives_the_expected_errors)
{
        cleanup_file FILE *table = fopen(PROFILES "/expected.txt", "re");
        struct dirent **files;
        char rest[8];
        int count = scandir(PROFILES, &files, is_json, alphasort);

        cr_assert(table);
        cr_assert_geq(count, 50);
        for (int i = 0; i < count; i++) {
                struct diagnostics diagnostics = {.count = 0};
                struct seccomp_profile profile = {.file = NULL};

                cr_assert_eq(parse(files[i]->d_name, &profile, &diagnostics), -EINVAL, "%s",
                             files[i]->d_name);
                cr_expect_null(profile.file);
                cr_assert_geq(diagnostics.count, 1);
                for (size_t k = 0; k < diagnostics.count; k++)
                        expect_line(table, &diagnostics.list[k]);
                diagnostics_finish(&diagnostics);
                free(files[i]);
        }
        free(files);
        cr_expect_null(fgets(rest, sizeof(rest), table), "listed, and no file: %s", rest);
}

Test(profile, good_ones_are_read)
{
        static const struct {
                const char *name;
                size_t rules;
                uint32_t action, flags;
        } rows[] = {
                {"valid/docker-form.json", 5, SECCOMP_ERRNO, 0},
                {"valid/runtime-form.json", 2, SECCOMP_ALLOW, SECCOMP_FILTER_FLAG_LOG},
                {"valid/least.json", 0, SECCOMP_KILL_THREAD, 0},
        };

        for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
                struct diagnostics diagnostics = {.count = 0};
                struct seccomp_profile profile;

                cr_assert_eq(parse(rows[i].name, &profile, &diagnostics), 0, "%s", rows[i].name);
                cr_expect_eq(profile.rule_count, rows[i].rules);
                cr_expect_eq(profile.default_action.kind, rows[i].action);
                cr_expect_eq(profile.flags, rows[i].flags);
                seccomp_profile_finish(&profile);
        }
}

Test(profile, what_is_wrong_with_a_file_is_one_error)
{
        cleanup_fd int several = open(PROFILES "/060-several.json", O_RDONLY | O_CLOEXEC);
        cleanup_fd int zero = open("/dev/zero", O_RDONLY | O_CLOEXEC);
        struct seccomp_profile profile = {.file = NULL};
        struct error error = ERROR_INIT;

        cr_assert_eq(profile_read(several, "x.json", &profile, &error), -EINVAL);
        cr_expect(strstr(error.text, "x.json:5:26: /syscalls/1/names/1: found the number 1"), "%s",
                  error.text);
        cr_expect(strstr(error.remedy, "2 more errors of this profile are not shown"), "%s",
                  error.remedy);
        cr_assert_eq(profile_read(zero, "zero", &profile, &error), -EFBIG);
        cr_expect(strstr(error.remedy, "at most 1048576 bytes"), "%s", error.remedy);
}
