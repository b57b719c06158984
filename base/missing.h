/* Kernel interfaces that are newer than Debian 12's headers, each with the kernel that brought it.
 * When the headers know a name, theirs is used. */
#pragma once

#include <linux/landlock.h>
#include <linux/types.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <stddef.h>
#include <stdint.h>

/* Landlock: moving between directories is ABI 2 (5.19), truncate ABI 3 (6.2), TCP ABI 4 (6.7), device ioctl
 * ABI 5 (6.10), scopes ABI 6 (6.12), flags for the audit log ABI 7 (6.15). */
#ifndef LANDLOCK_ACCESS_FS_REFER
#define LANDLOCK_ACCESS_FS_REFER (1ULL << 13)
#endif
#ifndef LANDLOCK_ACCESS_FS_TRUNCATE
#define LANDLOCK_ACCESS_FS_TRUNCATE (1ULL << 14)
#endif
#ifndef LANDLOCK_ACCESS_FS_IOCTL_DEV
#define LANDLOCK_ACCESS_FS_IOCTL_DEV (1ULL << 15)
#endif

/* A rule for a TCP port; in newer headers LANDLOCK_RULE_NET_PORT, of an enum, which nothing can ask for. */
#define LANDLOCK_RULE_NET_PORT_4 2
struct landlock_net_port_attr_4 {
        uint64_t allowed_access;
        uint64_t port; /* in the host's byte order */
};

#ifndef LANDLOCK_ACCESS_NET_BIND_TCP
#define LANDLOCK_ACCESS_NET_BIND_TCP    (1ULL << 0)
#define LANDLOCK_ACCESS_NET_CONNECT_TCP (1ULL << 1)
#endif
#ifndef LANDLOCK_RESTRICT_SELF_LOG_SAME_EXEC_OFF
#define LANDLOCK_RESTRICT_SELF_LOG_SAME_EXEC_OFF  (1U << 0)
#define LANDLOCK_RESTRICT_SELF_LOG_NEW_EXEC_ON    (1U << 1)
#define LANDLOCK_RESTRICT_SELF_LOG_SUBDOMAINS_OFF (1U << 2)
#endif
#ifndef LANDLOCK_SCOPE_ABSTRACT_UNIX_SOCKET
#define LANDLOCK_SCOPE_ABSTRACT_UNIX_SOCKET (1ULL << 0)
#define LANDLOCK_SCOPE_SIGNAL               (1ULL << 1)
#endif

/* struct landlock_ruleset_attr as of ABI 6. An older kernel takes it as long as what it does not
 * know is zero, and we say the size that its ABI has. */
struct landlock_ruleset_attr_6 {
        uint64_t handled_access_fs;
        uint64_t handled_access_net;
        uint64_t scoped;
};

static inline int landlock_abi(void)
{
        return (int)syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
}

/* The exit code of a process by pidfd, 6.13 and, for exited ones, 6.15. */
struct pidfd_info_15 {
        uint64_t mask;
        uint64_t cgroupid;
        uint32_t pid, tgid, ppid;
        uint32_t ruid, rgid, euid, egid, suid, sgid, fsuid, fsgid;
        int32_t exit_code; /* as waitpid has it; valid where mask has PIDFD_INFO_EXIT */
};
#define PIDFD_GET_INFO_15  _IOWR(0xFF, 11, struct pidfd_info_15)
#define PIDFD_INFO_EXIT_15 (1ULL << 3)

/* Whose number a pid is in another pid namespace, 6.11. Called on the namespace's descriptor. */
#define NS_GET_TGID_FROM_PIDNS_11 _IOR(0xb7, 0x7, int)

/* Memory that was written is never executed, 6.3 (PR_SET_MDWE(2const)). */
#ifndef PR_SET_MDWE
#define PR_SET_MDWE              65
#define PR_MDWE_REFUSE_EXEC_GAIN 1
#define PR_GET_MDWE              66
#endif

#ifndef CLONE_NEWTIME
#define CLONE_NEWTIME 0x00000080
#endif
