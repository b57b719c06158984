/* The launch: what a prototype needs to know, in one sealed memfd. The isolation plan is a part of it;
 * the rest is the application's: module, options, environment, listeners. Written by the supervisor,
 * read once by the prototype, wiped and unmapped before the application's code runs. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/codec.h"
#include "base/error.h"
#include "clade/module.h"
#include "isolation/plan.h"

/* An option's value, checked against what the module declared (modules/include/clade/module.h). */
struct launch_value {
        char *name;
        uint32_t type;   /* enum clade_type */
        char *string;    /* STRING, PATH, TARGETS: one member's */
        int64_t integer; /* INTEGER; BOOLEAN as 0 and 1 */
        char **strings;  /* STRINGS, PATHS; NULL at the end */
};

struct launch_listener {
        char *address; /* as configured: "127.0.0.1:8080" */
        char *target;  /* behind "applications/NAME/"; or NULL */
};

struct launch {
        char *application;
        char *module; /* its type, for errors */
        struct launch_value *values;
        size_t value_count;
        struct launch_listener *listeners;
        size_t listener_count;
        char **environment;      /* "NAME=value", NULL at the end; all that the application gets */
        char *working_directory; /* inside; NULL: "/" */
        uint32_t slot_count;     /* how many workers can be alive at once */
        uint32_t
                tells_load; /* 1: how many workers there are, or for how long, depends on what they do */
        struct clade_limits limits;
        struct clade_http_settings http;
        struct plan plan;
};

void launch_fields(struct codec *codec, struct launch *launch);

/* A sealed memfd with magic, version, length and the launch; the descriptor or a negative errno. */
int launch_write(const struct launch *launch);

/* Reads one, refusing anything that is not of this very version. What is decoded lies in `memory`, which
 * the caller finishes; on failure there is nothing in it. */
int launch_read(int fd, struct launch *launch, struct codec_memory *memory, struct error *error);

/* The same from `size` bytes at `image`. */
int launch_decode(const void *image, size_t size, struct launch *launch,
                  struct codec_memory *memory, struct error *error);
