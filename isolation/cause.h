/* Why a host refuses something: looked for after the refusal, in what the host shows of itself.
 *
 * An errno says little: EPERM is a sysctl, a security module, a container's filter, a chroot, a masked /proc.
 * Each of these leaves traces of its own. What is found is a guess all the same, and serves people only:
 * what a host allows is decided by trying. */
#pragma once

#include <stdint.h>

enum cause {
        CAUSE_UNKNOWN,
        CAUSE_USERNS_LIMIT,  /* user.max_user_namespaces, or another kind's */
        CAUSE_USERNS_SYSCTL, /* kernel.unprivileged_userns_clone */
        CAUSE_APPARMOR,      /* kernel.apparmor_restrict_unprivileged_userns */
        CAUSE_SECCOMP,       /* a filter around us */
        CAUSE_CHROOT,
        CAUSE_KERNEL,     /* too old, or built without it */
        CAUSE_PROCESSES,  /* too many */
        CAUSE_CAPABILITY, /* one of root's is missing */
        CAUSE_MASKED_PROC,
        CAUSE_NO_SUBUID,
        CAUSE_NO_HELPER,    /* newuidmap is not there, or not set-uid */
        CAUSE_NO_NEW_PRIVS, /* so newuidmap cannot work */
        CAUSE_ID_RANGE,     /* settings.id_ranges is not ours to give */
        CAUSE_LANDLOCK_ABSENT,
        CAUSE_LANDLOCK_DISABLED,
        CAUSE_NO_DELEGATION, /* of a control group */
        CAUSES
};

/* For machines: "masked-proc". They stand in the output of `clade doctor --json`. */
const char *cause_name(enum cause cause);
/* For people: what to do about it, one sentence. */
const char *cause_remedy(enum cause cause);

/* What stands behind the errno `code` of a clone into these namespaces, of writing id maps, of mounting a fresh
 * /proc, of Landlock, of another call that a start needs. */
enum cause cause_of_namespaces(int code, uint64_t namespaces);
enum cause cause_of_ids(int code);
enum cause cause_of_proc(int code);
enum cause cause_of_landlock(int code);
enum cause cause_of_call(int code);
