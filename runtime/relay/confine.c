#include "runtime/relay/confine.h"

#include <errno.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/machine.h"
#include "base/own.h"

#define ALLOW(number)                                                                              \
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (number), 0, 1),                                       \
                BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)

static int drop_capabilities(void)
{
        struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
        const struct __user_cap_data_struct none[2] = {{0}};

        return syscall(SYS_capset, &header, none) < 0 ? -errno : 0;
}

static int filter(void)
{
        static const struct sock_filter program[] = {
                BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, arch)),
                BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, MACHINE, 1, 0),
                BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
                BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
                ALLOW(SYS_read),
                ALLOW(SYS_write),
#ifdef SYS_epoll_wait
                ALLOW(SYS_epoll_wait),
#endif
                ALLOW(SYS_epoll_pwait),
                ALLOW(SYS_ioctl),
                ALLOW(SYS_close),
                ALLOW(SYS_restart_syscall),
                ALLOW(SYS_exit_group),
                BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
        };
        const struct sock_fprog prog = {
                .len = ARRAY_SIZE(program),
                .filter = (struct sock_filter *)program,
        };

        return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &prog, 0, 0) < 0 ? -errno : 0;
}

int confine(void)
{
        int r = drop_capabilities();

        if (r < 0)
                return r;
        if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0 || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
                return -errno;
#if defined(__SANITIZE_ADDRESS__)
        /* A sanitizer has calls of its own. */
        (void)filter;
        return 0;
#else
        return filter();
#endif
}
