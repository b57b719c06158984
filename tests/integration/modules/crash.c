/* Crashes in its constructor. */
#include <clade/module.h>

static int start(struct clade_worker *worker)
{
        (void)worker;
        return 0;
}

static int *volatile nowhere;

static __attribute__((constructor)) void crash(void)
{
        *nowhere = 1;
}

const struct clade_module clade_module = {
        CLADE_MODULE_HEADER,
        .type = "crash",
        .version = "1",
        .start = start,
};
