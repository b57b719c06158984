/* A type that does not end where it should. */
#include <clade/module.h>

static int start(struct clade_worker *worker)
{
        (void)worker;
        return 0;
}

const struct clade_module clade_module = {
        CLADE_MODULE_HEADER,
        .type = "a-type-that-is-longer-than-any-type-has-reason-to-be",
        .version = "1",
        .start = start,
};
