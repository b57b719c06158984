/* Packets of any content, in any phase, against the tables of all peers. The input is a row of packets, each
 * behind a phase and a length; its first byte chooses the peer. What message_check says is held against
 * the table itself: nothing passes that a rule does not name, and every refusal has its reason. */
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/own.h"
#include "runtime/protocol/discovery.h"
#include "runtime/protocol/messages.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct prefix {
        uint8_t phase;
        uint8_t length[2]; /* low byte first */
};

static void require(bool holds)
{
        if (!holds)
                abort();
}

static const struct message_rule *find_rule(const struct message_table *table, uint32_t type)
{
        for (size_t i = 0; i < table->rule_count; i++)
                if (table->rules[i].type == type)
                        return &table->rules[i];
        return NULL;
}

/* One packet, in memory of exactly its size. */
static void check_packet(const struct message_table *table, unsigned phase, const uint8_t *data,
                         size_t size, uint32_t *seen)
{
        struct message_header header = {.type = 0};
        struct error error = ERROR_INIT;
        const struct message_rule *rule, *expected = NULL;
        const uint32_t before = *seen;
        cleanup_free void *packet = malloc(size ? size : 1);

        require(packet != NULL);
        memcpy(packet, data, size);
        if (size >= sizeof(header)) {
                memcpy(&header, data, sizeof(header));
                expected = find_rule(table, header.type);
        }
        rule = message_check(table, phase, packet, size, seen, &error);
        if (!rule) {
                require(error.code == EBADMSG && error.text[0]);
                require(memchr(error.text, '\0', sizeof(error.text)) != NULL);
                require(*seen == before);
                return;
        }
        require(rule == expected && error.code == 0);
        require(size == rule->size && header.size == rule->size);
        require(phase < table->phase_count && (rule->phases & 1u << phase));
        require(!rule->once || *seen != before);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        static const struct message_table *const tables[] = {
                &report_table,
                &order_table,
                &discovery_table,
        };
        const struct message_table *table;
        uint32_t seen = 0;

        if (size == 0)
                return 0;
        table = tables[data[0] % ARRAY_SIZE(tables)];
        data++;
        size--;
        while (size >= sizeof(struct prefix)) {
                struct prefix prefix;
                size_t length;

                memcpy(&prefix, data, sizeof(prefix));
                data += sizeof(prefix);
                size -= sizeof(prefix);
                length = (size_t)prefix.length[0] | (size_t)prefix.length[1] << 8;
                if (length > size)
                        length = size;
                check_packet(table, prefix.phase, data, length, &seen);
                data += length;
                size -= length;
        }
        return 0;
}
