#include "runtime/compile/load.h"

#include "runtime/catalogue/discover.h"

#define DISCOVERY_DEADLINE 5000 /* ms, for all modules together */

int load_modules(const struct load *load, struct catalogue *catalogue, struct error *error)
{
        const struct discover discover = {
                .glob = load->modules ? load->modules : load->paths->modules,
                .executable = load->paths->discovery,
                .deadline_ms = DISCOVERY_DEADLINE,
                .notice = load->notice,
                .context = load->context,
        };
        int r;

        catalogue_init(catalogue);
        r = discover_modules(&discover, catalogue, error);
        if (r < 0) {
                catalogue_finish(catalogue);
                return error_prefix(error, "looking for modules");
        }
        return 0;
}

int load_configuration(const struct load *load, const char *file, struct loaded *loaded,
                       struct diagnostics *diagnostics, struct error *error)
{
        int r;

        *loaded = (struct loaded){.catalogue = {.count = 0}};
        *diagnostics = (struct diagnostics){.count = 0};
        r = load_modules(load, &loaded->catalogue, error);
        if (r < 0)
                return r;
        r = config_load(file, &loaded->catalogue, &loaded->config, diagnostics, error);
        if (r < 0)
                catalogue_finish(&loaded->catalogue);
        return r;
}

void loaded_finish(struct loaded *loaded)
{
        config_finish(&loaded->config);
        catalogue_finish(&loaded->catalogue);
}
