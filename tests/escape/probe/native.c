/* The probe as a native application: each worker answers on its first listener. */
#include <clade/module.h>

#include "probe.h"

int __attribute__((visibility("default"))) clade_main(const struct clade_native *native);

int clade_main(const struct clade_native *native)
{
        struct probe probe;

        probe_begin(&probe, native->listener_count);
        native->ready(native);
        return probe_serve(&probe);
}
