/* The module for "native": a shared object whose entry point is called in each worker. The thinnest
 * module there is, and the one whose workers share the most: what its constructors and its preload
 * function leave in memory is there, once, for all of them.
 *
 * The library is the tenant's. It is opened in `preload`, after the last lock and no earlier. */
#include <clade/module.h>

#include <dlfcn.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define SYMBOL_DEFAULT  "clade_main"
#define PRELOAD_DEFAULT "clade_preload"

typedef int main_function(const struct clade_native *);
typedef int preload_function(void);

static const char *string_or(const struct clade_application *application, const char *name,
                             const char *fallback)
{
        const struct clade_value *value = clade_value(application, name);

        return value ? value->string : fallback;
}

/* The loader's words begin with the name of the file that they are about. */
static int explain_dlopen(struct clade_application *application, const char *path)
{
        const char *words = dlerror();
        const char *remedy = "check \"library\" with ldd(1) and readelf(1)";

        if (!words)
                words = "the loader gives no reason";
        if (strstr(words, "cannot open shared object file"))
                remedy = strncmp(words, path, strlen(path)) == 0
                                 ? "the library must be readable by everybody"
                                 : "that library is missing inside the root: declare it under "
                                   "isolation.mounts, or use the rootfs \"host\"";
        else if (strstr(words, "undefined symbol"))
                remedy = "link the library with whatever defines that symbol";
        else if (strstr(words, "failed to map segment"))
                remedy = "remove noexec from the options of the mount that it lies on";
        return application->host->fail(application->failure, EINVAL, remedy, "dlopen of %s: %s",
                                       path, words);
}

static int missing_symbol(struct clade_application *application, const char *path,
                          const char *symbol, const char *remedy)
{
        return application->host->fail(application->failure, EINVAL, remedy,
                                       "%s has no function \"%s\"", path, symbol);
}

static int call_preload(struct clade_application *application, void *library, const char *path)
{
        const char *symbol = string_or(application, "preload", PRELOAD_DEFAULT);
        preload_function *preload = (preload_function *)dlsym(library, symbol);
        int status;

        if (!preload && clade_value(application, "preload"))
                return missing_symbol(
                        application, path, symbol,
                        "export it with default visibility, or leave \"preload\" out");
        if (!preload)
                return 0;
        status = preload();
        if (status != 0)
                return application->host->fail(application->failure, EINVAL, NULL,
                                               "%s in %s returned %d", symbol, path, status);
        return 0;
}

static int preload(struct clade_application *application)
{
        const char *path = clade_value(application, "library")->string;
        const char *symbol = string_or(application, "symbol", SYMBOL_DEFAULT);
        void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);

        if (!library)
                return explain_dlopen(application, path);
        application->data = dlsym(library, symbol);
        if (!application->data)
                return missing_symbol(application, path, symbol,
                                      "export it with default visibility, or name another one "
                                      "with \"symbol\"");
        return call_preload(application, library, path);
}

static void ready(const struct clade_native *native)
{
        struct clade_worker *worker = native->internal;

        worker->ready(worker);
}

static uint64_t begin(const struct clade_native *native)
{
        struct clade_worker *worker = native->internal;

        return worker->begin(worker);
}

static void end(const struct clade_native *native, uint64_t ticket)
{
        struct clade_worker *worker = native->internal;

        worker->end(worker, ticket);
}

static void leave(const struct clade_native *native)
{
        struct clade_worker *worker = native->internal;

        worker->leave(worker);
}

static int start(struct clade_worker *worker)
{
        const struct clade_application *application = worker->application;
        const struct clade_native native = {
                .size = sizeof(native),
                .slot = worker->slot,
                .serial = worker->serial,
                .application = application->name,
                .listeners = worker->listeners,
                .addresses = application->listeners,
                .listener_count = application->listener_count,
                .ready = ready,
                .internal = worker,
                .limits = application->limits,
                .begin = begin,
                .end = end,
                .leave = leave,
        };
        main_function *function = (main_function *)application->data;

        /* A status as exit(3) takes it: never one of our own negative errors. */
        return function(&native) & 0xff;
}

static const struct clade_option options[] = {
        {
                .name = "library",
                .type = CLADE_PATH,
                .required = 1,
                .help = "the shared object that is the application",
        },
        {
                .name = "symbol",
                .type = CLADE_STRING,
                .help = "the function that each worker calls; " SYMBOL_DEFAULT " by default",
        },
        {
                .name = "preload",
                .type = CLADE_STRING,
                .help = "a function called once, before any worker is cloned; " PRELOAD_DEFAULT
                        " by default, where the library has it",
        },
        {0},
};

const struct clade_module clade_module = {
        CLADE_MODULE_HEADER, .flags = CLADE_COUNTS_REQUESTS,
        .type = "native",    .version = CLADE_VERSION,
        .options = options,  .preload = preload,
        .start = start,
};
