/* Making the BPF programs of a plan with libseccomp, beforehand, in the supervisor.
 *
 * Two filters lie on a prototype and so on its workers: the *profile*, which says which calls there are
 * (profile.h; a number that has no name answers ENOSYS whatever it says), and the *guards*, which allow
 * everything but certain calls and arguments, also where the profile would let them through. They are two
 * because libseccomp cannot say "allow, except where" in one; the kernel takes the stricter answer. A
 * worker adds the short *difference* and, where the configuration says "strict", a second profile, which
 * ends what only the prototype may do.
 */
#pragma once

#include <stdbool.h>

#include "base/codec.h"
#include "base/error.h"
#include "isolation/plan.h"
#include "isolation/seccomp/profile.h"

struct seccomp_request {
        const struct seccomp_profile *profile; /* of prototype and workers */
        const struct seccomp_profile *worker;  /* of workers besides; NULL: none */
        uint64_t capabilities; /* what they may ever have: a profile's rules can depend on it */
        bool own_network;  /* not the host's: guard the inherited sockets, which are the host's */
        bool unix_clients; /* connect() stays allowed (Landlock refuses TCP) */
        bool tcp_confined; /* Landlock refuses bind and connect of TCP (ABI 4): bind() need not */
        bool fixed_cpus;   /* sched_setaffinity() is refused */
        bool no_network_sockets; /* none are made but unix ones: there is no network namespace */
        bool no_unix_sockets;    /* nor those */
        bool deny_write_execute; /* memory is never made executable, where the kernel cannot say so
                                  * itself (PR_SET_MDWE, 6.3) */
};

/* Programs and texts are allocated; the caller frees them with seccomp_filter_finish. */
int seccomp_compile_profile(const struct seccomp_profile *profile, uint64_t capabilities,
                            struct plan_filter *ret_filter, struct error *error);
int seccomp_compile_guards(const struct seccomp_request *request, struct plan_filter *ret_filter,
                           struct error *error);
int seccomp_compile_difference(const struct seccomp_request *request,
                               struct plan_filter *ret_filter, struct error *error);
void seccomp_filter_finish(struct plan_filter *filter);

/* A call that clade itself needs and that a profile does not allow, or NULL. */
const char *seccomp_profile_lacks(const struct seccomp_profile *profile, uint64_t capabilities);

/* Whether the kernel would take a program: known instructions, jumps and loads within bounds, a return at
 * every end. */
bool seccomp_program_valid(const struct sock_filter *program, size_t length);

/* All three programs for one request. */
struct seccomp_set {
        struct plan_filter profile, guards, difference;
};

struct seccomp_entry;

/* Programs depend on nothing but the request, so a thousand applications share a handful of sets. A cache owns
 * what it hands out: it must outlive every plan that refers to it. Sets are remembered on the disk as well,
 * where there is a directory for it; whatever is wrong with that, sets are made instead. */
struct seccomp_cache {
        struct seccomp_entry *entries;
        int directory;        /* of our own, as store_open gives it; -1: none */
        unsigned made, found; /* sets that libseccomp made, and that were on the disk */
};

#define SECCOMP_CACHE_INIT                                                                         \
        {                                                                                          \
                .directory = -1                                                                    \
        }

/* Opens, or makes, the directory at an absolute path for a cache. It must be ours, and nobody else's to write
 * to. 0, or a negative errno, and the cache goes without. */
int seccomp_cache_open(struct seccomp_cache *cache, const char *path);

/* The set for a request, made when it is first asked for; NULL with `error` filled. */
const struct seccomp_set *seccomp_cache_get(struct seccomp_cache *cache,
                                            const struct seccomp_request *request,
                                            struct error *error);
void seccomp_cache_finish(struct seccomp_cache *cache);
