/* clade/module.h - how to write a module for clade.
 *
 * A module teaches clade one type of application ("python", "external", ...). It is a shared object
 * that exports one symbol, `clade_module`, of type const struct clade_module; this header is all that
 * it needs, and it links against nothing of clade's. Its file is called TYPE.clade.so and is found by
 * a glob (clade run --modules GLOB).
 *
 *     #include <clade/module.h>
 *
 *     static int start(struct clade_worker *worker) { ... return 0; }
 *
 *     const struct clade_module clade_module = {
 *             CLADE_MODULE_HEADER,
 *             .type = "mine", .version = "1.0", .start = start,
 *     };
 *
 * Where and when its code runs, in the order of an application's life:
 *
 *   describe     in discovery, a sandboxed process of its own, at the start of clade. The module says
 *                what it found out at run time: its version, what must be visible inside the root.
 *   setup        in the prototype, before the root changes: the host's files are readable as far as
 *                the application's own id can read them, nothing of the application has run. Load
 *                libraries and interpreters here; never the application.
 *   preload      in the prototype, after the last lock: load the application. Whatever runs here is
 *                the tenant's code as far as clade is concerned. All workers share what it leaves in
 *                memory. No thread may be alive when it returns.
 *   after_clone  in each worker, before any more of the application's code: reseed random state, drop
 *                what must not be shared.
 *   start        in each worker: serve until SIGTERM, then return an exit status (0..255), or exec.
 *
 * Hooks may be NULL, apart from start. describe, setup, preload and after_clone return 0, or a negative
 * errno after calling clade_fail with a text for people. Nothing here is called from two threads.
 *
 * Descriptors in a worker: 0 is /dev/null, 1 and 2 lead to clade's log, the listeners follow from 3 on.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

/* Changes whenever a module must be compiled anew. */
#define CLADE_MODULE_API 1

/* What else must be the same on both sides for structs and hooks to mean the same: the kind of machine.
 * A module built otherwise is skipped with a notice. */
#if defined(__x86_64__)
#define CLADE_MODULE_BUILD "x86_64"
#elif defined(__aarch64__)
#define CLADE_MODULE_BUILD "aarch64"
#elif defined(__riscv)
#define CLADE_MODULE_BUILD "riscv"
#else
#define CLADE_MODULE_BUILD "other"
#endif

#define CLADE_MODULE_HEADER                                                                        \
        .api = CLADE_MODULE_API, .size = sizeof(struct clade_module), .build = CLADE_MODULE_BUILD

/* The types that an option can have in the configuration. */
enum clade_type {
        CLADE_STRING, /* a JSON string */
        CLADE_PATH, /* an absolute path on the host; clade makes it visible inside, read-only and at
                        * the same path, where the root does not show it anyway */
        CLADE_INTEGER, /* a JSON integer within minimum and maximum */
        CLADE_BOOLEAN,
        CLADE_STRINGS, /* a JSON array of strings */
};

/* An option that an application of this type can have. Lists of them end with a NULL name. */
struct clade_option {
        const char *name; /* a JSON key: lower case, digits, underscores; at most 63 bytes */
        enum clade_type type;
        int required;             /* 0 or 1 */
        int64_t minimum, maximum; /* INTEGER, both inclusive */
        const char *choices;      /* STRING: the values allowed, separated by "|"; NULL: any */
        const char *help;         /* one line for people */
};

/* A file or directory of the host that applications of this type need inside. Lists end with NULL. */
struct clade_mount {
        const char *source; /* absolute path on the host */
        const char *target; /* absolute path inside; NULL: the same */
        int optional;       /* 1: left out without a word where the host does not have it */
};

/* The value that an application's configuration gives to an option. */
struct clade_value {
        const char *name;
        enum clade_type type;
        const char *string;         /* STRING, PATH */
        int64_t integer;            /* INTEGER; BOOLEAN as 0 and 1 */
        const char *const *strings; /* STRINGS; NULL at the end */
};

/* When a worker counts as ready. */
enum clade_ready {
        CLADE_READY_CALLED, /* when it calls clade_worker.ready: the default */
        CLADE_READY_EXEC,   /* when its exec has succeeded */
        CLADE_READY_NOTIFY, /* when it, or a child of its, sends READY=1 to NOTIFY_SOCKET as
                             * sd_notify(3) does; start finds the variable in its environment */
};

/* A failure's text. Opaque; filled by clade_host.fail. */
struct clade_failure;

/* What clade offers to a module. */
struct clade_host {
        /* Says what went wrong: a positive errno, what to do about it (or NULL), and a printf text.
         * Returns -code, to be returned by the hook. */
        int (*fail)(struct clade_failure *failure, int code, const char *remedy, const char *format,
                    ...) __attribute__((format(printf, 4, 5)));
};

/* What describe fills. */
struct clade_description {
        const struct clade_host *host;
        struct clade_failure *failure;
        /* Adds to what the module's struct says; strings are copied at once. 0 or a negative errno. */
        int (*version)(struct clade_description *description, const char *version);
        int (*mount)(struct clade_description *description, const struct clade_mount *mount);
};

/* The application, in the prototype and, as the clone's copy, in each worker. Everything here is
 * clade's and stays valid; only `ready` and `data` are the module's to change. */
struct clade_application {
        const struct clade_host *host;
        struct clade_failure *failure; /* of the hook that is running */
        const char *name;
        const struct clade_value *values; /* those that were configured */
        size_t value_count;
        const char *const *listeners; /* their addresses as configured: "127.0.0.1:8080" */
        size_t listener_count;
        char *const *environment; /* "NAME=value"; also in environ */
        enum clade_ready ready;   /* set it in setup */
        void *data;               /* the module's own */
};

struct clade_worker {
        struct clade_application *application;
        struct clade_failure *failure;
        uint32_t slot;        /* 0 .. processes-1: no two living workers have the same */
        uint64_t serial;      /* counts clones: no two workers ever have the same */
        const int *listeners; /* application->listener_count descriptors, listening, blocking */
        /* Tells clade that this worker serves now (CLADE_READY_CALLED). */
        void (*ready)(struct clade_worker *worker);
};

struct clade_module {
        uint32_t api;               /* CLADE_MODULE_API */
        uint32_t size;              /* sizeof(struct clade_module) */
        const char *build;          /* CLADE_MODULE_BUILD */
        const char *type;           /* lower case, digits, "-"; at most 31 bytes */
        const char *version;        /* numbers separated by dots: "3.11.2"; at most 31 bytes */
        const char *const *aliases; /* other names of the type, NULL at the end; may be NULL */
        const struct clade_option *options;
        const struct clade_mount *mounts;

        int (*describe)(struct clade_description *description);
        int (*setup)(struct clade_application *application);
        int (*preload)(struct clade_application *application);
        int (*after_clone)(struct clade_worker *worker);
        /* The exit status; or, when it never got to serve, a negative errno after `fail`. */
        int (*start)(struct clade_worker *worker);
};

#define CLADE_MODULE_SYMBOL "clade_module"

extern __attribute__((visibility("default"))) const struct clade_module clade_module;

/* The value of an option, or NULL where it is not configured. */
static inline const struct clade_value *clade_value(const struct clade_application *application,
                                                    const char *name)
{
        for (size_t i = 0; i < application->value_count; i++) {
                const char *a = application->values[i].name, *b = name;

                while (*a && *a == *b)
                        a++, b++;
                if (*a == *b)
                        return &application->values[i];
        }
        return NULL;
}

/* Not needed by modules: for the entry point of a `native` application, which is a shared object too.
 *
 *     int clade_main(const struct clade_native *native);
 *
 * It is called in each worker and serves until SIGTERM; its return value is the exit status. A function
 * `int clade_preload(void)`, where the library has one, is called once in the prototype, after the last
 * lock, as the library's constructors are; non-zero refuses the start. */
struct clade_native {
        uint32_t
                size; /* sizeof(struct clade_native) on clade's side; members are only ever added */
        uint32_t slot;
        uint64_t serial;
        const char *application;
        const int *listeners;
        const char *const *addresses;
        size_t listener_count;
        void (*ready)(const struct clade_native *native);
        void *internal; /* clade's */
};
