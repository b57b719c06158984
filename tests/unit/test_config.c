/* Every kept configuration that is malformed gives the errors that tests/configs/expected.json lists: as
 * many, in that order, at those places, with those words. */
#include <criterion/criterion.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/own.h"
#include "runtime/config/config.h"
#include "runtime/config/reader.h"
#include "tests/unit/config_catalogue.h"

#define MALFORMED_LEAST 100

static const char *text_of(const json_t *object, const char *key)
{
        const char *text = json_string_value(json_object_get(object, key));

        cr_assert_not_null(text, "expected.json has no \"%s\" somewhere", key);
        return text;
}

static void expect_error(const char *file, const json_t *expected, const struct diagnostic *found)
{
        cr_expect_str_eq(found->pointer, text_of(expected, "pointer"), "%s: pointer %s, not %s",
                         file, found->pointer, text_of(expected, "pointer"));
        cr_expect_eq(found->line, json_integer_value(json_object_get(expected, "line")),
                     "%s: line %u: %s", file, found->line, found->text);
        cr_expect_eq(found->column, json_integer_value(json_object_get(expected, "column")),
                     "%s: column %u: %s", file, found->column, found->text);
        cr_expect_not_null(strstr(found->text, text_of(expected, "text")), "%s: \"%s\", not \"%s\"",
                           file, found->text, text_of(expected, "text"));
}

static void expect_errors(const struct catalogue *catalogue, const json_t *entry)
{
        const char *file = text_of(entry, "file");
        const json_t *expected = json_object_get(entry, "errors");
        struct diagnostics diagnostics = {.count = 0};
        struct error error = ERROR_INIT;
        struct config config;
        char path[512];
        int r;

        snprintf(path, sizeof(path), CONFIGS_DIRECTORY "/%s", file);
        r = config_load(path, catalogue, &config, &diagnostics, &error);
        cr_expect_eq(r, -EINVAL, "%s: config_load says %d, %s", file, r, error.text);
        cr_expect_eq(diagnostics.count, json_array_size(expected), "%s: %zu errors, not %zu", file,
                     diagnostics.count, json_array_size(expected));
        for (size_t i = 0; i < diagnostics.count && i < json_array_size(expected); i++) {
                cr_expect_str_eq(diagnostics.list[i].file, path);
                expect_error(file, json_array_get(expected, i), &diagnostics.list[i]);
        }
        cr_expect_null(config.applications, "%s: something is left in the config", file);
        diagnostics_finish(&diagnostics);
}

Test(config, every_malformed_file_gives_the_expected_errors)
{
        struct catalogue catalogue;
        json_error_t error;
        json_t *table = json_load_file(CONFIGS_DIRECTORY "/expected.json", 0, &error), *entry;
        size_t i;

        cr_assert_not_null(table, "expected.json:%d: %s", error.line, error.text);
        cr_expect_geq(json_array_size(table), MALFORMED_LEAST);
        config_catalogue(&catalogue);
        json_array_foreach (table, i, entry) {
                cr_expect_geq(json_array_size(json_object_get(entry, "errors")), 1);
                expect_errors(&catalogue, entry);
        }
        catalogue_finish(&catalogue);
        json_decref(table);
}

Test(config, every_kept_file_is_in_the_table)
{
        json_t *table = json_load_file(CONFIGS_DIRECTORY "/expected.json", 0, NULL), *entry;
        cleanup_dir DIR *directory = opendir(CONFIGS_DIRECTORY);
        size_t files = 0, i;

        cr_assert_not_null(directory);
        for (struct dirent *file; (file = readdir(directory));)
                if (file->d_name[0] >= '0' && file->d_name[0] <= '9') {
                        bool listed = false;

                        json_array_foreach (table, i, entry)
                                listed |= !strcmp(text_of(entry, "file"), file->d_name);
                        cr_expect(listed, "%s is not in expected.json", file->d_name);
                        files++;
                }
        cr_expect_eq(files, json_array_size(table));
        json_decref(table);
}

/* What is too large to be kept as a file is made here. The one error, or NULL. */
static struct diagnostics parse(const char *text, size_t size, int expected)
{
        struct diagnostics diagnostics = {.count = 0};
        struct catalogue catalogue;
        struct config config;
        int r;

        config_catalogue(&catalogue);
        r = config_parse("test.json", text, size, &catalogue, &config, &diagnostics);
        cr_expect_eq(r, expected, "config_parse says %d: %s", r,
                     diagnostics.count ? diagnostics.list[0].text : "");
        if (r == 0)
                config_finish(&config);
        catalogue_finish(&catalogue);
        return diagnostics;
}

static struct diagnostics parse_environment(size_t value_length, int expected)
{
        cleanup_free char *value = calloc(1, value_length + 1), *text = NULL;
        struct diagnostics diagnostics;

        memset(value, 'v', value_length);
        cr_assert_gt(asprintf(&text,
                              "{\"applications\":{\"a\":{\"type\":\"native\",\"library\":\"/a.so\","
                              "\"environment\":{\"LONG\":\"%s\"}}}}",
                              value),
                     0);
        diagnostics = parse(text, strlen(text), expected);
        return diagnostics;
}

Test(config, environment_strings_fit_execve)
{
        struct diagnostics diagnostics = parse_environment(131071 - strlen("LONG="), 0);

        cr_expect_eq(diagnostics.count, 0);
        diagnostics_finish(&diagnostics);
        diagnostics = parse_environment(131072 - strlen("LONG="), -EINVAL);
        cr_assert_eq(diagnostics.count, 1);
        cr_expect_str_eq(diagnostics.list[0].pointer, "/applications/a/environment/LONG");
        cr_expect_not_null(strstr(diagnostics.list[0].text, "has 131072 bytes with its name"));
        diagnostics_finish(&diagnostics);
}

Test(config, a_file_of_the_size_limit_is_read_and_one_byte_more_is_not)
{
        static const char text[] = "{\"applications\":{}}";
        cleanup_free char *large = malloc(CONFIG_FILE_MAX + 1);
        struct diagnostics diagnostics;

        memset(large, ' ', CONFIG_FILE_MAX + 1);
        memcpy(large, text, sizeof(text) - 1);
        diagnostics = parse(large, CONFIG_FILE_MAX, 0);
        diagnostics_finish(&diagnostics);
        diagnostics = parse(large, CONFIG_FILE_MAX + 1, -EINVAL);
        cr_assert_eq(diagnostics.count, 1);
        cr_expect_not_null(strstr(diagnostics.list[0].text, "expected at most 4194304"));
        diagnostics_finish(&diagnostics);
}

/* As many errors as fit into a file: told up to the maximum and then counted, in seconds at most (the
 * test's own limit), not minutes. */
Test(config, a_large_file_full_of_errors_is_refused_quickly, .timeout = 60)
{
        enum { UNKNOWN = 150000, LISTENERS = 2000 };
        cleanup_free char *text = NULL;
        size_t size = 0, expected = UNKNOWN + LISTENERS - READER_FAULTS_MAX;
        FILE *stream = open_memstream(&text, &size);
        struct diagnostics diagnostics;
        char last[64];

        fprintf(stream, "{\"listeners\":{");
        for (int i = 0; i < LISTENERS; i++)
                fprintf(stream, "%s\"*:%d\":{\"pass\":\"applications/%063d\"}", i ? "," : "", i + 1,
                        i);
        fprintf(stream, "},\"applications\":{");
        for (int i = 0; i < LISTENERS; i++)
                fprintf(stream, "%s\"%064d\":{\"type\":\"sample\"}", i ? "," : "", i + 1000000);
        fprintf(stream, ",\"a\":{\"type\":\"sample\"");
        for (int i = 0; i < UNKNOWN; i++)
                fprintf(stream, ",\n\"processe%d\":0", i);
        fprintf(stream, "}}}");
        fclose(stream);
        cr_assert_leq(size, CONFIG_FILE_MAX);

        diagnostics = parse(text, size, -EINVAL);
        cr_assert_eq(diagnostics.count, READER_FAULTS_MAX + 1);
        snprintf(last, sizeof(last), "%zu more errors are not shown", expected);
        cr_expect_not_null(strstr(diagnostics.list[READER_FAULTS_MAX].text, last), "%s",
                           diagnostics.list[READER_FAULTS_MAX].text);
        diagnostics_finish(&diagnostics);
}

/* One error each, though every value below has the long name in its pointer. */
Test(config, long_names_with_much_in_them_are_refused_quickly, .timeout = 60)
{
        enum { NAME = 1 << 20, VALUES = 250000 };
        static const char *const starts[] = {"", "\"listeners\":{", "\"applications\":{"};
        cleanup_free char *name = calloc(1, NAME + 1);

        memset(name, 'n', NAME);
        for (size_t i = 0; i < ARRAY_SIZE(starts); i++) {
                cleanup_free char *text = NULL;
                size_t size = 0;
                FILE *stream = open_memstream(&text, &size);
                struct diagnostics diagnostics;

                fprintf(stream, "{%s\"%s\":{\"a\":0", starts[i], name);
                for (int value = 0; value < VALUES; value++)
                        fprintf(stream, ",\"%d\":0", value);
                fprintf(stream, "}%s%s}", starts[i][0] ? "}" : "",
                        strstr(starts[i], "app") ? "" : ",\"applications\":{}");
                fclose(stream);
                cr_assert_leq(size, CONFIG_FILE_MAX, "%zu", size);
                diagnostics = parse(text, size, -EINVAL);
                cr_expect_eq(diagnostics.count, 1);
                diagnostics_finish(&diagnostics);
        }
}

static void expect_unreadable(const char *path, int code, const char *words)
{
        struct diagnostics diagnostics = {.count = 0};
        struct error error = ERROR_INIT;
        struct catalogue catalogue;
        struct config config;

        config_catalogue(&catalogue);
        cr_expect_eq(config_load(path, &catalogue, &config, &diagnostics, &error), -code);
        cr_expect_eq(error.code, code);
        cr_expect_not_null(strstr(error.text, words), "%s", error.text);
        cr_expect_str_not_empty(error.remedy);
        cr_expect_eq(diagnostics.count, 0);
        catalogue_finish(&catalogue);
}

Test(config, what_cannot_be_read_is_an_error_of_its_own)
{
        char path[] = "/tmp/clade-test-config-XXXXXX";
        cleanup_fd int fd = mkstemp(path);

        expect_unreadable("/nowhere/clade.json", ENOENT, "/nowhere/clade.json");
        expect_unreadable("/tmp", EISDIR, "/tmp");
        cr_assert_geq(fd, 0);
        cr_assert_eq(ftruncate(fd, (off_t)CONFIG_FILE_MAX + 1), 0);
        expect_unreadable(path, EFBIG, path);
        unlink(path);
}

/* Whatever a file holds, what is said about it is safe to print. */
Test(config, messages_hold_no_control_characters)
{
        static const char text[] =
                "{\"applications\":{\"a\\n\\u001b[31m\\u009b\":{\"type\":\"b\\r\\u007f\"}}}";
        struct diagnostics diagnostics = parse(text, sizeof(text) - 1, -EINVAL);

        cr_expect_eq(diagnostics.count, 2);
        for (size_t i = 0; i < diagnostics.count; i++)
                for (int pass = 0; pass < 2; pass++) {
                        const char *shown =
                                pass ? diagnostics.list[i].pointer : diagnostics.list[i].text;

                        for (; *shown; shown++)
                                cr_expect((unsigned char)*shown >= 0x20 && *shown != 0x7f &&
                                          (unsigned char)*shown != 0x9b);
                }
        diagnostics_finish(&diagnostics);
}
