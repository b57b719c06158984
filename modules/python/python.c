/* The module for "python": its options, and its hooks in the order in which they run. */
#include "modules/python/python.h"

#include <errno.h>
#include <stdlib.h>

#include "modules/http/http.h"

#include "load.inc.h"

#define STACK_MINIMUM (128 << 10) /* bytes: Python needs some of it for itself */
#define STACK_MAXIMUM (1 << 30)

/* Python is started here, where all of the host is in sight, and nothing of the application's is run. */
static int setup(struct clade_application *application)
{
        struct python *python = calloc(1, sizeof(*python));
        const char *fault;
        int r;

        if (!python)
                return application->host->fail(application->failure, ENOMEM, NULL, "setup");
        application->data = python;
        r = options_read(application, python);
        if (r < 0)
                return r;
        application->capacity = python->threads;
        r = http_setup(application);
        if (r < 0)
                return r;
        fault = interpreter_start();
        if (fault)
                return application->host->fail(application->failure, EINVAL,
                                               "check that this Python is installed completely",
                                               "%s", fault);
        python->load = interpreter_module("clade_load", load_source);
        if (!python->load) {
                PyErr_Print();
                return application->host->fail(application->failure, EINVAL, NULL,
                                               "the module's own part in Python");
        }
        return 0;
}

static int start(struct clade_worker *worker)
{
        struct python *python = worker->application->data;
        int r;

        r = python->asgi ? asgi_serve(worker, python) : wsgi_serve(worker, python);
        if (r >= 0)
                python_finish(python);
        return r;
}

static const struct clade_option options[] = {
        {.name = "path",
         .type = CLADE_PATHS,
         .help = "directories in which modules are looked for, before all others"},
        {.name = "home", .type = CLADE_PATH, .help = "a virtual environment"},
        {.name = "module", .type = CLADE_STRING, .help = "the module that has the application"},
        {.name = "callable",
         .type = CLADE_STRING,
         .help = "the application in that module; \"application\" by default"},
        {.name = "factory",
         .type = CLADE_BOOLEAN,
         .help = "the callable makes the application: it is called once, without arguments"},
        {.name = "prefix",
         .type = CLADE_STRING,
         .help = "the part of the path that becomes SCRIPT_NAME, or root_path"},
        {.name = "protocol",
         .type = CLADE_STRING,
         .choices = "wsgi|asgi",
         .help = "found out by looking at the application by default"},
        {.name = "server",
         .type = CLADE_STRING,
         .choices = "uvicorn|hypercorn",
         .help = "what runs an ASGI application; by default the first of them that it has"},
        {.name = "targets",
         .type = CLADE_TARGETS,
         .choices = "module|callable|prefix",
         .help = "several applications in one"},
        {.name = "threads",
         .type = CLADE_INTEGER,
         .minimum = 1,
         .maximum = 1024,
         .help = "requests that a worker handles at once (WSGI); 1 by default"},
        {.name = "thread_stack_size",
         .type = CLADE_INTEGER,
         .minimum = STACK_MINIMUM,
         .maximum = STACK_MAXIMUM,
         .help = "bytes of stack for each of them but the first; the system's default by default"},
        HTTP_OPTIONS,
        {0},
};

const struct clade_module clade_module = {
        CLADE_MODULE_HEADER,
        .flags = CLADE_COUNTS_REQUESTS,
        .type = "python",
        .options = options,
        .describe = python_describe,
        .setup = setup,
        .preload = python_preload,
        .before_clone = python_before_clone,
        .clone_done = python_clone_done,
        .after_clone = python_after_clone,
        .start = start,
};
