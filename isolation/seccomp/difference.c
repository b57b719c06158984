/* The difference: what a prototype may do and its workers may not.
 *
 * Workers share an id with their prototype, so the kernel would let them signal it. A worker's own
 * Landlock domain forbids that from ABI 6 on; below, this is all there is between a worker and pid 1
 * of its namespace. Installing it is paid for with every clone, so it is kept short; a worker's own profile
 * ("strict") is not, and is paid for by whoever asks for it. */
#include "isolation/seccomp/compiler.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "base/own.h"
#include "isolation/seccomp/program.h"

#define PROTOTYPE 1u         /* its pid, as workers see it */
#define EVERYBODY UINT32_MAX /* kill(-1); the kernel takes an int */

/* Processes named by an argument: those calls that take one as their first share their instructions. */
static const char *const by_pid[] = {
        "kill",
        "tkill",
        "tgkill", /* here it is the thread group */
        "rt_sigqueueinfo",
        "rt_tgsigqueueinfo",
        "pidfd_open",
};

static int refuse_by_pid(struct program *program, struct error *error)
{
        static const uint32_t pids[] = {PROTOTYPE, EVERYBODY};
        int r = 0;

        for (size_t i = 0; i < ARRAY_SIZE(by_pid) && r == 0; i++)
                for (size_t k = 0; k < ARRAY_SIZE(pids) && r == 0; k++) {
                        const struct condition condition = INT_IS(0, pids[k]);

                        r = program_rule(program, SCMP_ACT_ERRNO(EPERM), by_pid[i], &condition, 1,
                                         error);
                }
        return r;
}

/* A worker's own profile, in the same program. */
static int add_profile(const struct seccomp_request *request, struct plan_filter *filter,
                       struct error *error)
{
        struct plan_filter profile;
        int r;

        r = seccomp_compile_profile(request->worker, request->capabilities, &profile, error);
        if (r < 0)
                return r;
        free(profile.name);
        profile.name = strdup("worker's profile");
        if (!profile.name) {
                seccomp_filter_finish(&profile);
                return error_set(error, ENOMEM, "seccomp filter of the workers");
        }
        return program_chain(filter, &profile, error);
}

int seccomp_compile_difference(const struct seccomp_request *request,
                               struct plan_filter *ret_filter, struct error *error)
{
        /* A signal of one's choice whenever a descriptor becomes ready, to whomever F_SETOWN names. */
        static const struct condition any_signal = INT_IS(1, F_SETSIG);
        struct plan_filter filter = {.name = NULL};
        struct program program;
        int r;

        r = program_begin(&program, "difference", SCMP_ACT_ALLOW, false, error);
        if (r < 0)
                return r;
        r = refuse_by_pid(&program, error);
        /* /proc/1, opened, serves as a pidfd as well: no argument tells whose it is. Who uses pidfds
         * for signals (Go) falls back on kill. */
        if (r == 0)
                r = program_rule(&program, SCMP_ACT_ERRNO(EPERM), "pidfd_send_signal", NULL, 0,
                                 error);
        if (r == 0)
                r = program_rule(&program, SCMP_ACT_ERRNO(EPERM), "fcntl", &any_signal, 1, error);
        if (r < 0) {
                program_abandon(&program);
                return r;
        }
        r = program_end(&program, &filter, error);
        if (r == 0 && request->worker)
                r = add_profile(request, &filter, error);
        if (r < 0) {
                seccomp_filter_finish(&filter);
                return r;
        }
        *ret_filter = filter;
        return 0;
}
