/* Hangs in its constructor, deaf to everything but SIGKILL. */
#include <clade/module.h>

#include <signal.h>
#include <unistd.h>

static int start(struct clade_worker *worker)
{
        (void)worker;
        return 0;
}

static __attribute__((constructor)) void hang(void)
{
        sigset_t all;

        sigfillset(&all);
        sigprocmask(SIG_BLOCK, &all, NULL);
        for (;;)
                pause();
}

const struct clade_module clade_module = {
        CLADE_MODULE_HEADER,
        .type = "hang",
        .version = "1",
        .start = start,
};
