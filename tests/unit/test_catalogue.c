/* The catalogue's rules: order, versions on part boundaries, duplicates, aliases, the unknown. */
#include <criterion/criterion.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/own.h"
#include "runtime/catalogue/catalogue.h"
#include "runtime/catalogue/text.h"

static struct catalogue_module *module_new(const char *type, const char *version, const char *alias)
{
        struct catalogue_module *module = catalogue_module_create();

        cr_assert_not_null(module);
        module->type = strdup(type);
        module->version = strdup(version);
        module->path = strdup("/somewhere");
        if (alias) {
                module->aliases = calloc(2, sizeof(*module->aliases));
                module->aliases[0] = strdup(alias);
        }
        return module;
}

static void add(struct catalogue *catalogue, const char *type, const char *version,
                const char *alias)
{
        cr_assert_eq(catalogue_add(catalogue, module_new(type, version, alias)), 0);
}

static void fill(struct catalogue *catalogue)
{
        catalogue_init(catalogue);
        add(catalogue, "python", "3.9.2", NULL);
        add(catalogue, "external", "0.1.0", "go");
        add(catalogue, "python", "3.11.2", NULL);
        add(catalogue, "python", "3.1.4", NULL);
        add(catalogue, "python", "2.7", NULL);
}

Test(catalogue, compares_numbers_not_letters)
{
        static const struct {
                const char *a, *b;
                int order;
        } rows[] = {
                {"3", "3", 0},          {"3.11", "3.9", 1},   {"3.9", "3.11", -1},
                {"3.11", "3.11.0", -1}, {"10", "9.9.9", 1},   {"3.011", "3.11", 0},
                {"0", "0.0", -1},       {"2.7", "3", -1},     {"99999999999999999999", "1", 1},
                {"1.2.3", "1.2.4", -1}, {"1.10", "1.2.9", 1}, {"1.0", "1.00", 0},
        };

        for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
                int order = version_compare(rows[i].a, rows[i].b);

                cr_expect_eq((order > 0) - (order < 0), rows[i].order, "%s and %s: %d", rows[i].a,
                             rows[i].b, order);
        }
}

Test(catalogue, matches_on_part_boundaries)
{
        static const struct {
                const char *wanted, *version;
                bool matches;
        } rows[] = {
                {"3.1", "3.1", true},      {"3.1", "3.1.4", true}, {"3.1", "3.11", false},
                {"3", "3.11.2", true},     {"3", "30", false},     {"", "3.11", true},
                {"3.11.2", "3.11", false}, {"3.0", "3", false},    {"03.1", "3.1", true},
        };

        for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
                cr_expect_eq(version_matches(rows[i].wanted, rows[i].version), rows[i].matches,
                             "\"%s\" and %s", rows[i].wanted, rows[i].version);
}

Test(catalogue, knows_a_version_when_it_sees_one)
{
        static const char *const good[] = {"0", "3", "3.11", "1.2.3.4", "007"};
        static const char *const bad[] = {"",    ".",  "3.", ".3", "3..1",
                                          "3.x", "v3", "3 ", "-1", "3.1rc"};

        for (size_t i = 0; i < ARRAY_SIZE(good); i++)
                cr_expect(version_valid(good[i]), "%s", good[i]);
        for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
                cr_expect_not(version_valid(bad[i]), "%s", bad[i]);
}

Test(catalogue, keeps_types_sorted_and_the_highest_first)
{
        static const char *const order[] = {"0.1.0", "3.11.2", "3.9.2", "3.1.4", "2.7"};
        struct catalogue catalogue;

        fill(&catalogue);
        cr_assert_eq(catalogue.count, ARRAY_SIZE(order));
        for (size_t i = 0; i < ARRAY_SIZE(order); i++)
                cr_expect_str_eq(catalogue.modules[i]->version, order[i]);
        catalogue_finish(&catalogue);
}

Test(catalogue, refuses_a_duplicate_and_leaves_it_to_the_caller)
{
        struct catalogue_module *module = module_new("python", "3.011.2", NULL);
        struct catalogue catalogue;

        fill(&catalogue);
        cr_expect_eq(catalogue_add(&catalogue, module), -EEXIST);
        cr_expect_eq(catalogue.count, 5);
        catalogue_module_destroy(module);
        catalogue_finish(&catalogue);
}

Test(catalogue, finds_what_a_type_asks_for)
{
        static const struct {
                const char *type, *found;
        } rows[] = {
                {"python", "3.11.2"},        {"python 3", "3.11.2"},
                {"python 3.1", "3.1.4"},     {"python 2", "2.7"},
                {"python 3.11.2", "3.11.2"}, {"python 3.9", "3.9.2"},
                {"external", "0.1.0"},       {"go", "0.1.0"},
                {"go 0.1", "0.1.0"},
        };
        struct catalogue catalogue;

        fill(&catalogue);
        for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
                struct error error = ERROR_INIT;
                const struct catalogue_module *module =
                        catalogue_find(&catalogue, rows[i].type, &error);

                cr_assert_not_null(module, "%s: %s", rows[i].type, error.text);
                cr_expect_str_eq(module->version, rows[i].found, "%s", rows[i].type);
        }
        catalogue_finish(&catalogue);
}

Test(catalogue, prefers_a_type_to_an_alias)
{
        struct error error = ERROR_INIT;
        struct catalogue catalogue;

        fill(&catalogue);
        add(&catalogue, "go", "1", NULL);
        cr_expect_str_eq(catalogue_find(&catalogue, "go", &error)->type, "go");
        catalogue_finish(&catalogue);
}

Test(catalogue, says_what_there_is_instead)
{
        static const struct {
                const char *type, *says;
        } rows[] = {
                {"python 3.10",
                 "type python has no version 3.10; there is 3.11.2, 3.9.2, 3.1.4, 2.7"},
                {"perl", "no module for type perl; there are modules for external, go, python"},
                {"perl 5", "no module for type perl; there are modules for external, go, python"},
                {"go 2", "type go has no version 2; there is 0.1.0"},
                {"python  3",
                 "\"python  3\" is not a type; expected a name, or a name and a version "
                 "with one space between them, such as \"python 3.11\""},
                {"python 3 ",
                 "\"python 3 \" is not a type; expected a name, or a name and a version "
                 "with one space between them, such as \"python 3.11\""},
                {"", "\"\" is not a type; expected a name, or a name and a version with one space "
                     "between them, such as \"python 3.11\""},
        };
        struct catalogue catalogue;

        fill(&catalogue);
        for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
                struct error error = ERROR_INIT;

                cr_expect_null(catalogue_find(&catalogue, rows[i].type, &error), "%s",
                               rows[i].type);
                cr_expect_eq(error.code, EINVAL);
                cr_expect_str_eq(error.text, rows[i].says);
        }
        catalogue_finish(&catalogue);

        catalogue_init(&catalogue);
        struct error error = ERROR_INIT;
        cr_expect_null(catalogue_find(&catalogue, "python", &error));
        cr_expect_str_eq(error.text, "no module for type python: no modules were found at all");
        cr_expect_neq(error.remedy[0], 0);
}

Test(catalogue, lists_many_types_without_overflow)
{
        struct error error = ERROR_INIT;
        struct catalogue catalogue;
        char type[32];

        catalogue_init(&catalogue);
        for (int i = 0; i < 100; i++) {
                snprintf(type, sizeof(type), "a-rather-long-type-%d", i);
                add(&catalogue, type, "1", "with-an-alias-that-is-long");
        }
        cr_expect_null(catalogue_find(&catalogue, "b", &error));
        cr_expect(strlen(error.text) < 400, "%s", error.text);
        catalogue_finish(&catalogue);
}

Test(text, tells_what_may_be_shown)
{
        static const char *const plain[] = {"", "hello", "naïve", "日本", "\U0001F600", "a|b"};
        static const char *const not_plain[] = {
                "a\nb",
                "\033[31m",
                "\x7f",
                "\xc3",
                "\xc3(",
                "\xc0\xaf",
                "\xed\xa0\x80",
                "\xc2\x85",
                "\xf5\x80\x80\x80",
                "\xe2\x82",
                "\xf4\x90\x80\x80",
        };

        for (size_t i = 0; i < ARRAY_SIZE(plain); i++)
                cr_expect(text_is_plain(plain[i]), "%s", plain[i]);
        for (size_t i = 0; i < ARRAY_SIZE(not_plain); i++)
                cr_expect_not(text_is_plain(not_plain[i]), "row %zu", i);
}

Test(text, shows_anything_in_the_room_there_is)
{
        char copy[8];

        text_show("naïve", 100, copy, sizeof(copy));
        cr_expect_str_eq(copy, "naïve");
        text_show("a\033b\n", 100, copy, sizeof(copy));
        cr_expect_str_eq(copy, "a?b?");
        text_show("0123456789", 100, copy, sizeof(copy));
        cr_expect_str_eq(copy, "012345~");
        text_show("0123456789", 3, copy, sizeof(copy));
        cr_expect_str_eq(copy, "012");
        text_show("0123456", 7, copy, sizeof(copy));
        cr_expect_str_eq(copy, "0123456");
}
