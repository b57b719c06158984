/* Aborts in describe, with last words. */
#include <clade/module.h>

#include <stdio.h>
#include <stdlib.h>

static int start(struct clade_worker *worker)
{
        (void)worker;
        return 0;
}

static int describe(struct clade_description *description)
{
        (void)description;
        fprintf(stderr, "first line\nthe flux capacitor is missing\n");
        abort();
}

const struct clade_module clade_module = {
        CLADE_MODULE_HEADER, .type = "abort", .version = "1", .describe = describe, .start = start,
};
