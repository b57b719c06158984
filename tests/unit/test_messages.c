/* The tables of runtime/protocol: which word may come when. */
#include <criterion/criterion.h>

#include <errno.h>
#include <string.h>

#include "base/own.h"
#include "runtime/protocol/messages.h"

/* Large enough and aligned for any message. */
union packet {
        struct message_header header;
        uint64_t words[MESSAGE_MAX / sizeof(uint64_t)];
};

struct word {
        const char *name;
        uint32_t type, size;
        bool starting, running, failed; /* reports: in which phases it may come */
        bool once;
};

static const struct word reports[] = {
        {"ready", REPORT_READY, 272, true, false, false, true},
        {"failed", REPORT_FAILED, 1172, true, false, false, true},
        {"cloned", REPORT_CLONED, 24, false, true, false, false},
        {"clone-failed", REPORT_CLONE_FAILED, 24, false, true, false, false},
        {"started", REPORT_STARTED, 16, false, true, false, false},
        {"worker-ready", REPORT_WORKER_READY, 16, false, true, false, false},
        {"worker-failed", REPORT_WORKER_FAILED, 1172, false, true, false, false},
        {"exited", REPORT_EXITED, 24, false, true, false, false},
};

static const struct word orders[] = {
        {"clone", ORDER_CLONE, 24, true, false, false, false},
        {"acknowledge", ORDER_ACKNOWLEDGE, 16, true, false, false, false},
        {"stop", ORDER_STOP, 8, true, false, false, true},
};

static bool accepted(const struct message_table *table, unsigned phase, const struct word *word,
                     uint32_t *seen)
{
        union packet packet = {.header = {word->type, word->size}};
        struct error error = ERROR_INIT;

        return message_check(table, phase, &packet, word->size, seen, &error) != NULL;
}

static void check_words(const struct message_table *table, const struct word *words, size_t count)
{
        cr_assert_eq(table->rule_count, count, "each message has a line here");
        for (size_t i = 0; i < count; i++) {
                const bool allowed[] = {words[i].starting, words[i].running, words[i].failed};

                cr_expect_str_eq(table->rules[i].name, words[i].name);
                cr_expect_leq(words[i].size, MESSAGE_MAX);
                for (unsigned phase = 0; phase < ARRAY_SIZE(allowed); phase++) {
                        uint32_t seen = 0;

                        cr_expect_eq(accepted(table, phase, &words[i], &seen), allowed[phase],
                                     "%s in phase %u", words[i].name, phase);
                        if (!allowed[phase])
                                continue;
                        cr_expect_eq(accepted(table, phase, &words[i], &seen), !words[i].once,
                                     "%s a second time", words[i].name);
                }
        }
}

Test(messages, reports_come_when_they_may)
{
        cr_assert_eq(report_table.phase_count, PROTOTYPE_PHASES);
        check_words(&report_table, reports, ARRAY_SIZE(reports));
}

Test(messages, orders_come_when_they_may)
{
        cr_assert_eq(order_table.phase_count, 1);
        check_words(&order_table, orders, ARRAY_SIZE(orders));
}

Test(messages, sizes_are_exact)
{
        for (size_t i = 0; i < ARRAY_SIZE(reports); i++)
                for (uint32_t size = 0; size < 1300; size++) {
                        union packet packet = {.header = {reports[i].type, reports[i].size}};
                        unsigned phase =
                                reports[i].starting ? PROTOTYPE_STARTING : PROTOTYPE_RUNNING;
                        struct error error = ERROR_INIT;
                        uint32_t seen = 0;

                        cr_expect_eq(message_check(&report_table, phase, &packet, size, &seen,
                                                   &error) != NULL,
                                     size == reports[i].size);
                }
}

Test(messages, an_initialised_message_is_accepted)
{
        const struct order_clone clone = MESSAGE_INIT(ORDER_CLONE, struct order_clone);
        struct error error = ERROR_INIT;
        uint32_t seen = 0;

        cr_expect(message_check(&order_table, 0, &clone, sizeof(clone), &seen, &error), "%s",
                  error.text);
}

/* A pipe's packet is PIPE_BUF bytes; nothing uninitialised may travel in padding. */
Test(messages, no_padding)
{
        cr_expect_eq(sizeof(struct order_clone), 24);
        cr_expect_eq(sizeof(struct report_cloned), 24);
        cr_expect_eq(sizeof(struct report_exited), 24);
        cr_expect_eq(sizeof(struct report_failed), 16 + sizeof(struct error));
        cr_expect_eq(sizeof(struct report_worker_failed), 16 + sizeof(struct error));
        cr_expect_eq(sizeof(struct error), 4 + ERROR_TEXT_SIZE + ERROR_REMEDY_SIZE);
}
