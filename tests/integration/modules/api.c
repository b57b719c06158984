/* Built for a later module API. */
#include <clade/module.h>

static int start(struct clade_worker *worker)
{
        (void)worker;
        return 0;
}

const struct clade_module clade_module = {
        .api = CLADE_MODULE_API + 1,
        .size = sizeof(struct clade_module),
        .build = CLADE_MODULE_BUILD,
        .type = "api",
        .version = "1",
        .start = start,
};
