/* What clade-discovery says about the one module that it was given, over a SOCK_SEQPACKET pair. The
 * supervisor says nothing: all that there is to know is there at the exec.
 *
 *     clade-discovery
 *     CONFINED ->                      the sandbox is on; the module is loaded after this
 *     MODULE ->                        what it is, and how many of each follow
 *     ALIAS, OPTION, MOUNT -> ...
 *     DONE ->                          that was all
 *
 * FAILED may stand in place of anything but DONE, and ends it. The module's code has run by the time
 * MODULE is sent, so every field is hostile as far as the supervisor is concerned: the table below is
 * checked first (base/message.h), then each field (runtime/catalogue/intake.h). */
#pragma once

#include <stdint.h>

#include "base/message.h"

/* Descriptors of clade-discovery. 0 is /dev/null, 1 and 2 lead to a pipe of which the supervisor
 * shows the end when something went wrong. */
enum {
        DISCOVERY_FD_CHANNEL = 3,
        DISCOVERY_FD_MODULE, /* the module's file; dlopen'd as /proc/self/fd/4 */
        DISCOVERY_FD_COUNT,
};

/* The exit status where a signal would have been: this plus the signal's number. */
#define DISCOVERY_EXIT_SIGNAL 128

/* Room for texts, with their final NUL. */
#define DISCOVERY_TYPE_SIZE 32
#define DISCOVERY_NAME_SIZE 64
#define DISCOVERY_TEXT_SIZE 256
#define DISCOVERY_PATH_SIZE 1024

#define DISCOVERY_ALIASES_MAX 16
#define DISCOVERY_OPTIONS_MAX 128
#define DISCOVERY_MOUNTS_MAX  2048

enum discovery_type {
        DISCOVERY_CONFINED = 1,
        DISCOVERY_FAILED,
        DISCOVERY_MODULE,
        DISCOVERY_ALIAS,
        DISCOVERY_OPTION,
        DISCOVERY_MOUNT,
        DISCOVERY_DONE,
};

/* Whose fault it was. */
enum discovery_fault {
        DISCOVERY_FAULT_SANDBOX = 1, /* the host's or ours: the module has not been looked at */
        DISCOVERY_FAULT_FOREIGN,     /* built for another clade: not for us, not broken */
        DISCOVERY_FAULT_MODULE,      /* broken */
        DISCOVERY_FAULTS_
};

struct discovery_confined {
        struct message_header header;
};

struct discovery_failed {
        struct message_header header;
        uint32_t fault; /* enum discovery_fault */
        uint32_t spare;
        struct error error; /* its texts end with NUL only if the sender is honest */
};

struct discovery_module {
        struct message_header header;
        char type[DISCOVERY_TYPE_SIZE];
        char version[DISCOVERY_TYPE_SIZE];
        uint32_t aliases, options, mounts; /* how many of each follow */
        uint32_t flags;                    /* CLADE_COUNTS_REQUESTS, or 0 */
};

struct discovery_alias {
        struct message_header header;
        char name[DISCOVERY_TYPE_SIZE];
};

struct discovery_option {
        struct message_header header;
        char name[DISCOVERY_NAME_SIZE];
        uint32_t type;     /* enum clade_type */
        uint32_t required; /* 0 or 1 */
        int64_t minimum, maximum;
        char choices[DISCOVERY_TEXT_SIZE]; /* "": none */
        char help[DISCOVERY_TEXT_SIZE];    /* "": none */
};

struct discovery_mount {
        struct message_header header;
        char source[DISCOVERY_PATH_SIZE];
        char target[DISCOVERY_PATH_SIZE];
        uint32_t optional; /* 0 or 1 */
        uint32_t spare;
};

struct discovery_done {
        struct message_header header;
};

enum discovery_phase {
        DISCOVERY_CONFINING,  /* until CONFINED */
        DISCOVERY_LOADING,    /* until MODULE */
        DISCOVERY_DESCRIBING, /* until DONE */
        DISCOVERY_ENDED,      /* after FAILED or DONE: nothing may follow */
        DISCOVERY_PHASES
};

extern const struct message_table discovery_table;
