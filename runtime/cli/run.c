/* clade run: the supervisor, in the foreground. What it tells is events on stderr, from the first one on. */
#include <stdio.h>
#include <string.h>

#include "runtime/cli/command.h"
#include "runtime/supervisor/supervisor.h"

static const char *const formats[] = {[LOG_TEXT] = "text", [LOG_JSON] = "json"};
static const char *const levels[] = {
        [LOG_DEBUG] = "debug",
        [LOG_INFO] = "info",
        [LOG_WARNING] = "warning",
        [LOG_ERROR] = "error",
};

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* Which of the names `text` is; -1, and it is printed, when it is none. */
static int choose(const struct command *command, const char *option, const char *text,
                  const char *const *names, size_t count)
{
        for (size_t i = 0; i < count; i++)
                if (strcmp(names[i], text) == 0)
                        return (int)i;
        fprintf(stderr, "clade %s: --%s \"%s\": expected", command->name, option, text);
        for (size_t i = 0; i < count; i++)
                fprintf(stderr, "%s %s", i ? " or" : "", names[i]);
        fprintf(stderr, "; see clade %s --help\n", command->name);
        return -1;
}

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
                session_close(&session);
        } else {
                tell(&log, &diagnostics, &error);
        }
        diagnostics_finish(&diagnostics);
        return status;
}

enum { OPTION_LOG_FORMAT = OPTION_FIRST, OPTION_LOG_LEVEL };

static int run(const struct command *command, int argc, char **argv)
{
        static const struct option table[] = {
                OPTIONS_COMMON,
                {"log-format", required_argument, NULL, OPTION_LOG_FORMAT},
                {"log-level", required_argument, NULL, OPTION_LOG_LEVEL},
                {NULL},
        };
        struct supervisor_options options = {.format = LOG_TEXT, .level = LOG_INFO};
        const char *modules = NULL;
        int option, choice;

        while ((option = command_option(command, argc, argv, table)) != -1) {
                switch (option) {
                case OPTION_HELP:
                        return command_help(command);
                case OPTION_MODULES:
                        modules = optarg;
                        break;
                case OPTION_LOG_FORMAT:
                        choice = choose(command, "log-format", optarg, formats, COUNT(formats));
                        if (choice < 0)
                                return STATUS_USAGE;
                        options.format = (enum log_format)choice;
                        break;
                case OPTION_LOG_LEVEL:
                        choice = choose(command, "log-level", optarg, levels, COUNT(levels));
                        if (choice < 0)
                                return STATUS_USAGE;
                        options.level = (enum log_level)choice;
                        break;
                default:
                        return STATUS_USAGE;
                }
        }
        if (!command_arguments(command, argc, 1, 1))
                return STATUS_USAGE;
        return supervise(modules, argv[optind], &options);
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
        .run = run,
};
