#include <criterion/criterion.h>

#include <errno.h>
#include <string.h>

#include "base/message.h"
#include "base/own.h"

struct knock {
        struct message_header header;
        uint64_t value;
};

enum { KNOCK = 1, ENTER = 7 };
enum { OUTSIDE, INSIDE, PHASES };

static const char *const phases[] = {"outside", "inside"};
static const struct message_rule rules[] = {
        {KNOCK, "knock", sizeof(struct knock), 1u << OUTSIDE, false},
        {ENTER, "enter", sizeof(struct message_header), 1u << OUTSIDE | 1u << INSIDE, true},
};
static const struct message_table table = {"visitor", phases, PHASES, rules, ARRAY_SIZE(rules)};

static const struct message_rule *check(unsigned phase, const struct knock *packet, size_t size,
                                        uint32_t *seen, struct error *error)
{
        *error = (struct error)ERROR_INIT;
        return message_check(&table, phase, packet, size, seen, error);
}

Test(base_message, what_the_table_allows)
{
        const struct knock knock = {{KNOCK, sizeof(knock)}, 3};
        const struct knock enter = {{ENTER, sizeof(enter.header)}, 0};
        struct error error;
        uint32_t seen = 0;

        cr_expect_eq(check(OUTSIDE, &knock, sizeof(knock), &seen, &error), &rules[0]);
        cr_expect_eq(check(OUTSIDE, &knock, sizeof(knock), &seen, &error), &rules[0], "again");
        cr_expect_eq(check(INSIDE, &enter, sizeof(enter.header), &seen, &error), &rules[1]);
        cr_expect_eq(error.code, 0);
}

/* Each rule, broken once; the text says which. */
Test(base_message, what_it_does_not)
{
        static const struct {
                const char *text;
                struct message_header header;
                size_t size;
                unsigned phase;
        } cases[] = {
                {"visitor sent 7 bytes, less than a message header", {KNOCK, 16}, 7, OUTSIDE},
                {"visitor sent 0 bytes, less than a message header", {KNOCK, 16}, 0, OUTSIDE},
                {"visitor sent a message of unknown type 2", {2, 16}, 16, OUTSIDE},
                {"visitor sent a message of unknown type 0", {0, 16}, 16, OUTSIDE},
                {"visitor sent knock with 8 bytes (16 announced), not 16", {KNOCK, 16}, 8, OUTSIDE},
                {"visitor sent knock with 16 bytes (8 announced), not 16", {KNOCK, 8}, 16, OUTSIDE},
                {"visitor sent knock with 8 bytes (8 announced), not 16", {KNOCK, 8}, 8, OUTSIDE},
                {"visitor sent knock, which is not allowed while inside", {KNOCK, 16}, 16, INSIDE},
                {"visitor sent knock, which is not allowed while ?", {KNOCK, 16}, 16, PHASES},
                {"visitor sent knock, which is not allowed while ?", {KNOCK, 16}, 16, 32},
                {"visitor sent knock, which is not allowed while ?", {KNOCK, 16}, 16, UINT32_MAX},
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                const struct knock packet = {cases[i].header, 0};
                struct error error;
                uint32_t seen = 0;

                cr_expect_null(check(cases[i].phase, &packet, cases[i].size, &seen, &error));
                cr_expect_eq(error.code, EBADMSG);
                cr_expect_str_eq(error.text, cases[i].text);
                cr_expect_eq(seen, 0, "what was refused does not count as seen");
        }
}

Test(base_message, once)
{
        const struct knock enter = {{ENTER, sizeof(enter.header)}, 0};
        struct error error;
        uint32_t seen = 0, other = 0;

        cr_expect(check(OUTSIDE, &enter, sizeof(enter.header), &seen, &error));
        cr_expect_null(check(INSIDE, &enter, sizeof(enter.header), &seen, &error));
        cr_expect_str_eq(error.text, "visitor sent enter a second time");
        cr_expect(check(INSIDE, &enter, sizeof(enter.header), &other, &error), "another visitor");
}
