/* A library for the native module: entry points that do the unusual. */
#include <clade/module.h>

#define EXPORT __attribute__((visibility("default")))

EXPORT int clade_main(const struct clade_native *native);
EXPORT int negative_main(const struct clade_native *native);
EXPORT int refusing_preload(void);

int clade_main(const struct clade_native *native)
{
        (void)native;
        return 0;
}

int negative_main(const struct clade_native *native)
{
        (void)native;
        return -1;
}

int refusing_preload(void)
{
        return 7;
}
