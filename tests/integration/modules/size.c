/* Its struct has another size. */
#include <clade/module.h>

static int start(struct clade_worker *worker)
{
        (void)worker;
        return 0;
}

const struct clade_module clade_module = {
        .api = CLADE_MODULE_API,
        .size = sizeof(struct clade_module) - 8,
        .build = CLADE_MODULE_BUILD,
        .type = "size",
        .version = "1",
        .start = start,
};
