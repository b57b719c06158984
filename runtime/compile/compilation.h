/* One application's compilation, as its parts share it. Each part fills its own fields of the plan or the
 * launch; the order is compile.c's. */
#pragma once

#include "runtime/compile/arena.h"
#include "runtime/compile/compile.h"
#include "runtime/compile/root.h"

struct compiled {
        struct arena arena; /* owns all that the launch points to */
        struct launch launch;
};

struct compilation {
        const struct compile *compile;
        const struct config_application *application;
        size_t index; /* of the application */
        struct arena *arena;
        struct launch *launch;
        struct plan *plan; /* the launch's */
        struct root root;
        size_t template_end; /* the first entry that is not the template's */
        enum ladder_level level;
        bool host_paths; /* the root's entries only say what Landlock shall allow on the host */
        struct config_application limited; /* the application, less what the level cannot give */
        bool proc_read_only; /* something in it could undo what was set from outside */
};

/* "configuration /applications/a/...: " in front of an error. */
int error_at(struct error *error, const struct compilation *compilation, const char *format, ...)
        __attribute__((format(printf, 3, 4)));

/* Whether mounts can be opened here, to be moved into the new namespace, rather than by the child. */
bool compile_may_mount(void);

void compile_notice(const struct compilation *compilation, const char *text);

/* root_parts.c: everything that the new root is made of. */
int compile_root(struct compilation *compilation, struct error *error);

/* covers.c: masked and read-only paths of that root; its last part. */
int compile_covers(struct compilation *compilation, struct error *error);

/* limits.c: resource limits, never above those that we have. */
int compile_limits(struct compilation *compilation, struct error *error);
void compile_counts(struct compilation *compilation);

/* cgroup.c: what control groups hold. limits.tasks is left to limits.c where there are none and it can. */
int compile_cgroup(struct compilation *compilation, struct error *error);

/* scheduling.c: niceness, processors, OOM score; never better than what we have or may give. */
int compile_scheduling(struct compilation *compilation, struct error *error);

/* privileges.c: clocks, loopback, capabilities, the session keyring. */
int compile_privileges(struct compilation *compilation, struct error *error);

/* filters.c: the seccomp programs; after the capabilities, and after what Landlock holds is known. */
int compile_filters(struct compilation *compilation, struct error *error);

/* landlock.c: the domains of prototype and worker, for `abi` of the kernel (0: it has none). */
int compile_landlock(struct compilation *compilation, int abi, struct error *error);
