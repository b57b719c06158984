/* A module with everything: the one that must come through. The same source is built with another
 * version, and twice with the same one. */
#include <clade/module.h>

static int start(struct clade_worker *worker)
{
        (void)worker;
        return 0;
}

static const char *const aliases[] = {"complete", "entire", NULL};

static const struct clade_option options[] = {
        {.name = "path", .type = CLADE_PATH, .required = 1, .help = "where the naïve thing is"},
        {.name = "threads", .type = CLADE_INTEGER, .minimum = -1, .maximum = 64},
        {.name = "mode", .type = CLADE_STRING, .choices = "slow|fast"},
        {.name = "libraries", .type = CLADE_PATHS},
        {.name = "targets", .type = CLADE_TARGETS, .choices = "entry|prefix"},
        {0},
};

static const struct clade_mount mounts[] = {
        {.source = "/usr/lib"},
        {.source = "/etc/whole", .target = "/etc/inside", .optional = 1},
        {0},
};

static int describe(struct clade_description *description)
{
        static const struct clade_mount found = {.source = "/opt/found at run time"};
        int r = description->mount(description, &found);

        return r < 0 ? r : description->version(description, VERSION);
}

const struct clade_module clade_module = {
        CLADE_MODULE_HEADER,  .flags = CLADE_COUNTS_REQUESTS,
        .type = "whole",      .aliases = aliases,
        .options = options,   .mounts = mounts,
        .describe = describe, .start = start,
};
