/* Making the BPF programs of a plan with libseccomp, beforehand, in the supervisor.
 *
 * Two filters lie on a prototype and so on its workers: the *profile*, a list of what is allowed (what it
 * does not know answers ENOSYS, what it knows and refuses EPERM), and the *guards*, which allow
 * everything but certain arguments of calls that the profile lets through. They are two because
 * libseccomp cannot say "allow, except where" in one; the kernel takes the stricter answer. A worker adds
 * the short *difference*.
 */
#pragma once

#include <stdbool.h>

#include "base/error.h"
#include "isolation/plan.h"

struct seccomp_request {
        bool own_network;  /* not the host's: guard the inherited sockets, which are the host's */
        bool unix_clients; /* connect() stays allowed (Landlock refuses TCP) */
        bool tcp_confined; /* Landlock refuses bind and connect of TCP (ABI 4): bind() need not */
};

/* Programs and texts are allocated; the caller frees them with seccomp_filter_finish. */
int seccomp_compile_profile(const struct seccomp_request *request, struct plan_filter *ret_filter,
                            struct error *error);
int seccomp_compile_guards(const struct seccomp_request *request, struct plan_filter *ret_filter,
                           struct error *error);
int seccomp_compile_difference(const struct seccomp_request *request,
                               struct plan_filter *ret_filter, struct error *error);
void seccomp_filter_finish(struct plan_filter *filter);

/* All three programs for one request. */
struct seccomp_set {
        bool made;
        struct plan_filter profile, guards, difference;
};

/* Programs depend on nothing but the request, so a thousand applications share a handful of sets. A cache
 * starts zeroed and owns what it hands out: it must outlive every plan that refers to it. */
struct seccomp_cache {
        struct seccomp_set sets[8]; /* by the request's three bits */
};

/* The set for a request, made when it is first asked for; NULL with `error` filled. */
const struct seccomp_set *seccomp_cache_get(struct seccomp_cache *cache,
                                            const struct seccomp_request *request,
                                            struct error *error);
void seccomp_cache_finish(struct seccomp_cache *cache);
