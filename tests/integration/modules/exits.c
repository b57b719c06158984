/* Exits in describe. */
#include <clade/module.h>

#include <unistd.h>

static int start(struct clade_worker *worker)
{
        (void)worker;
        return 0;
}

static int describe(struct clade_description *description)
{
        (void)description;
        _exit(7);
}

const struct clade_module clade_module = {
        CLADE_MODULE_HEADER, .type = "exits", .version = "1", .describe = describe, .start = start,
};
