#include "runtime/cli/session.h"

#include "runtime/cli/command.h"

int session_load(struct session *session, const struct load *load, const char *file,
                 struct diagnostics *diagnostics, struct error *error)
{
        struct load own = *load;
        int r;

        r = paths_find(&session->paths, error);
        if (r < 0)
                return r;
        own.paths = &session->paths;
        r = load_configuration(&own, file, &session->loaded, diagnostics, error);
        if (r < 0)
                paths_finish(&session->paths);
        return r;
}

void session_finish(struct session *session)
{
        loaded_finish(&session->loaded);
        paths_finish(&session->paths);
}

static int load_and_tell(struct session *session, const char *modules, const char *file)
{
        const struct load load = {.modules = modules, .notice = print_module_notice};
        struct diagnostics diagnostics = {.count = 0};
        struct error error = ERROR_INIT;
        int r;

        r = session_load(session, &load, file, &diagnostics, &error);
        print_diagnostics(&diagnostics);
        if (r < 0 && diagnostics.count == 0)
                command_failed(&error);
        diagnostics_finish(&diagnostics);
        return r < 0 ? STATUS_FAILED : STATUS_OK;
}

int rehearsal_init(struct rehearsal *rehearsal, const char *modules, const char *file)
{
        struct session *session = &rehearsal->session;
        const struct config *config = &session->loaded.config;
        struct error error = ERROR_INIT;
        int status = load_and_tell(session, modules, file);

        if (status != STATUS_OK)
                return status;
        if (level_probe(config, false, &rehearsal->ladder, &error) < 0) {
                session_finish(session);
                return command_failed(&error);
        }
        compile_find_cgroups(config, &rehearsal->cgroups);
        rehearsal->filters = (struct filters)FILTERS_INIT(session->paths.profiles);
        rehearsal->compile = (struct compile){
                .config = config,
                .cgroups = &rehearsal->cgroups,
                .ladder = &rehearsal->ladder,
                .filters = &rehearsal->filters,
                .template_directory = session->paths.templates,
                .notice = print_compile_notice,
        };
        return STATUS_OK;
}

void rehearsal_finish(struct rehearsal *rehearsal)
{
        filters_finish(&rehearsal->filters);
        session_finish(&rehearsal->session);
}
