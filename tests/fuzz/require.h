/* What must hold whatever the input: where it does not, the fuzzer has found something. */
#pragma once

#include <stdlib.h>

#define REQUIRE(condition)                                                                         \
        do {                                                                                       \
                if (!(condition))                                                                  \
                        abort();                                                                   \
        } while (0)
