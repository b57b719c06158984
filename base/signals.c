#include "base/signals.h"

#include <stddef.h>

void signals_find(sigset_t *ret_changed)
{
        struct sigaction action;

        sigemptyset(ret_changed);
        for (int number = 1; number < NSIG; number++)
                if (number != SIGKILL && number != SIGSTOP &&
                    sigaction(number, NULL, &action) == 0 &&
                    (action.sa_flags & SA_SIGINFO || action.sa_handler != SIG_DFL))
                        sigaddset(ret_changed, number);
}

void signals_reset_some(const sigset_t *changed)
{
        struct sigaction fallback = {.sa_handler = SIG_DFL};
        sigset_t nothing;

        for (int number = 1; number < NSIG; number++)
                if (sigismember(changed, number) == 1 && number != SIGKILL && number != SIGSTOP)
                        sigaction(number, &fallback, NULL);
        sigemptyset(&nothing);
        sigprocmask(SIG_SETMASK, &nothing, NULL);
}

void signals_reset(void)
{
        sigset_t all;

        sigfillset(&all);
        signals_reset_some(&all);
}
