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
