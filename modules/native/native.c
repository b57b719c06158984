/* The module for "native": a shared object with a function that each worker calls. The thinnest module there is, and
 * the one whose workers share the most: what its constructors and its preload function leave in memory is
 * there, once, for all of them.
 *
 * There are two kinds of such functions. clade_main (<clade/module.h>) has the worker to itself and serves as it likes;
 * clade_handle (<clade/http.h>) is called with one HTTP request at a time, by the unit that is linked in here.
 *
 * The library is the tenant's. It is opened in `preload`, after the last lock and no earlier. */
#include <clade/http.h>
#include <clade/module.h>

#include <dlfcn.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "modules/http/http.h"

#define SYMBOL_DEFAULT  "clade_main"
#define HANDLER_DEFAULT "clade_handle"
#define PRELOAD_DEFAULT "clade_preload"

typedef int main_function(const struct clade_native *);
typedef int handler_function(struct clade_request *);
typedef int preload_function(void);

/* What the library has: one of the two. */
struct entry {
        main_function *main;
        handler_function *handler;
};

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

/* The configuration may name one; otherwise the library says by what it exports, and clade_main, which can do
 * all that clade_handle can, wins. */
static int find_entry(struct clade_application *application, void *library, const char *path,
                      struct entry *ret_entry)
{
        const char *symbol = string_or(application, "symbol", SYMBOL_DEFAULT);
        const char *handler = string_or(application, "handler", HANDLER_DEFAULT);

        if (clade_value(application, "symbol") && clade_value(application, "handler"))
                return application->host->fail(application->failure, EINVAL,
                                               "leave one of them out",
                                               "both \"symbol\" and \"handler\" are given");
        if (!clade_value(application, "handler"))
                ret_entry->main = (main_function *)dlsym(library, symbol);
        if (!ret_entry->main && !clade_value(application, "symbol"))
                ret_entry->handler = (handler_function *)dlsym(library, handler);
        if (ret_entry->main || ret_entry->handler)
                return 0;
        if (clade_value(application, "handler"))
                return missing_symbol(application, path, handler,
                                      "export it with default visibility, or name another one "
                                      "with \"handler\"");
        return missing_symbol(application, path, symbol,
                              "export it, or " HANDLER_DEFAULT ", with default visibility, or name "
                              "another one with \"symbol\" or \"handler\"");
}

static int setup(struct clade_application *application)
{
        return http_setup(application);
}

static int preload(struct clade_application *application)
{
        const char *path = clade_value(application, "library")->string;
        void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
        struct entry *entry;
        int r;

        if (!library)
                return explain_dlopen(application, path);
        entry = calloc(1, sizeof(*entry));
        if (!entry)
                return application->host->fail(application->failure, ENOMEM, NULL, "no memory");
        application->data = entry;
        r = find_entry(application, library, path, entry);
        if (r == 0 && !entry->handler)
                http_forget(application);
        return r < 0 ? r : call_preload(application, library, path);
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

static int run_main(struct clade_worker *worker, main_function *function)
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

        /* A status as exit(3) takes it: never one of our own negative errors. */
        return function(&native) & 0xff;
}

static int handle(void *context, struct clade_request *request)
{
        const struct entry *entry = context;

        return entry->handler(request);
}

static int run_handler(struct clade_worker *worker, struct entry *entry)
{
        const struct http_hooks hooks = {.handle = handle, .context = entry};
        struct http_server *server;
        int r = http_server_create(worker, 1, &hooks, &server);

        if (r < 0)
                return r;
        r = http_server_run(server, 0);
        http_server_destroy(server);
        return r < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}

static int start(struct clade_worker *worker)
{
        struct entry *entry = worker->application->data;

        return entry->main ? run_main(worker, entry->main) : run_handler(worker, entry);
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
                .name = "handler",
                .type = CLADE_STRING,
                .help = "the function that is called with each HTTP request; " HANDLER_DEFAULT
                        " by default, where the library has no " SYMBOL_DEFAULT,
        },
        {
                .name = "preload",
                .type = CLADE_STRING,
                .help = "a function called once, before any worker is cloned; " PRELOAD_DEFAULT
                        " by default, where the library has it",
        },
        HTTP_OPTIONS,
        {0},
};

const struct clade_module clade_module = {
        CLADE_MODULE_HEADER, .flags = CLADE_COUNTS_REQUESTS,
        .type = "native",    .version = CLADE_VERSION,
        .options = options,  .setup = setup,
        .preload = preload,  .start = start,
};
