/* The probe as a native application: each worker answers on its first listener. */
#include <clade/module.h>

#include "probe.h"

int __attribute__((visibility("default"))) clade_main(const struct clade_native *native);

int clade_main(const struct clade_native *native)
{
        struct probe probe;

        /* Until then there is the eventfd that readiness is told by. */
        native->ready(native);
        probe_begin(&probe, native->listener_count);
        return probe_serve(&probe);
}
