/* clade run: the supervisor, in the foreground. What it tells is events on stderr, from the first one on. */
#include "runtime/cli/command.h"
#include "runtime/cli/options.h"
#include "runtime/cli/session.h"
#include "runtime/supervisor/supervisor.h"

static const char *const formats[] = {[LOG_TEXT] = "text", [LOG_JSON] = "json", NULL};
static const char *const levels[] = {
        [LOG_DEBUG] = "debug",
        [LOG_INFO] = "info",
        [LOG_WARNING] = "warning",
        [LOG_ERROR] = "error",
        NULL,
};

static void on_module(void *context, const char *path, bool serious, const struct error *error)
{
        struct log *log = context;

        log_error(log, serious ? LOG_WARNING : LOG_INFO, "module-skipped", NULL, error,
                  LOG_TEXT_FIELD("path", path));
}

/* People get the lines that `clade check` prints; machines an event for each. */
static void tell(struct log *log, const struct diagnostics *diagnostics, const struct error *error)
{
        if (log->format == LOG_TEXT)
                print_diagnostics(diagnostics);
        for (size_t i = 0; log->format == LOG_JSON && i < diagnostics->count; i++) {
                const struct diagnostic *diagnostic = &diagnostics->list[i];

                log_event(log, LOG_ERROR, "configuration-error", NULL,
                          LOG_TEXT_FIELD("file", diagnostic->file),
                          LOG_NUMBER("line", diagnostic->line),
                          LOG_NUMBER("column", diagnostic->column),
                          LOG_TEXT_FIELD("pointer", diagnostic->pointer),
                          LOG_TEXT_FIELD("message", diagnostic->text));
        }
        if (diagnostics->count == 0)
                log_error(log, LOG_ERROR, "configuration-error", NULL, error);
}

static int supervise(const char *modules, const char *file,
                     const struct supervisor_options *options)
{
        struct log log = {.fd = 2, .format = options->format, .minimum = options->level};
        const struct load load = {.modules = modules, .notice = on_module, .context = &log};
        struct session session = {.paths = {.prototype = NULL}};
        struct diagnostics diagnostics = {.count = 0};
        struct error error = ERROR_INIT;
        int status = STATUS_FAILED;

        if (session_load(&session, &load, file, &diagnostics, &error) == 0) {
                status = supervisor_run(&session.loaded.config, &session.loaded.catalogue,
                                        &session.paths, options);
                session_finish(&session);
        } else {
                tell(&log, &diagnostics, &error);
        }
        diagnostics_finish(&diagnostics);
        return status;
}

static int run(const struct command *command, int argc, char **argv)
{
        const char *modules = NULL;
        unsigned format = LOG_TEXT, level = LOG_INFO;
        const struct command_option options[] = {
                {"modules", .text = &modules},
                {"log-format", .choice = &format, .choices = formats},
                {"log-level", .choice = &level, .choices = levels},
                {NULL},
        };
        int status;

        argv = command_arguments(command, argc, argv, options, &status);
        if (!argv)
                return status;
        return supervise(modules, argv[0],
                         &(struct supervisor_options){
                                 .format = (enum log_format)format,
                                 .level = (enum log_level)level,
                         });
}

const struct command command_run = {
        .name = "run",
        .summary = "run the applications of a configuration, in the foreground",
        .help = "usage: clade run [--log-format FORMAT] [--log-level LEVEL] [--modules GLOB] "
                "CONFIG\n"
                "\n"
                "Opens the listeners, starts every application in its sandbox and keeps it "
                "running. Events\n"
                "go to stderr, one line each.\n"
                "\n"
                "  --log-format FORMAT   text (the default) or json\n"
                "  --log-level LEVEL     debug, info (the default), warning or error\n"
                "  --modules GLOB        find modules by this pattern instead of where clade's own "
                "are\n"
                "  -h, --help            this text\n"
                "\n"
                "SIGTERM and SIGINT stop it: no more connections are accepted, workers get SIGTERM "
                "and,\n"
                "after settings.stop_timeout, SIGKILL. SIGQUIT stops it at once.\n"
                "\n"
                "Exit status: 0 after one of these signals, 1 when nothing could start, 2 the "
                "command\n"
                "line was not understood.\n",
        .arguments = {1, 1},
        .run = run,
};
