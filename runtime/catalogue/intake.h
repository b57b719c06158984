/* From the messages of one clade-discovery to one module of the catalogue.
 *
 * The other side has run a module's code. Each packet is checked against the table of its phase, each
 * field for its bounds, its final NUL, its characters; what is announced must come, and nothing more.
 * What has been taken is copied: nothing points into a packet. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "runtime/catalogue/catalogue.h"
#include "runtime/protocol/discovery.h"

struct intake {
        enum discovery_phase phase;
        uint32_t seen;                   /* of message_check */
        struct catalogue_module *module; /* what has come so far; owned */
        size_t aliases, aliases_room;    /* taken, and announced */
        size_t options_room, mounts_room;
        enum discovery_fault fault; /* after FAILED */
};

void intake_init(struct intake *intake);
void intake_finish(struct intake *intake);

/* Takes one packet, aligned for uint64_t. 0: go on, or, in the phase ENDED, the module is whole and
 * the caller's to take. Negative errno with `error` filled: the other side has broken the protocol, or
 * has itself said what failed (then intake->fault is set); there is no module. */
int intake_packet(struct intake *intake, const void *packet, size_t size, struct error *error);
