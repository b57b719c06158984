/* Signals as a fresh program expects them: nothing blocked, nothing ignored, nothing handled. For a clone
 * before it becomes something else. */
#pragma once

void signals_reset(void);
