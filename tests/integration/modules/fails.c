/* Its describe fails and says why. */
#include <clade/module.h>

#include <errno.h>

static int start(struct clade_worker *worker)
{
        (void)worker;
        return 0;
}

static int describe(struct clade_description *description)
{
        return description->host->fail(description->failure, ENOENT, "plant it first",
                                       "looking for tree %d", 7);
}

const struct clade_module clade_module = {
        CLADE_MODULE_HEADER, .type = "fails", .version = "1", .describe = describe, .start = start,
};
