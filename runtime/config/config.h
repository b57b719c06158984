/* The configuration: one JSON file, strictly read (docs/configuration.md).
 *
 * All errors of a file are collected, each with line, column and JSON pointer, what was expected, and
 * the nearest known key where one is misspelt. A struct config exists only when there were none.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include "base/error.h"
#include "isolation/ladder.h"
#include "runtime/catalogue/catalogue.h"

struct diagnostic {
        char *file;
        unsigned line, column; /* from 1; 0 where the place is not known */
        char *pointer;         /* RFC 6901: "/applications/hello/processes"; "" is the whole file */
        char *text;            /* one sentence: what is there, what was expected, what to do */
};

struct diagnostics {
        struct diagnostic *list;
        size_t count;
};

void diagnostics_finish(struct diagnostics *diagnostics);

/* -ENOMEM or 0. */
int diagnostics_add(struct diagnostics *diagnostics, const char *file, unsigned line,
                    unsigned column, const char *pointer, const char *format, ...)
        __attribute__((format(printf, 6, 7)));

struct config_listener {
        char *address; /* as written: "127.0.0.1:8080", "[::1]:80", "*:8080", "unix:/run/x", "unix:@x" */
        struct sockaddr_storage socket_address;
        socklen_t socket_length;
        size_t application; /* index: where connections go */
        char *target;       /* of that application; or NULL */
};

/* OCI form. Options are not interpreted here (runtime/compile does, with libmount). */
struct config_mount {
        char *destination;
        char *type;     /* "bind", "tmpfs", "proc"; NULL: bind where there is a source */
        char *source;   /* or NULL */
        char **options; /* NULL at the end */
        char *pointer;  /* where it stands, for later errors */
};

/* The ids [container, container + size) inside are [host, host + size) on the host. */
struct config_id_extent {
        uint32_t container, host, size;
};

/* Without extents it is "auto". They overlap on neither side, and none has host id 0. */
struct config_id_map {
        bool given;
        struct config_id_extent *extents;
        size_t count; /* at most CONFIG_EXTENTS_MAX */
};

#define CONFIG_EXTENTS_MAX 124 /* what one write of a map can hold: isolation/plan.h */

/* Paths inside the root. */
struct config_paths {
        bool given; /* and then it takes the default's place, also where it is empty */
        char **list;
        size_t count;
};

enum config_network {
        CONFIG_NETWORK_NONE,     /* an empty network namespace: the default */
        CONFIG_NETWORK_LOOPBACK, /* one of its own with "lo", for applications without TCP listeners */
        CONFIG_NETWORK_HOST,
};

/* What is kept in the application's own user namespace, by the bits' numbers. */
struct config_capabilities {
        uint64_t inheritable, ambient, bounding;
};

struct config_time_offsets {
        bool given;
        int64_t monotonic, boottime; /* seconds */
};

struct config_landlock_path {
        char *path;      /* inside; "/" too */
        uint64_t rights; /* LANDLOCK_ACCESS_FS_*, never none */
};

struct config_ports {
        bool given; /* and then all others are refused, also where the list is empty */
        uint16_t *list;
        size_t count;
};

struct config_landlock {
        bool has_paths;
        struct config_landlock_path *paths;
        size_t path_count;
        struct config_ports bind, connect;
        uint64_t scopes; /* LANDLOCK_SCOPE_* that must hold: asked for in words */
        bool audit;      /* what is refused goes to the host's audit log */
};

struct config_isolation {
        uint64_t namespaces; /* CLONE_NEW*: all, less what is switched off; NEWNET by `network` */
        char *rootfs;        /* a template's name, or an absolute path to a template or directory;
                              * NULL: none (only without a mount namespace) */
        struct config_mount *mounts;
        size_t mount_count;
        bool root_writable;              /* the root's own tmpfs stays writable; only that */
        uint64_t root_size, root_inodes; /* of that tmpfs; 0: a default */
        struct config_paths masked, read_only;
        struct config_id_map uid_map, gid_map; /* both given, or neither */
        enum config_network network;
        enum ladder_level maximum; /* no more than this is made use of; default LADDER_FULL */
        enum ladder_level minimum; /* with less there is no start; default: all that is asked for */
        bool minimum_named;        /* it is in the file */
        bool unix_clients;         /* connect() stays, for AF_UNIX; needs Landlock to refuse TCP */
        char *seccomp; /* "default", "strict", or a profile's absolute path; NULL: "default" */
        bool deny_write_execute; /* memory is never both writable and executable */
        char *hostname;          /* or NULL: the application's name */
        struct config_time_offsets time_offsets;
        struct config_capabilities capabilities;
        struct config_landlock landlock;
};

struct config_value {
        char *name;
        enum clade_type type;
        char *string;
        int64_t integer;
        char **strings; /* NULL at the end */
};

#define CONFIG_CPUS_MAX 8192 /* as many as the kernel can be built for (CONFIG_NR_CPUS) */

struct config_rlimit {
        const char *name;  /* "RLIMIT_NOFILE" */
        size_t index;      /* in the file's array, for later errors */
        uint32_t resource; /* RLIMIT_* */
        uint64_t soft, hard;
};

#define CONFIG_UNLIMITED UINT64_MAX
#define CONFIG_CPU_UNIT  100000 /* one processor */

/* Of one block device; each CONFIG_UNLIMITED or at least 1 in a second. */
struct config_io {
        char *device; /* its path */
        uint64_t read_bytes, write_bytes, read_requests, write_requests;
};

/* What control groups hold; each CONFIG_UNLIMITED where nothing is said. */
struct config_resources {
        uint64_t memory; /* bytes */
        uint64_t swap;   /* bytes beyond that; CONFIG_UNLIMITED with `memory`: none */
        uint64_t cpu;    /* in CONFIG_CPU_UNITs' parts */
        uint64_t tasks;  /* processes and threads, the prototype among them */
        bool oom_group;  /* one process out of memory ends all of them, rather than one */
        struct config_io *io;
        size_t io_count;
};

/* Whether anything in it is limited. */
bool config_needs_cgroup(const struct config_resources *resources);

/* What an application may use up. What is not said is left to defaults (runtime/compile). */
struct config_limits {
        struct config_resources resources;
        struct config_rlimit *rlimits; /* each resource once */
        size_t rlimit_count;
        bool has_nice, has_oom_score;
        int32_t nice;      /* -20 .. 19 */
        int32_t oom_score; /* -1000 .. 1000 */
        uint64_t *cpus;    /* a mask, 64 in each word */
        size_t cpu_words;  /* 0: any */
        uint64_t requests; /* that a worker serves before it is replaced; 0: no limit */
        uint32_t timeout;  /* s that one of them may take; 0: no limit */
};

/* How many workers there are. A number N in the file is max N, spare N, and nothing ever ends. */
struct config_processes {
        uint32_t max; /* 1 .. CONFIG_PROCESSES_MAX; default 1 */
        uint32_t
                spare; /* idle ones that are kept ready, at most max; 0: none, until a client comes */
        uint32_t idle_timeout; /* s after which an idle one beyond `spare` ends; default 15 */
        bool dynamic;          /* it is an object */
};

struct config_application {
        char *name;
        char *type; /* as written: "python 3" */
        const struct catalogue_module *module;
        struct config_processes processes;
        char **environment;              /* "NAME=value", NULL at the end, in the file's order */
        char *working_directory;         /* or NULL */
        char *stdout_path, *stderr_path; /* or NULL: into clade's log */
        uint32_t uid, gid;               /* inside; defaults CONFIG_ID_DEFAULT */
        char *user, *group;              /* names for the generated passwd and group; never NULL */
        struct config_value *values;     /* the module's options, checked against the catalogue */
        size_t value_count;
        struct config_isolation isolation;
        struct config_limits limits;
        char *pointer;
};

#define CONFIG_PROCESSES_MAX      1024
#define CONFIG_ID_DEFAULT         1000
#define CONFIG_RANGE_SIZE_DEFAULT 65536
#define CONFIG_FILE_MAX           (4u << 20) /* bytes */

struct config_settings {
        uint32_t stop_timeout;  /* s; default 30 */
        uint32_t start_timeout; /* s from the clone to ready; default 60 */
        /* settings.id_ranges: the host's ids that root gives to applications, id_count ranges of id_size
         * ids each from id_first on. Defaults: 4096 of 65536 from 1879048192 on. Who is not root has
         * what subuid(5) grants, and of this only id_size, where it is written (0: it is not). */
        uint32_t id_first, id_count, id_size;
        char *templates;                 /* a directory of rootfs templates beside ours; or NULL */
        char *cgroup;                    /* the directory of a control group for us; NULL: found */
        char *state_directory;           /* where root remembers them; default /var/lib/clade */
        struct clade_http_settings http; /* settings.http; for modules that speak it */
};

struct config {
        char *file;
        struct config_settings settings;
        struct config_listener *listeners;
        size_t listener_count;
        struct config_application *applications;
        size_t application_count;
};

/* Reads a file and checks everything that can be known without touching what it names. The catalogue
 * says which types and options there are, and must outlive the config.
 * 0; -EINVAL with at least one diagnostic; another negative errno with `error` filled when the file
 * could not be read at all. */
int config_load(const char *file, const struct catalogue *catalogue, struct config *config,
                struct diagnostics *diagnostics, struct error *error);

/* The same from memory; `file` is for messages. */
int config_parse(const char *file, const char *text, size_t size, const struct catalogue *catalogue,
                 struct config *config, struct diagnostics *diagnostics);

void config_finish(struct config *config);
