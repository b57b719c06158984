/* Signals as a fresh program expects them: nothing blocked, nothing ignored, nothing handled. For a clone
 * before it becomes something else. */
#pragma once

#include <signal.h>

void signals_reset(void);

/* The same for one that is born by the thousand: which signals have to be reset is found out once, before. */
void signals_find(sigset_t *ret_changed);
void signals_reset_some(const sigset_t *changed);
