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
 *   before_clone, clone_done
 *                in the prototype, around each clone: what locks must be held, what must be flushed.
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
#define CLADE_MODULE_API 2

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
        CLADE_PATHS,   /* a path as above, or an array of such; the value is always a list */
        CLADE_TARGETS, /* several entry points behind one application: a JSON object of names, each with an
                        * object of strings. `choices` lists the members that those may have, the first of
                        * which they must have: "module|callable|prefix". Listeners pass to
                        * "applications/NAME/TARGET". Each member is a value of its own, called
                        * "OPTION/TARGET/MEMBER": "targets/blog/module"; no part has a slash. A module
                        * has one such option at most. */
};

/* An option that an application of this type can have. Lists of them end with a NULL name. */
struct clade_option {
        const char *name; /* a JSON key: lower case, digits, underscores; at most 63 bytes */
        enum clade_type type;
        int required;             /* 0 or 1 */
        int64_t minimum, maximum; /* INTEGER, both inclusive */
        const char *choices;      /* STRING: the values allowed, separated by "|"; NULL: any.
                                   * TARGETS: see there */
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
        const char *string;         /* STRING, PATH, a target's member */
        int64_t integer;            /* INTEGER; BOOLEAN as 0 and 1 */
        const char *const *strings; /* STRINGS, PATHS; NULL at the end */
};

/* What the configuration says of requests, for modules that count them. */
struct clade_limits {
        uint64_t requests; /* a worker ends when it has served so many; 0: never */
        uint32_t
                timeout; /* s that one request may take; 0: for ever. clade ends a worker that takes
                            * longer; the module's part is to say where it hung, and to answer */
};

/* What the configuration says of HTTP (settings.http), for modules that speak it. */
struct clade_http_settings {
        uint32_t header_read_timeout, body_read_timeout, send_timeout,
                idle_timeout;   /* s; never 0 */
        uint64_t max_body_size; /* bytes */
};

/* How many descriptors of its own a module can have in each worker. */
#define CLADE_KEPT_MAX 8

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
        const char *const *targets;   /* what each of them passes to; NULL: no target */
        size_t listener_count;
        uint32_t slots; /* how many workers can be alive at once */
        struct clade_limits limits;
        struct clade_http_settings http;
        char *const *environment; /* "NAME=value"; also in environ */
        enum clade_ready ready;   /* set it in setup */
        uint32_t capacity;        /* how many requests a worker serves at once; 1, set it in setup.
                                   * A worker with that many is busy, and wants company */
        int kept[CLADE_KEPT_MAX]; /* descriptors that workers shall have as well, at other numbers (see */
        size_t kept_count;        /* clade_worker), close-on-exec; set both in setup */
        void *data;               /* the module's own */
};

struct clade_worker {
        struct clade_application *application;
        struct clade_failure *failure;
        uint32_t slot;        /* 0 .. processes-1: no two living workers have the same */
        uint64_t serial;      /* counts clones: no two workers ever have the same */
        const int *listeners; /* application->listener_count descriptors, listening, blocking */
        const int *kept;      /* what became of application->kept */
        /* Tells clade that this worker serves now (CLADE_READY_CALLED). */
        void (*ready)(struct clade_worker *worker);
        /* A module with CLADE_COUNTS_REQUESTS says when it begins to work on a request, and when it is done
         * with that; what begin returns goes to end, once. From any thread, at any time, without blocking. */
        uint64_t (*begin)(struct clade_worker *worker);
        void (*end)(struct clade_worker *worker, uint64_t ticket);
        /* It takes no more requests and will end, as limits.requests wants it: no failure, and another
         * worker may be made ready meanwhile. */
        void (*leave)(struct clade_worker *worker);
};

enum {
        /* Workers say what they work on, with begin and end. Only then an application can have `limits.requests`,
         * `limits.timeout`, and as many processes as it needs at a time. */
        CLADE_COUNTS_REQUESTS = 1,
};

struct clade_module {
        uint32_t api;               /* CLADE_MODULE_API */
        uint32_t size;              /* sizeof(struct clade_module) */
        const char *build;          /* CLADE_MODULE_BUILD */
        uint32_t flags;             /* CLADE_COUNTS_REQUESTS, or 0 */
        const char *type;           /* lower case, digits, "-"; at most 31 bytes */
        const char *version;        /* numbers separated by dots: "3.11.2"; at most 31 bytes */
        const char *const *aliases; /* other names of the type, NULL at the end; may be NULL */
        const struct clade_option *options;
        const struct clade_mount *mounts;

        int (*describe)(struct clade_description *description);
        int (*setup)(struct clade_application *application);
        int (*preload)(struct clade_application *application);
        void (*before_clone)(struct clade_application *application);
        void (*clone_done)(struct clade_application *application);
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
        /* As in struct clade_worker; an application that never calls them has no limits on requests. */
        struct clade_limits limits;
        uint64_t (*begin)(const struct clade_native *native);
        void (*end)(const struct clade_native *native, uint64_t ticket);
        void (*leave)(const struct clade_native *native);
};
