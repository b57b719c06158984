#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/own.h"
#include "runtime/protocol/descriptors.h"
#include "runtime/prototype/prototype.h"

static int host_fail(struct clade_failure *failure, int code, const char *remedy,
                     const char *format, ...)
{
        char text[ERROR_TEXT_SIZE];
        va_list args;

        if (code <= 0)
                code = EIO;
        va_start(args, format);
        vsnprintf(text, sizeof(text), format, args);
        va_end(args);
        error_set(&failure->error, code, "%s", text);
        if (remedy)
                error_remedy(&failure->error, "%s", remedy);
        return -code;
}

static const struct clade_host host = {.fail = host_fail};

/* A hook's result with its failure; a hook that fails without a word still gets an error. */
static int hook_result(struct prototype *prototype, const char *hook, int result,
                       struct error *error)
{
        if (result >= 0)
                return 0;
        if (prototype->failure.error.code == 0)
                return error_set(error, -result, "%s of module %s", hook, prototype->launch.module);
        *error = prototype->failure.error;
        prototype->failure.error = (struct error)ERROR_INIT;
        return -error->code;
}

/* The launch's values are laid out for the codec; the module's view of them is its API's. */
static int values_collect(struct prototype *prototype, struct error *error)
{
        struct launch *launch = &prototype->launch;
        struct clade_value *values = calloc(launch->value_count + 1, sizeof(*values));
        const char **listeners = calloc(launch->listener_count + 1, sizeof(*listeners));
        const char **targets = calloc(launch->listener_count + 1, sizeof(*targets));

        if (!values || !listeners || !targets) {
                free(values);
                free(listeners);
                free(targets);
                return error_set(error, ENOMEM, "options of the module");
        }
        for (size_t i = 0; i < launch->value_count; i++)
                values[i] = (struct clade_value){
                        .name = launch->values[i].name,
                        .type = (enum clade_type)launch->values[i].type,
                        .string = launch->values[i].string,
                        .integer = launch->values[i].integer,
                        .strings = (const char *const *)launch->values[i].strings,
                };
        for (size_t i = 0; i < launch->listener_count; i++) {
                listeners[i] = launch->listeners[i].address;
                targets[i] = launch->listeners[i].target;
        }
        free((void *)prototype->application.values);
        free((void *)prototype->application.listeners);
        free((void *)prototype->application.targets);
        prototype->application.host = &host;
        prototype->application.failure = &prototype->failure;
        prototype->application.name = launch->application;
        prototype->application.values = values;
        prototype->application.value_count = launch->value_count;
        prototype->application.listeners = listeners;
        prototype->application.targets = targets;
        prototype->application.listener_count = launch->listener_count;
        prototype->application.slots = launch->slot_count;
        prototype->application.limits = launch->limits;
        prototype->application.http = launch->http;
        prototype->application.environment = launch->environment;
        environ = launch->environment;
        return 0;
}

int module_load(struct prototype *prototype, struct error *error)
{
        char path[64];
        void *library;

        /* By descriptor: our id may not be able to reach the file by name. The number stays open until
         * nothing more is loaded, as the loader takes two files of one name for the same. */
        snprintf(path, sizeof(path), "/proc/self/fd/%d", PROTOTYPE_FD_MODULE);
        library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
        if (!library)
                return error_say(error, ELIBACC, "module %s: %s", prototype->launch.module,
                                 dlerror());
        prototype->module = dlsym(library, CLADE_MODULE_SYMBOL);
        if (!prototype->module || prototype->module->api != CLADE_MODULE_API ||
            prototype->module->size != sizeof(struct clade_module) || !prototype->module->start)
                return error_say(error, ELIBBAD, "module %s is not what discovery saw",
                                 prototype->launch.module);
        return 0;
}

int module_setup(struct prototype *prototype, struct error *error)
{
        struct clade_application *application = &prototype->application;
        int r = values_collect(prototype, error);

        application->capacity = prototype->module->flags & CLADE_COUNTS_REQUESTS ? 1 : 0;
        if (r < 0 || !prototype->module->setup)
                return r;
        r = hook_result(prototype, "setup", prototype->module->setup(application), error);
        if (r == 0 && application->kept_count > CLADE_KEPT_MAX)
                r = error_say(error, EINVAL, "module %s wants to keep %zu descriptors, %d at most",
                              prototype->launch.module, application->kept_count, CLADE_KEPT_MAX);
        return r;
}

/* A clone has the one thread that cloned it: whatever another one held locked stays locked for ever. */
static int check_threads(struct error *error)
{
        cleanup_dir DIR *tasks = opendir("/proc/self/task");
        unsigned threads = 0;
        struct dirent *entry;

        /* A root without /proc has its reasons, and so has a Landlock domain without it. */
        if (!tasks)
                return errno == ENOENT || errno == EACCES
                               ? 0
                               : error_set(error, errno, "counting the threads");
        while ((entry = readdir(tasks)))
                if (entry->d_name[0] != '.')
                        threads++;
        if (threads <= 1)
                return 0;
        error_say(error, EINVAL, "preload left %u threads running", threads);
        return error_remedy(error,
                            "start threads in the workers, after the clone: one that runs in "
                            "the prototype does not exist in them, and its locks stay taken");
}

int module_preload(struct prototype *prototype, struct error *error)
{
        /* The options moved with launch_keep. */
        int r = values_collect(prototype, error);

        if (r < 0)
                return r;
        if (prototype->module->preload) {
                int result = prototype->module->preload(&prototype->application);

                r = hook_result(prototype, "preload", result, error);
        }
        return r < 0 ? r : check_threads(error);
}
