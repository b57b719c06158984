#include "base/message.h"

#include <errno.h>

#define MILLION 1000000u

static const char *phase_name(const struct message_table *table, unsigned phase)
{
        return phase < table->phase_count ? table->phases[phase] : "?";
}

const struct message_rule *message_check(const struct message_table *table, unsigned phase,
                                         const void *packet, size_t size, uint32_t *seen,
                                         struct error *error)
{
        const struct message_header *header = packet;

        if (size < sizeof(*header)) {
                error_say(error, EBADMSG, "%s sent %zu bytes, less than a message header",
                          table->peer, size);
                return NULL;
        }
        for (size_t i = 0; i < table->rule_count; i++) {
                const struct message_rule *rule = &table->rules[i];

                if (rule->type != header->type)
                        continue;
                if (size != rule->size || header->size != rule->size) {
                        error_say(error, EBADMSG,
                                  "%s sent %s with %zu bytes (%u announced), not %u", table->peer,
                                  rule->name, size, header->size, rule->size);
                        return NULL;
                }
                if (phase >= table->phase_count || !(rule->phases & (1u << phase))) {
                        error_say(error, EBADMSG, "%s sent %s, which is not allowed while %s",
                                  table->peer, rule->name, phase_name(table, phase));
                        return NULL;
                }
                if (rule->once && (*seen & (1u << i))) {
                        error_say(error, EBADMSG, "%s sent %s a second time", table->peer,
                                  rule->name);
                        return NULL;
                }
                *seen |= 1u << i;
                return rule;
        }
        error_say(error, EBADMSG, "%s sent a message of unknown type %u", table->peer,
                  header->type);
        return NULL;
}

void budget_init(struct budget *budget, uint32_t capacity, uint32_t per_second, uint64_t now_us)
{
        *budget = (struct budget){
                .capacity = capacity,
                .per_second = per_second,
                .tokens = (uint64_t)capacity * MILLION,
                .last = now_us,
        };
}

/* What there is at `now_us`. The time since `last` is bounded by how long a full bucket takes, so
 * that nothing overflows however long nobody called. */
static uint64_t tokens_at(const struct budget *budget, uint64_t now_us)
{
        uint64_t full = (uint64_t)budget->capacity * MILLION;
        uint64_t passed = now_us > budget->last ? now_us - budget->last : 0;
        uint64_t need = full - budget->tokens;

        if (budget->per_second == 0)
                return budget->tokens;
        if (passed > need / budget->per_second)
                return full;
        return budget->tokens + passed * budget->per_second;
}

bool budget_spend(struct budget *budget, uint32_t amount, uint64_t now_us)
{
        uint64_t price = (uint64_t)amount * MILLION;

        budget->tokens = tokens_at(budget, now_us);
        if (now_us > budget->last)
                budget->last = now_us;
        if (budget->tokens < price)
                return false;
        budget->tokens -= price;
        return true;
}

void budget_charge(struct budget *budget, uint64_t amount, uint64_t now_us)
{
        uint64_t most = budget->capacity;
        uint64_t price = (amount < most ? amount : most) * MILLION;

        budget_spend(budget, 0, now_us); /* brings it up to now */
        budget->tokens = budget->tokens > price ? budget->tokens - price : 0;
}

void budget_grant(struct budget *budget, uint32_t amount)
{
        uint64_t full = (uint64_t)budget->capacity * MILLION;
        uint64_t more = (uint64_t)amount * MILLION;

        budget->tokens = full - budget->tokens > more ? budget->tokens + more : full;
}

uint64_t budget_wait(const struct budget *budget, uint32_t amount, uint64_t now_us)
{
        uint64_t price = (uint64_t)amount * MILLION;
        uint64_t have = tokens_at(budget, now_us);

        if (have >= price)
                return 0;
        if (amount > budget->capacity || budget->per_second == 0)
                return UINT64_MAX;
        return (price - have + budget->per_second - 1) / budget->per_second;
}
