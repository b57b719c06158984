#include "base/signals.h"

#include <signal.h>
#include <stddef.h>

void signals_reset(void)
{
        struct sigaction fallback = {.sa_handler = SIG_DFL};
        sigset_t nothing;

        for (int number = 1; number < NSIG; number++)
                if (number != SIGKILL && number != SIGSTOP)
                        sigaction(number, &fallback, NULL);
        sigemptyset(&nothing);
        sigprocmask(SIG_SETMASK, &nothing, NULL);
}
