/* Strings that nobody could show or configure. */
#include <clade/module.h>

static int start(struct clade_worker *worker)
{
        (void)worker;
        return 0;
}

static const struct clade_option options[] = {
        {.name = "fine", .type = CLADE_STRING},
        {.name = "Not \033[31mfine", .type = CLADE_STRING},
        {0},
};

const struct clade_module clade_module = {
        CLADE_MODULE_HEADER, .type = "absurd", .version = "1", .options = options, .start = start,
};
