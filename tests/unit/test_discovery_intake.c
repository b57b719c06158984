/* What the supervisor makes of clade-discovery's messages: the table per phase, then every field. The other
 * side has run a module's code, so anything may come. */
#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/own.h"
#include "runtime/catalogue/intake.h"
#include "runtime/protocol/messages.h" /* MESSAGE_INIT */

static const struct discovery_confined confined =
        MESSAGE_INIT(DISCOVERY_CONFINED, struct discovery_confined);
static const struct discovery_done done = MESSAGE_INIT(DISCOVERY_DONE, struct discovery_done);
static const struct discovery_module module = {
        .header = {DISCOVERY_MODULE, sizeof(module)},
        .type = "mine",
        .version = "1.2",
        .aliases = 1,
        .options = 2,
        .mounts = 1,
};
static const struct discovery_alias alias = {
        .header = {DISCOVERY_ALIAS, sizeof(alias)},
        .name = "ours",
};
static const struct discovery_option option = {
        .header = {DISCOVERY_OPTION, sizeof(option)},
        .name = "speed",
        .type = CLADE_STRING,
        .required = 1,
        .choices = "slow|fast",
        .help = "how",
};
static const struct discovery_mount mount = {
        .header = {DISCOVERY_MOUNT, sizeof(mount)},
        .source = "/usr/lib",
        .target = "/lib",
};

#define TAKE(intake, message, error) intake_packet((intake), &(message), sizeof(message), (error))

/* An intake that has come to describing. */
static void begin(struct intake *intake)
{
        struct error error = ERROR_INIT;

        intake_init(intake);
        cr_assert_eq(TAKE(intake, confined, &error), 0, "%s", error.text);
        cr_assert_eq(TAKE(intake, module, &error), 0, "%s", error.text);
}

Test(intake, takes_a_whole_module)
{
        struct discovery_option other = option;
        struct error error = ERROR_INIT;
        struct intake intake;

        begin(&intake);
        strcpy(other.name, "size");
        other.type = CLADE_INTEGER;
        other.choices[0] = other.help[0] = '\0';
        other.minimum = INT64_MIN;
        other.maximum = INT64_MAX;
        cr_expect_eq(TAKE(&intake, mount, &error), 0, "%s", error.text);
        cr_expect_eq(TAKE(&intake, option, &error), 0, "%s", error.text);
        cr_expect_eq(TAKE(&intake, alias, &error), 0, "%s", error.text);
        cr_expect_eq(TAKE(&intake, other, &error), 0, "%s", error.text);
        cr_expect_eq(intake.phase, DISCOVERY_DESCRIBING);
        cr_expect_eq(TAKE(&intake, done, &error), 0, "%s", error.text);
        cr_expect_eq(intake.phase, DISCOVERY_ENDED);
        cr_assert_not_null(intake.module);
        cr_expect_eq(intake.module->option_count, 2);
        cr_expect_eq(intake.module->options[1].minimum, INT64_MIN);
        cr_expect_null(intake.module->options[1].choices);
        cr_expect_str_eq(intake.module->mounts[0].target, "/lib");
        intake_finish(&intake);
}

/* Which message may come in which phase: the whole table, spelled out here once more. */
Test(intake, allows_each_message_in_its_phases_only)
{
        static const struct {
                const char *name;
                const void *message;
                size_t size;
                bool allowed[3]; /* confining, loading, describing */
        } rows[] = {
                {"confined", &confined, sizeof(confined), {true, false, false}},
                {"module", &module, sizeof(module), {false, true, false}},
                {"alias", &alias, sizeof(alias), {false, false, true}},
                {"option", &option, sizeof(option), {false, false, true}},
                {"mount", &mount, sizeof(mount), {false, false, true}},
        };

        for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
                for (unsigned phase = 0; phase < 3; phase++) {
                        struct error error = ERROR_INIT;
                        struct intake intake;
                        int r;

                        intake_init(&intake);
                        if (phase > 0)
                                cr_assert_eq(TAKE(&intake, confined, &error), 0);
                        if (phase > 1)
                                cr_assert_eq(TAKE(&intake, module, &error), 0);
                        r = intake_packet(&intake, rows[i].message, rows[i].size, &error);
                        cr_expect_eq(r, rows[i].allowed[phase] ? 0 : -EBADMSG,
                                     "%s in phase %u: %d %s", rows[i].name, phase, r, error.text);
                        if (r < 0) {
                                cr_expect_null(intake.module);
                                cr_expect_eq(intake.phase, DISCOVERY_ENDED);
                        }
                        intake_finish(&intake);
                }
        }
}

Test(intake, takes_nothing_after_the_end)
{
        struct discovery_module empty = module;
        struct error error = ERROR_INIT;
        struct intake intake;

        empty.aliases = empty.options = empty.mounts = 0;
        intake_init(&intake);
        cr_assert_eq(TAKE(&intake, confined, &error), 0);
        cr_assert_eq(TAKE(&intake, empty, &error), 0);
        cr_assert_eq(TAKE(&intake, done, &error), 0);
        cr_expect_eq(TAKE(&intake, done, &error), -EBADMSG);
        cr_expect_eq(TAKE(&intake, alias, &error), -EBADMSG);
        intake_finish(&intake);
}

Test(intake, wants_what_was_announced)
{
        struct error error = ERROR_INIT;
        struct intake intake;

        begin(&intake);
        cr_expect_eq(TAKE(&intake, done, &error), -EBADMSG);
        cr_expect_not_null(strstr(error.text, "announced 1 aliases, 2 options and 1 mounts, and "
                                              "sent 0, 0 and 0"),
                           "%s", error.text);
        cr_expect_null(intake.module);

        begin(&intake);
        cr_expect_eq(TAKE(&intake, alias, &error), 0);
        cr_expect_eq(TAKE(&intake, alias, &error), -EBADMSG);
        cr_expect_not_null(strstr(error.text, "announced 1 aliases and sent more"), "%s",
                           error.text);
        begin(&intake);
        cr_expect_eq(TAKE(&intake, mount, &error), 0);
        cr_expect_eq(TAKE(&intake, mount, &error), -EBADMSG);
}

Test(intake, refuses_other_sizes)
{
        struct error error = ERROR_INIT;
        struct discovery_alias lying = alias;
        struct intake intake;

        begin(&intake);
        cr_expect_eq(intake_packet(&intake, &alias, sizeof(alias) - 1, &error), -EBADMSG);
        begin(&intake);
        lying.header.size = sizeof(lying) + 1;
        cr_expect_eq(TAKE(&intake, lying, &error), -EBADMSG);
        begin(&intake);
        cr_expect_eq(intake_packet(&intake, &alias, 3, &error), -EBADMSG);
        begin(&intake);
        lying.header.type = 99;
        cr_expect_eq(TAKE(&intake, lying, &error), -EBADMSG);
}

/* --- fields ------------------------------------------------------------------------------------ */

static void refused(const void *message, size_t size, bool describing, const char *says)
{
        struct error error = ERROR_INIT;
        struct intake intake;

        if (describing) {
                begin(&intake);
        } else {
                intake_init(&intake);
                cr_assert_eq(TAKE(&intake, confined, &error), 0);
        }
        cr_expect_eq(intake_packet(&intake, message, size, &error), -EBADMSG, "\"%s\" was taken",
                     says);
        cr_expect_not_null(strstr(error.text, says), "\"%s\" is not in \"%s\"", says, error.text);
        cr_expect_null(intake.module);
        intake_finish(&intake);
}

#define REFUSED(base, describing, says, change)                                                    \
        do {                                                                                       \
                struct discovery_##base bad;                                                       \
                memcpy(&bad, &(base), sizeof(bad));                                                \
                change;                                                                            \
                refused(&bad, sizeof(bad), (describing), (says));                                  \
        } while (0)

#define SET(field, text) memcpy((field), (text), sizeof(text))
#define FULL(field)      memset((field), 'a', sizeof(field))

Test(intake, checks_the_module)
{
        REFUSED(module, false, "type \"Mine\"", bad.type[0] = 'M');
        REFUSED(module, false, "type \"\"", bad.type[0] = '\0');
        REFUSED(module, false, "type \"3a\"", SET(bad.type, "3a"));
        REFUSED(module, false, "type \"a b\"", SET(bad.type, "a b"));
        REFUSED(module, false, "type \"aaaa", FULL(bad.type));
        REFUSED(module, false, "version \"\"", bad.version[0] = '\0');
        REFUSED(module, false, "version \"1.\"", SET(bad.version, "1."));
        REFUSED(module, false, "version \"1.x\"", SET(bad.version, "1.x"));
        REFUSED(module, false, "version \"1111", memset(bad.version, '1', sizeof(bad.version)));
        REFUSED(module, false, "too many", bad.aliases = DISCOVERY_ALIASES_MAX + 1);
        REFUSED(module, false, "too many", bad.options = UINT32_MAX);
        REFUSED(module, false, "too many", bad.mounts = DISCOVERY_MOUNTS_MAX + 1);
}

Test(intake, checks_aliases_and_options)
{
        REFUSED(alias, true, "alias \"A\"", SET(bad.name, "A"));
        REFUSED(alias, true, "alias \"aaaa", FULL(bad.name));
        REFUSED(option, true, "option \"a-b\"", SET(bad.name, "a-b"));
        REFUSED(option, true, "option \"\"", bad.name[0] = '\0');
        REFUSED(option, true, "option \"aaaa", FULL(bad.name));
        REFUSED(option, true, "option isolation has the name of a key", SET(bad.name, "isolation"));
        REFUSED(option, true, "has type 7 and required 1", bad.type = CLADE_TARGETS + 1);
        REFUSED(option, true, "has type 0 and required 2", bad.required = 2);
        REFUSED(option, true, "allows no value", bad.type = CLADE_INTEGER; bad.minimum = 1);
        REFUSED(option, true, "texts that cannot be shown", SET(bad.help, "a\nb"));
        REFUSED(option, true, "texts that cannot be shown", FULL(bad.help));
        REFUSED(option, true, "choices that cannot be used", FULL(bad.choices));
        REFUSED(option, true, "choices that cannot be used", SET(bad.choices, "a||b"));
        REFUSED(option, true, "choices that cannot be used", SET(bad.choices, "|"));
        REFUSED(option, true, "choices that cannot be used", SET(bad.choices, "a|"));
        REFUSED(option, true, "choices that cannot be used", SET(bad.choices, "\033|a"));
        REFUSED(option, true, "choices that cannot be used", bad.type = CLADE_PATH);
        REFUSED(option, true, "choices that cannot be used", bad.type = CLADE_PATHS);
}

#define TARGETS(members)                                                                           \
        bad.type = CLADE_TARGETS;                                                                  \
        SET(bad.choices, members)

Test(intake, checks_targets)
{
        static const char says[] = "a CLADE_TARGETS without choices that name a target's members";

        REFUSED(option, true, says, TARGETS(""));
        REFUSED(option, true, says, TARGETS("Module"));
        REFUSED(option, true, says, TARGETS("module|a/b"));
        REFUSED(option, true, says, TARGETS("module|a b|c"));
        REFUSED(option, true, says, TARGETS("module|a|module"));
        REFUSED(option, true, says, TARGETS("a|b|c|b"));
        REFUSED(option, true, "choices that cannot be used", TARGETS("module|"));
}

Test(intake, takes_targets_once)
{
        struct discovery_option targets = option, more = option;
        struct error error = ERROR_INIT;
        struct intake intake;

        begin(&intake);
        targets.type = more.type = CLADE_TARGETS;
        SET(targets.choices, "module|mod|module_2");
        SET(more.name, "more");
        cr_expect_eq(TAKE(&intake, targets, &error), 0, "%s", error.text);
        cr_expect_str_eq(intake.module->options[0].choices, "module|mod|module_2");
        cr_expect_eq(TAKE(&intake, more, &error), -EBADMSG);
        cr_expect_str_eq(error.text,
                         "option more is a second CLADE_TARGETS beside speed; there may be one");
}

Test(intake, takes_flags_that_are_known)
{
        struct discovery_module counting = module;
        struct error error = ERROR_INIT;
        struct intake intake;

        counting.flags = CLADE_COUNTS_REQUESTS;
        intake_init(&intake);
        cr_assert_eq(TAKE(&intake, confined, &error), 0);
        cr_assert_eq(TAKE(&intake, counting, &error), 0, "%s", error.text);
        cr_expect(intake.module->counts_requests);
        intake_finish(&intake);
        begin(&intake);
        cr_expect_not(intake.module->counts_requests);
        intake_finish(&intake);
        REFUSED(module, false, "flags 0x2, of which", bad.flags = 2);
        REFUSED(module, false, "flags 0x80000001", bad.flags |= 0x80000001);
}

Test(intake, refuses_an_option_that_is_there_twice)
{
        struct error error = ERROR_INIT;
        struct intake intake;

        begin(&intake);
        cr_expect_eq(TAKE(&intake, option, &error), 0);
        cr_expect_eq(TAKE(&intake, option, &error), -EBADMSG);
        cr_expect_str_eq(error.text, "option speed is there twice");
}

Test(intake, checks_mounts)
{
        REFUSED(mount, true, "mount source \"usr\"", SET(bad.source, "usr"));
        REFUSED(mount, true, "mount source \"/\"", SET(bad.source, "/"));
        REFUSED(mount, true, "mount source \"/a/../b\"", SET(bad.source, "/a/../b"));
        REFUSED(mount, true, "mount target \"\"", bad.target[0] = '\0');
        REFUSED(mount, true, "mount target \"/a//b\"", SET(bad.target, "/a//b"));
        REFUSED(mount, true, "mount target \"/a?b\"", SET(bad.target, "/a\nb"));
        REFUSED(mount, true, "mount target \"/?\"", SET(bad.target, "/\xff"));
        REFUSED(mount, true, "mount source \"aaaa", FULL(bad.source));
        REFUSED(mount, true, "optional 7", bad.optional = 7);
}

/* --- failures ------------------------------------------------------------------------------------ */

static struct discovery_failed failure(enum discovery_fault fault)
{
        struct discovery_failed failed = MESSAGE_INIT(DISCOVERY_FAILED, failed);

        failed.fault = fault;
        error_set(&failed.error, ENOENT, "opening it");
        error_remedy(&failed.error, "install it");
        return failed;
}

Test(intake, passes_on_a_failure)
{
        struct discovery_failed failed = failure(DISCOVERY_FAULT_FOREIGN);
        struct error error = ERROR_INIT;
        struct intake intake;

        begin(&intake);
        cr_expect_eq(TAKE(&intake, failed, &error), -ENOENT);
        cr_expect_eq(intake.fault, DISCOVERY_FAULT_FOREIGN);
        cr_expect_str_eq(error.text, "opening it: No such file or directory (ENOENT)");
        cr_expect_str_eq(error.remedy, "install it");
        cr_expect_null(intake.module);
        cr_expect_eq(TAKE(&intake, failed, &error), -EBADMSG, "a second one");
}

/* Once the module's code has run it cannot pass its faults off as the host's. */
Test(intake, believes_in_a_faulty_sandbox_only_before_it_is_on)
{
        struct discovery_failed failed = failure(DISCOVERY_FAULT_SANDBOX);
        struct error error = ERROR_INIT;
        struct intake intake;

        intake_init(&intake);
        cr_expect_eq(TAKE(&intake, failed, &error), -ENOENT);
        cr_expect_eq(intake.fault, DISCOVERY_FAULT_SANDBOX);

        begin(&intake);
        cr_expect_eq(TAKE(&intake, failed, &error), -ENOENT);
        cr_expect_eq(intake.fault, DISCOVERY_FAULT_MODULE);
}

Test(intake, refuses_a_failure_of_no_sense)
{
        const struct discovery_failed failed = failure(DISCOVERY_FAULT_MODULE);

        REFUSED(failed, true, "no sense", bad.fault = 0);
        REFUSED(failed, true, "no sense", bad.fault = DISCOVERY_FAULTS_);
        REFUSED(failed, true, "no sense", bad.error.code = 0);
        REFUSED(failed, true, "no sense", bad.error.code = -1);
        REFUSED(failed, true, "no sense", bad.error.code = INT32_MIN);
        REFUSED(failed, true, "no sense", bad.error.text[0] = 0);
        REFUSED(failed, true, "no sense", FULL(bad.error.text));
        REFUSED(failed, true, "no sense", FULL(bad.error.remedy));
}

Test(intake, shows_no_control_characters_of_a_failure)
{
        struct discovery_failed failed = failure(DISCOVERY_FAULT_MODULE);
        struct error error = ERROR_INIT;
        struct intake intake;

        SET(failed.error.text, "\033[2Jgone");
        begin(&intake);
        cr_expect_eq(TAKE(&intake, failed, &error), -ENOENT);
        cr_expect_str_eq(error.text, "?[2Jgone");
}
