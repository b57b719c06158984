#include "runtime/supervisor/privileges.h"

#include <errno.h>
#include <linux/keyctl.h>
#include <sys/capability.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/own.h"

static const struct {
        cap_value_t capability;
        const char *reason;
} kept[] = {
        {CAP_SYS_ADMIN, "namespaces, and opening mounts for applications"},
        {CAP_SETUID, "uid maps; ids of an application without a user namespace"},
        {CAP_SETGID, "gid maps, and groups likewise"},
        {CAP_SETPCAP, "emptying the bounding set"},
        {CAP_KILL, "signals to processes of other ids"},
        {CAP_DAC_OVERRIDE, "sources, logs and sockets wherever root may have them"},
        {CAP_DAC_READ_SEARCH, "the same, for reading"},
        {CAP_CHOWN, "sockets and logs that shall belong to somebody"},
        {CAP_FOWNER, "modes of them"},
        {CAP_NET_BIND_SERVICE, "listeners on ports below 1024"},
        {CAP_SYS_RESOURCE, "an OOM score below our own, where the administrator asks for it"},
        {CAP_SYS_NICE, "a niceness below our own, likewise"},
};

static void free_caps(cap_t *caps)
{
        if (*caps)
                cap_free(*caps);
}

/* Not the one of the login or service that we were started from: applications with our own id have ours.
 * Where an engine refuses it, each application's plan says so. */
static int leave_session_keyring(struct error *error)
{
        if (syscall(SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, NULL) >= 0 || errno == ENOSYS ||
            errno == EPERM || errno == EACCES)
                return 0;
        error_set(error, errno, "keyctl(KEYCTL_JOIN_SESSION_KEYRING)");
        if (errno == EDQUOT)
                error_remedy(error, "this user has as many keys as it may have: raise "
                                    "kernel.keys.maxkeys (sysctl)");
        return -error->code;
}

int privileges_trim(struct error *error)
{
        cleanup(free_caps) cap_t now = cap_get_proc();
        cleanup(free_caps) cap_t wanted = cap_init();
        cap_flag_value_t held;
        int r = leave_session_keyring(error);

        if (r < 0)
                return r;
        if (!now || !wanted)
                return error_set(error, errno, "capabilities of this process");
        for (size_t i = 0; i < ARRAY_SIZE(kept); i++) {
                if (cap_get_flag(now, kept[i].capability, CAP_PERMITTED, &held) < 0 ||
                    held != CAP_SET)
                        continue;
                cap_set_flag(wanted, CAP_PERMITTED, 1, &kept[i].capability, CAP_SET);
                cap_set_flag(wanted, CAP_EFFECTIVE, 1, &kept[i].capability, CAP_SET);
        }
        /* The bounding set first, as long as we may; an ordinary user has nothing to drop from it. */
        if (cap_get_flag(now, CAP_SETPCAP, CAP_EFFECTIVE, &held) == 0 && held == CAP_SET) {
                for (cap_value_t capability = 0; capability <= cap_max_bits() - 1; capability++) {
                        if (cap_get_flag(wanted, capability, CAP_PERMITTED, &held) == 0 &&
                            held == CAP_SET)
                                continue;
                        if (prctl(PR_CAPBSET_DROP, capability, 0, 0, 0) < 0 && errno != EINVAL)
                                return error_set(error, errno, "dropping capability %d",
                                                 capability);
                }
        }
        if (cap_set_proc(wanted) < 0)
                return error_set(error, errno, "trimming capabilities");
        return 0;
}
