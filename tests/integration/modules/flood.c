/* Floods its channel with garbage, its stderr with text, from its constructor. */
#include <clade/module.h>

#include <string.h>
#include <unistd.h>

static int start(struct clade_worker *worker)
{
        (void)worker;
        return 0;
}

static __attribute__((constructor)) void flood(void)
{
        char garbage[4096];

        memset(garbage, 'x', sizeof(garbage));
        for (;;) {
                if (write(2, garbage, sizeof(garbage)) < 0)
                        (void)!write(3, garbage, sizeof(garbage));
        }
}

const struct clade_module clade_module = {
        CLADE_MODULE_HEADER,
        .type = "flood",
        .version = "1",
        .start = start,
};
