#include "isolation/cause.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "base/own.h"

static const struct {
        const char *name, *remedy;
} causes[CAUSES] = {
        [CAUSE_UNKNOWN] = {"unknown",
                           "a seccomp filter around clade, or a security module: look at "
                           "the kernel's log (dmesg, journalctl -k, ausearch) for who "
                           "refused it"},
        [CAUSE_USERNS_LIMIT] = {"namespace-limit",
                                "a limit on namespaces is reached, or is zero: look at "
                                "/proc/sys/user/max_*_namespaces, and raise it (sysctl "
                                "user.max_user_namespaces=16384)"},
        [CAUSE_USERNS_SYSCTL] = {"userns-sysctl",
                                 "this kernel keeps user namespaces from ordinary users: sysctl "
                                 "kernel.unprivileged_userns_clone=1, or run as root"},
        [CAUSE_APPARMOR] = {"apparmor",
                            "AppArmor keeps user namespaces from programs without a profile: give "
                            "clade a profile with userns, or sysctl "
                            "kernel.apparmor_restrict_unprivileged_userns=0"},
        [CAUSE_SECCOMP] = {"seccomp",
                           "the container engine's seccomp profile forbids it: run the container "
                           "with a profile that lets it make namespaces (Kubernetes: type "
                           "Localhost and clade's docs/kubernetes/clade.json), or let "
                           "isolation.minimum name a level that does without"},
        [CAUSE_CHROOT] = {"chroot",
                          "processes in a chroot may make no user namespace: start clade "
                          "in the root of a mount namespace (a container, or pivot_root)"},
        [CAUSE_KERNEL] = {"kernel", "this kernel lacks it: use Linux 5.15 or newer, built with all "
                                    "kinds of namespaces and with seccomp filters"},
        [CAUSE_PROCESSES] = {"processes",
                             "too many processes: raise the limit on processes (ulimit -u), "
                             "pids.max of the cgroup, or kernel.pid_max"},
        [CAUSE_CAPABILITY] = {"capability",
                              "without a user namespace the others need CAP_SYS_ADMIN: switch "
                              "isolation.namespaces.credential on, or run as root"},
        [CAUSE_MASKED_PROC] = {"masked-proc",
                               "something is mounted over a part of the outer /proc (containers "
                               "mask it), so the kernel refuses a fresh one: run clade where /proc "
                               "is whole (Kubernetes: procMount: Unmasked), or let "
                               "isolation.minimum name shared-proc"},
        [CAUSE_NO_SUBUID] = {"no-subuid",
                             "give clade's user a range of ids in /etc/subuid and /etc/subgid "
                             "(usermod --add-subuids 200000-265535 --add-subgids 200000-265535 "
                             "USER), or run as root"},
        [CAUSE_NO_HELPER] = {"no-newuidmap",
                             "install newuidmap and newgidmap (Debian: the package uidmap); they "
                             "must be set-uid root, on a filesystem without nosuid"},
        [CAUSE_NO_NEW_PRIVS] = {"no-new-privs",
                                "newuidmap cannot work under no_new_privs: start clade without it "
                                "(Kubernetes: allowPrivilegeEscalation: true; systemd: "
                                "NoNewPrivileges=no)"},
        [CAUSE_ID_RANGE] = {"id-range",
                            "as root clade needs CAP_SETUID and CAP_SETGID, and ids that its own "
                            "user namespace maps (settings.id_ranges)"},
        [CAUSE_LANDLOCK_ABSENT] = {"landlock-absent",
                                   "use Linux 5.13 or newer, built with Landlock "
                                   "(CONFIG_SECURITY_LANDLOCK)"},
        [CAUSE_LANDLOCK_DISABLED] = {"landlock-disabled",
                                     "this kernel has Landlock, switched off: name it among the "
                                     "security modules (boot with lsm=landlock,...)"},
        [CAUSE_NO_DELEGATION] = {"no-delegation",
                                 "have a control group delegated to clade (systemd: Delegate=yes "
                                 "in its unit)"},
};

const char *cause_name(enum cause cause)
{
        return causes[cause].name;
}

const char *cause_remedy(enum cause cause)
{
        return causes[cause].remedy;
}

/* --- traces ---------------------------------------------------------------------------------- */

/* The number in a file of /proc/sys, or -1 where there is no such file. */
static long read_sysctl(const char *path)
{
        cleanup_fd int fd = open(path, O_RDONLY | O_CLOEXEC);
        char text[32];
        ssize_t n;

        if (fd < 0)
                return -1;
        n = read(fd, text, sizeof(text) - 1);
        if (n <= 0)
                return -1;
        text[n] = '\0';
        return strtol(text, NULL, 10);
}

/* A call that asks for nothing always succeeds, unless a filter refuses it by its number. */
static bool unshare_filtered(void)
{
        return unshare(0) < 0;
}

static bool seccomp_around(void)
{
        return prctl(PR_GET_SECCOMP, 0, 0, 0, 0) == 2;
}

/* Whether something is mounted there, or with `below` anywhere below; -1 where mounts cannot be looked at. */
static int mounted(const char *path, bool below)
{
        cleanup_file FILE *file = fopen("/proc/self/mountinfo", "re");
        cleanup_free char *line = NULL;
        size_t room = 0, length = strlen(path);

        if (!file)
                return -1;
        while (getline(&line, &room, file) > 0) {
                char target[16]; /* longer than any path that is asked for */

                if (sscanf(line, "%*s %*s %*s %*s %15s", target) != 1 ||
                    strncmp(target, path, length) != 0)
                        continue;
                if (target[length] == (below ? '/' : '\0'))
                        return 1;
        }
        return 0;
}

/* The kernel's root of this mount namespace is a mount; a chroot's need not be one. */
static bool chrooted(void)
{
        return mounted("/", false) == 0;
}

static bool proc_masked(void)
{
        return mounted("/proc", true) == 1;
}

static bool apparmor_restricts(void)
{
        return read_sysctl("/proc/sys/kernel/apparmor_restrict_unprivileged_userns") == 1;
}

/* --- from errno and traces to a cause ----------------------------------------------------------- */

static enum cause cause_of_eperm(uint64_t namespaces)
{
        if (!(namespaces & CLONE_NEWUSER))
                return CAUSE_CAPABILITY;
        if (unshare_filtered())
                return CAUSE_SECCOMP;
        if (read_sysctl("/proc/sys/kernel/unprivileged_userns_clone") == 0)
                return CAUSE_USERNS_SYSCTL;
        if (apparmor_restricts())
                return CAUSE_APPARMOR;
        if (chrooted())
                return CAUSE_CHROOT;
        return seccomp_around() ? CAUSE_SECCOMP : CAUSE_UNKNOWN;
}

enum cause cause_of_namespaces(int code, uint64_t namespaces)
{
        switch (code) {
        case ENOSPC:
        case EUSERS:
                return CAUSE_USERNS_LIMIT;
        case EAGAIN:
                return CAUSE_PROCESSES;
        case EINVAL:
                return CAUSE_KERNEL;
        case ENOSYS:
                return seccomp_around() ? CAUSE_SECCOMP : CAUSE_KERNEL;
        default:
                return cause_of_eperm(namespaces);
        }
}

enum cause cause_of_ids(int code)
{
        (void)code;
        if (prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1 && geteuid() != 0)
                return CAUSE_NO_NEW_PRIVS;
        if (apparmor_restricts())
                return CAUSE_APPARMOR;
        return geteuid() == 0 ? CAUSE_ID_RANGE : CAUSE_NO_HELPER;
}

enum cause cause_of_proc(int code)
{
        return (code == EPERM || code == EACCES) && proc_masked() ? CAUSE_MASKED_PROC
                                                                  : cause_of_call(code);
}

enum cause cause_of_landlock(int code)
{
        switch (code) {
        case EOPNOTSUPP:
                return CAUSE_LANDLOCK_DISABLED;
        case ENOSYS:
                return seccomp_around() && unshare_filtered() ? CAUSE_SECCOMP
                                                              : CAUSE_LANDLOCK_ABSENT;
        default:
                return seccomp_around() ? CAUSE_SECCOMP : CAUSE_LANDLOCK_ABSENT;
        }
}

enum cause cause_of_call(int code)
{
        if (seccomp_around())
                return CAUSE_SECCOMP;
        if (apparmor_restricts())
                return CAUSE_APPARMOR;
        return code == ENOSYS || code == EINVAL ? CAUSE_KERNEL : CAUSE_UNKNOWN;
}
