/* The plan: everything that confining one application needs to know, decided beforehand.
 *
 * Whatever is slow or can go wrong for reasons that a person should hear about early (names, options,
 * libseccomp) has happened when a plan exists. Applying it is a row of system calls. A plan is made
 * once for each application and used for each of its starts; it crosses the exec of the prototype
 * as an image in a sealed memfd (base/codec.h).
 *
 * A plan owns nothing: its strings and arrays belong to whoever made it (an arena of the compiler,
 * or the codec's memory in the process that decoded it).
 */
#pragma once

#include <linux/filter.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/codec.h"

/* How the ids of the user namespace get their meaning (user_namespaces(7)). */
enum plan_id_method {
        PLAN_IDS_NONE,   /* no user namespace: the ids are the host's */
        PLAN_IDS_DIRECT, /* the cloning process writes the maps itself */
        PLAN_IDS_HELPER, /* newuidmap(1) and newgidmap(1) write them, from subuid(5) */
};

/* The ids [inside, inside + count) are [outside, outside + count) of the namespace above. */
struct plan_id_extent {
        uint32_t inside, outside, count;
};

/* A map has at least one extent where there is a user namespace, and they overlap on neither side. */
struct plan_id_map {
        struct plan_id_extent *extents;
        size_t count; /* at most PLAN_EXTENTS_MAX */
};

/* A map is one write of less than a page (user_namespaces(7)), and a line has up to 33 bytes. */
#define PLAN_EXTENTS_MAX 124

struct plan_identity {
        uint32_t method;  /* enum plan_id_method */
        bool deny_groups; /* setgroups(2) is denied first: the price of an unprivileged gid map */
        struct plan_id_map uid_map, gid_map;
        uint32_t uid, gid; /* inside; what the prototype and its workers run as */
};

/* Something of the host's that becomes visible inside. It is opened before the root changes and is
 * known by its descriptor from then on; device and inode say what was promised, and whoever opens the
 * path compares. Each source belongs to exactly one PLAN_BIND entry: a tree is attached once. */
enum plan_owner_map {
        PLAN_OWNERS_KEPT, /* files belong to whom they belong on the disk */
        PLAN_OWNERS_MOUNT, /* an idmapped mount: owner_uid and owner_gid are the application's ids there */
        PLAN_OWNERS_TREE, /* the same for all that is mounted below, too */
};

struct plan_source {
        char *path; /* on the host, absolute */
        uint64_t device, inode;
        uint64_t special;   /* st_rdev of a device, else 0 */
        uint32_t type;      /* S_IFMT bits */
        bool readable;      /* the application's id must be able to read (and search) it: checked */
        uint32_t owner_map; /* enum plan_owner_map */
        uint32_t owner_uid, owner_gid; /* on the disk; never 0 where they are mapped */
};

/* What the new root is made of, in order. A parent directory must be there before what lies in it. The
 * target of a mount is made where it is missing: a directory, or an empty file for a source that is no
 * directory; below something of the host's it must be there already. */
enum plan_entry_kind {
        PLAN_DIRECTORY,
        PLAN_FILE, /* a file with the given content, on the root's own tmpfs */
        PLAN_SYMLINK,
        PLAN_BIND, /* a source, with all that is mounted below it */
        PLAN_TMPFS,
        PLAN_PROC,
        PLAN_DEVPTS, /* an instance of its own */
        PLAN_MQUEUE, /* of our ipc namespace */
        PLAN_MASK, /* nothing is seen of what is there: an empty file or directory over it, read-only */
        PLAN_READONLY, /* what is there, once more on top of itself, read-only */
        PLAN_ENTRY_KINDS
};

/* Whether it mounts something of its own at its target. */
bool plan_is_mount(uint32_t kind);

/* What fsconfig(2) is told about a new file system beside size, inodes and mode. */
struct plan_parameter {
        char *key, *value;
};

struct plan_entry {
        uint32_t kind; /* enum plan_entry_kind */
        char *target;  /* absolute inside the new root, no "." or "..", no doubled slash */
        char *content; /* FILE: the bytes; SYMLINK: where it leads; otherwise NULL */
        uint32_t
                mode; /* DIRECTORY, FILE, TMPFS: permission bits. MASK, READONLY: S_IFDIR or S_IFREG */
        uint32_t source;     /* BIND: an index into the sources */
        uint64_t size;       /* TMPFS: bytes, 0 for the default of the step */
        uint64_t inodes;     /* TMPFS: how many, 0 for the default of the step */
        uint64_t attributes; /* MOUNT_ATTR_* of a mount, recursively (mount_setattr(2)) */
        bool access_times; /* BIND: MOUNT_ATTR__ATIME of the attributes counts; else left as it is */
        struct plan_parameter *parameters; /* TMPFS, PROC, DEVPTS, MQUEUE */
        size_t parameter_count;
};

struct plan_rlimit {
        uint32_t resource; /* RLIMIT_* */
        uint64_t soft, hard;
};

/* A finished BPF program for seccomp(2). */
struct plan_filter {
        char *name;
        struct sock_filter *program;
        size_t length;  /* instructions */
        uint32_t flags; /* SECCOMP_FILTER_FLAG_* */
        char *text;     /* for people; does not cross the exec */
};

/* One Landlock domain (landlock(7)): what is handled is refused, apart from what rules and ports allow.
 *
 * A rule's path is opened when the step runs: inside the new root, after the pivot; where there is no new
 * root, on the host. It leads through no symlink: whoever makes a plan resolves them, and one that has
 * come to be since is refused. Rights that mean nothing for a file are left out where the path is one. */
struct plan_landlock_rule {
        char *path;       /* plan_target_valid, or "/" */
        uint64_t allowed; /* LANDLOCK_ACCESS_FS_*, beneath it: not empty, a subset of handled_fs */
};

struct plan_landlock_port {
        uint32_t port;    /* TCP; 0 is the kernel's choice of a port to bind */
        uint64_t allowed; /* LANDLOCK_ACCESS_NET_*: not empty, a subset of handled_net */
};

struct plan_landlock {
        uint64_t handled_fs, handled_net, scoped;
        struct plan_landlock_rule *rules;
        size_t rule_count;
        struct plan_landlock_port *ports;
        size_t port_count;
        uint32_t
                flags; /* LANDLOCK_RESTRICT_SELF_*: what of its refusals the host's audit log gets */
};

/* What is kept of the capabilities in the application's own user namespace, by number of the bit
 * (capabilities(7)). Permitted and effective are the ambient ones. */
struct plan_capabilities {
        uint64_t inheritable, ambient, bounding;
};

/* What the cloning process sets for its clone, as it may have a privilege that nobody inside has. All of
 * it is inherited by whatever comes after. */
struct plan_scheduling {
        bool set_nice, set_oom_score;
        uint32_t nice;      /* an int32_t: -20 to 19 (setpriority(2)) */
        uint32_t oom_score; /* an int32_t: -1000 to 1000 (proc_pid_oom_score_adj(5)) */
        uint64_t *cpus;     /* a mask of 64 processors in each word (sched_setaffinity(2)) */
        size_t cpu_words;   /* 0: left alone */
};

/* What the clocks of a time namespace show beyond the host's (time_namespaces(7)). */
struct plan_clocks {
        bool set;
        uint64_t monotonic, boottime; /* int64_t, seconds */
};

/* Limits of the application's user namespace (isolation/counts.h). The clone sets them: nothing crosses the exec. */
struct plan_counts {
        bool set;
        uint64_t inotify_instances, inotify_watches;
};

/* Of one block device, in a second; PLAN_UNLIMITED where there is none. */
struct plan_io {
        uint32_t major, minor;
        uint64_t read_bytes, write_bytes, read_requests, write_requests;
};

/* The control group that prototype and workers are born in (isolation/cgroup.h). The cloning process makes it;
 * nothing of it crosses the exec. */
struct plan_cgroup {
        bool present;          /* there is one; otherwise nothing below counts */
        uint64_t memory, swap; /* bytes; PLAN_UNLIMITED */
        uint64_t cpu;          /* us in each 100 000 of them, over all processors; PLAN_UNLIMITED */
        uint64_t tasks;        /* processes and threads; PLAN_UNLIMITED */
        bool oom_group;        /* one out of memory ends all */
        struct plan_io *io;
        size_t io_count;
};

#define PLAN_UNLIMITED UINT64_MAX

struct plan {
        uint32_t level;      /* enum ladder_level; for people: does not cross the exec */
        uint64_t namespaces; /* CLONE_NEW* */
        struct plan_identity identity;
        bool privileged; /* the supervisor may open mounts itself (CAP_SYS_ADMIN over its own) */
        char *hostname;  /* NULL: left alone */
        bool loopback;   /* "lo" of the network namespace is brought up */
        bool keyring;    /* a session keyring of its own (session-keyring(7)) */
        bool deny_write_execute; /* by the kernel's own means (PR_SET_MDWE) */
        bool undumpable;         /* where nothing else keeps workers from each other's memory */
        struct plan_clocks clocks;
        struct plan_counts counts;
        struct plan_scheduling scheduling;
        struct plan_capabilities capabilities;

        bool root; /* there is a new root; otherwise no entries, and the host's tree stays */
        bool root_writable;              /* its own tmpfs stays writable for the application */
        uint64_t root_size, root_inodes; /* of the tmpfs that the root is assembled on */
        struct plan_source *sources;
        size_t source_count;
        struct plan_entry *entries;
        size_t entry_count;

        struct plan_cgroup cgroup;
        struct plan_rlimit *rlimits;
        size_t rlimit_count;

        uint32_t landlock_abi; /* of the kernel that it was made for; 0: none */
        /* The prototype enters two, one within the other: what follows from the rest of the plan, and what
         * the configuration says besides. Each worker enters one more. Any of them may be empty. */
        struct plan_landlock prototype_domain, configured_domain, worker_domain;
        /* The prototype installs its filters in this order; a worker inherits them and adds its own. */
        struct plan_filter *prototype_filters;
        size_t prototype_filter_count;
        struct plan_filter worker_filter; /* what a worker may not do beyond that */
};

/* Names every field, in either direction. Decoding checks what the steps rely on: known kinds, sources
 * within bounds, targets that are absolute and clean, programs of a sane length (those of the prototype
 * not empty), rights allowed among those handled, ambient capabilities among the inheritable ones. Encoding refuses the same with -EBADMSG. */
void plan_fields(struct codec *codec, struct plan *plan);

/* What an id inside is outside. False when the map does not have it. */
bool plan_map_id(const struct plan_id_map *map, uint32_t inside, uint32_t *ret_outside);

/* The application's own ids as the supervisor knows them: with a user namespace or without. */
uint32_t plan_host_uid(const struct plan_identity *identity);
uint32_t plan_host_gid(const struct plan_identity *identity);

/* An absolute path without "." or ".." parts, doubled or trailing slashes. "/" itself is not one. */
bool plan_target_valid(const char *target);
