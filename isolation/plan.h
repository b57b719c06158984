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

struct plan_id_map {
        uint32_t inside, outside, count;
};

struct plan_identity {
        uint32_t method;  /* enum plan_id_method */
        bool deny_groups; /* setgroups(2) is denied first: the price of an unprivileged gid map */
        struct plan_id_map uid_map, gid_map;
        uint32_t uid, gid; /* inside; what the prototype and its workers run as */
};

/* Something of the host's that becomes visible inside. It is opened before the root changes and is
 * known by its descriptor from then on; device and inode say what was promised, and whoever opens the
 * path compares. Each source belongs to exactly one PLAN_BIND entry: a tree is attached once. */
struct plan_source {
        char *path; /* on the host, absolute */
        uint64_t device, inode;
        uint64_t special; /* st_rdev of a device, else 0 */
        uint32_t type;    /* S_IFMT bits */
        bool readable;    /* the application's id must be able to read (and search) it: checked */
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
        PLAN_ENTRY_KINDS
};

struct plan_entry {
        uint32_t kind;   /* enum plan_entry_kind */
        char *target;    /* absolute inside the new root, no "." or "..", no doubled slash */
        char *content;   /* FILE: the bytes; SYMLINK: where it leads; otherwise NULL */
        uint32_t mode;   /* DIRECTORY, FILE, TMPFS: permission bits */
        uint32_t source; /* BIND: an index into the sources */
        uint64_t size;   /* TMPFS: bytes, 0 for the default of the step */
        uint64_t inodes; /* TMPFS: how many, 0 for the default of the step */
        uint64_t
                attributes; /* BIND, TMPFS, PROC: MOUNT_ATTR_* set, recursively (mount_setattr(2)) */
};

struct plan_rlimit {
        uint32_t resource; /* RLIMIT_* */
        uint64_t soft, hard;
};

/* A finished BPF program for seccomp(2). */
struct plan_filter {
        char *name;
        struct sock_filter *program;
        size_t length; /* instructions */
        char *text;    /* for people; does not cross the exec */
};

/* One Landlock domain. Rights that are handled are refused, apart from `root_allowed` beneath "/". */
struct plan_landlock {
        uint64_t handled_fs, handled_net, scoped;
        uint64_t root_allowed; /* a subset of handled_fs */
};

struct plan {
        uint64_t namespaces; /* CLONE_NEW* */
        struct plan_identity identity;
        bool privileged; /* the supervisor may open mounts itself (CAP_SYS_ADMIN over its own) */
        char *hostname;  /* NULL: left alone */

        bool root; /* there is a new root; otherwise no entries, and the host's tree stays */
        uint64_t root_size, root_inodes; /* of the tmpfs that the root is assembled on */
        struct plan_source *sources;
        size_t source_count;
        struct plan_entry *entries;
        size_t entry_count;

        struct plan_rlimit *rlimits;
        size_t rlimit_count;

        uint32_t landlock_abi; /* of the kernel that it was made for; 0: none */
        struct plan_landlock prototype_domain, worker_domain;
        /* The prototype installs its filters in this order; a worker inherits them and adds its own. */
        struct plan_filter *prototype_filters;
        size_t prototype_filter_count;
        struct plan_filter worker_filter; /* what a worker may not do beyond that */
};

/* Names every field, in either direction. Decoding checks what the steps rely on: known kinds, sources
 * within bounds, targets that are absolute and clean, programs of a sane length (those of the prototype
 * not empty), rights allowed among those handled. Encoding refuses the same with -EBADMSG. */
void plan_fields(struct codec *codec, struct plan *plan);

/* An absolute path without "." or ".." parts, doubled or trailing slashes. "/" itself is not one. */
bool plan_target_valid(const char *target);
