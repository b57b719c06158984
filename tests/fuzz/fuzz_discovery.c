/* What a module's process may send while it describes itself, all the way into the catalogue. The input is
 * a row of packets. A packet begins with a byte: that of a type gives a message of that type and of its
 * right size, whose body is taken from the input as far as it goes, behind a length (two bytes, low one
 * first); any other byte gives a packet that is just those bytes. What comes through is held against what
 * the catalogue promises. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/own.h"
#include "isolation/plan.h"
#include "runtime/catalogue/intake.h"
#include "runtime/catalogue/text.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool holds)
{
        if (!holds)
                abort();
}

static void check_module(const struct catalogue_module *module)
{
        require(module && text_is_type(module->type) && strlen(module->type) < DISCOVERY_TYPE_SIZE);
        require(version_valid(module->version) && version_matches("", module->version));
        for (char **alias = module->aliases; *alias; alias++)
                require(text_is_type(*alias));
        require(module->option_count <= DISCOVERY_OPTIONS_MAX);
        for (size_t i = 0; i < module->option_count; i++) {
                const struct catalogue_option *option = &module->options[i];

                require(text_is_key(option->name) && option->type <= CLADE_TARGETS);
                require(!option->help || text_is_plain(option->help));
                require(!option->choices || option->type == CLADE_STRING ||
                        option->type == CLADE_TARGETS);
                require(option->type != CLADE_TARGETS ||
                        (option->choices && option->choices[0] != '|'));
        }
        require(module->mount_count <= DISCOVERY_MOUNTS_MAX);
        for (size_t i = 0; i < module->mount_count; i++)
                require(plan_target_valid(module->mounts[i].source) &&
                        plan_target_valid(module->mounts[i].target));
}

static size_t size_of_type(uint32_t type)
{
        for (size_t i = 0; i < discovery_table.rule_count; i++)
                if (discovery_table.rules[i].type == type)
                        return discovery_table.rules[i].size;
        return 0;
}

/* Takes one packet off the input, into memory of exactly its size. */
static void *next_packet(const uint8_t **data, size_t *left, size_t *ret_size)
{
        uint32_t type = (*data)[0];
        size_t length = (size_t)(*data)[1] | (size_t)(*data)[2] << 8;
        size_t whole = size_of_type(type), head = whole ? sizeof(struct message_header) : 0;
        char *packet;

        *data += 3;
        *left -= 3;
        if (length > *left)
                length = *left;
        if (length > MESSAGE_MAX)
                length = MESSAGE_MAX;
        if (whole && length > whole - head)
                length = whole - head;
        *ret_size = whole ? whole : length;
        packet = calloc(1, *ret_size ? *ret_size : 1);
        require(packet != NULL);
        if (whole)
                *(struct message_header *)(void *)packet =
                        (struct message_header){type, (uint32_t)whole};
        memcpy(packet + head, *data, length);
        *data += length;
        *left -= length;
        return packet;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        struct intake intake;

        intake_init(&intake);
        while (size >= 3) {
                struct error error = ERROR_INIT;
                size_t packet_size;
                cleanup_free void *packet = next_packet(&data, &size, &packet_size);
                int r = intake_packet(&intake, packet, packet_size, &error);

                if (r < 0) {
                        require(error.code == -r && error.text[0] && text_is_plain(error.text) &&
                                text_is_plain(error.remedy));
                        require(intake.phase == DISCOVERY_ENDED && !intake.module);
                } else if (intake.phase == DISCOVERY_ENDED) {
                        check_module(intake.module);
                }
        }
        intake_finish(&intake);
        return 0;
}
