/* What a module may not do while it describes itself.
 *
 * A list of refusals, where prototypes and workers have a list of what is allowed: a module is the
 * administrator's code, which later runs `setup` with the application's rights anyway. What this keeps
 * out is the module that is merely wrong, in its constructors for instance: it shall reach no network, start
 * no process, signal nobody, write no file. It is written by hand so that this process links nothing
 * but libc; the numbers of a call that some machine does not have are left out there. */
#include "runtime/discovery/filter.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <stdint.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#include "base/machine.h"
#include "base/own.h"

#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "an argument's low word does not come first here: filter_build() must know"
#endif

/* Numbers from here on are newer than this list (cachestat(2), Linux 6.5, is the last below): no libc
 * needs them, and nobody has looked at them here. The same on all machines. */
#define FIRST_UNKNOWN 452

#define WRITING (O_WRONLY | O_RDWR | O_CREAT | O_TRUNC)

enum condition {
        ALWAYS,
        IF_EQUAL, /* the argument's low word is `value` */
        UNLESS_EQUAL,
        UNLESS_SELF, /* it is our own pid */
        IF_ANY,      /* it has one of the bits of `value` */
        UNLESS_ANY,
};

struct refusal {
        uint32_t number;
        uint16_t code;     /* errno */
        uint8_t condition; /* enum condition */
        uint8_t argument;
        uint32_t value;
};

#define REFUSE(name)                                                                               \
        {                                                                                          \
                SYS_##name, EPERM, ALWAYS, 0, 0                                                    \
        }

/* Each number once: the row that knows it decides. */
static const struct refusal refusals[] = {
        /* Network. No descriptor can be passed either way: the answers go by write. */
        REFUSE(socket),
        REFUSE(socketpair),
        REFUSE(connect),
        REFUSE(bind),
        REFUSE(listen),
        REFUSE(accept),
        REFUSE(accept4),
        REFUSE(sendto),
        REFUSE(sendmsg),
        REFUSE(sendmmsg),
        REFUSE(recvmsg),
        REFUSE(recvmmsg),
        REFUSE(setsockopt),
        REFUSE(shutdown),
        /* Processes: threads may be made, nothing else. clone3's flags cannot be seen, and libcs fall
         * back to clone. */
        {SYS_clone3, ENOSYS, ALWAYS, 0, 0},
        {SYS_clone, EPERM, UNLESS_ANY, 0, CLONE_THREAD},
#ifdef SYS_fork
        REFUSE(fork),
        REFUSE(vfork),
#endif
        REFUSE(execve),
        REFUSE(execveat),
        REFUSE(unshare),
        REFUSE(setns),
        /* Others: abort(3) and pthread_kill(3) signal ourselves. */
        {SYS_kill, EPERM, UNLESS_SELF, 0, 0},
        {SYS_tgkill, EPERM, UNLESS_SELF, 0, 0},
        REFUSE(tkill),
        REFUSE(rt_sigqueueinfo),
        REFUSE(rt_tgsigqueueinfo),
        REFUSE(pidfd_send_signal),
        REFUSE(pidfd_getfd),
        REFUSE(pidfd_open),
        REFUSE(ptrace),
        REFUSE(process_vm_readv),
        REFUSE(process_vm_writev),
        REFUSE(process_madvise),
        REFUSE(kcmp),
        REFUSE(move_pages),
        REFUSE(migrate_pages),
        REFUSE(setpriority),
        {SYS_prlimit64, EPERM, UNLESS_EQUAL, 0, 0},
        /* We die with the supervisor, whatever the module thinks of it. */
        {SYS_prctl, EPERM, IF_EQUAL, 0, PR_SET_PDEATHSIG},
/* Files: reading only, also where the kernel has no Landlock. */
#ifdef SYS_open
        {SYS_open, EACCES, IF_ANY, 1, WRITING},
        REFUSE(creat),
        REFUSE(mknod),
        REFUSE(mkdir),
        REFUSE(rmdir),
        REFUSE(unlink),
        REFUSE(rename),
        REFUSE(link),
        REFUSE(symlink),
        REFUSE(chmod),
        REFUSE(chown),
        REFUSE(lchown),
        REFUSE(utime),
        REFUSE(utimes),
        REFUSE(futimesat),
#endif
#ifdef SYS_renameat
        REFUSE(renameat),
#endif
        {SYS_openat, EACCES, IF_ANY, 2, WRITING},
        {SYS_openat2, ENOSYS, ALWAYS, 0, 0},
        REFUSE(truncate),
        REFUSE(mknodat),
        REFUSE(mkdirat),
        REFUSE(unlinkat),
        REFUSE(renameat2),
        REFUSE(linkat),
        REFUSE(symlinkat),
        REFUSE(fchmod),
        REFUSE(fchmodat),
        REFUSE(fchown),
        REFUSE(fchownat),
        REFUSE(utimensat),
        REFUSE(setxattr),
        REFUSE(lsetxattr),
        REFUSE(fsetxattr),
        REFUSE(removexattr),
        REFUSE(lremovexattr),
        REFUSE(fremovexattr),
        REFUSE(open_by_handle_at),
        REFUSE(mq_open),
        REFUSE(mq_unlink),
        /* Mounts and roots. */
        REFUSE(mount),
        REFUSE(umount2),
        REFUSE(pivot_root),
        REFUSE(chroot),
        REFUSE(fsopen),
        REFUSE(fsconfig),
        REFUSE(fsmount),
        REFUSE(fspick),
        REFUSE(open_tree),
        REFUSE(move_mount),
        REFUSE(mount_setattr),
        REFUSE(quotactl),
        REFUSE(quotactl_fd),
        /* The kernel. */
        REFUSE(bpf),
        REFUSE(perf_event_open),
        REFUSE(userfaultfd),
        REFUSE(io_uring_setup),
        REFUSE(io_uring_enter),
        REFUSE(io_uring_register),
        REFUSE(add_key),
        REFUSE(request_key),
        REFUSE(keyctl),
        REFUSE(init_module),
        REFUSE(finit_module),
        REFUSE(delete_module),
        REFUSE(kexec_load),
        REFUSE(reboot),
        REFUSE(swapon),
        REFUSE(swapoff),
        REFUSE(acct),
        REFUSE(syslog),
        REFUSE(personality),
        REFUSE(fanotify_init),
        REFUSE(settimeofday),
        REFUSE(clock_settime),
        REFUSE(clock_adjtime),
        REFUSE(adjtimex),
        REFUSE(sethostname),
        REFUSE(setdomainname),
        REFUSE(vhangup),
};

#define PER_ROW 5 /* instructions of a row with a condition */
static_assert(ARRAY_SIZE(refusals) * PER_ROW + 8 <= FILTER_ROOM, "the program may not fit");

#define FIELD(name) ((uint32_t)offsetof(struct seccomp_data, name))

static struct sock_filter load(uint32_t offset)
{
        return (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offset);
}

static struct sock_filter jump(uint16_t operation, uint32_t value, uint8_t yes, uint8_t no)
{
        return (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_K | operation, value, yes, no);
}

static struct sock_filter answer(uint32_t action)
{
        return (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, action);
}

/* Jumps to the refusal, which is next, or over it. */
static struct sock_filter test(const struct refusal *row, int self)
{
        switch ((enum condition)row->condition) {
        case IF_EQUAL:
                return jump(BPF_JEQ, row->value, 0, 1);
        case UNLESS_SELF:
                return jump(BPF_JEQ, (uint32_t)self, 1, 0);
        case IF_ANY:
                return jump(BPF_JSET, row->value, 0, 1);
        case UNLESS_ANY:
                return jump(BPF_JSET, row->value, 1, 0);
        case UNLESS_EQUAL:
        case ALWAYS:
                break;
        }
        return jump(BPF_JEQ, row->value, 1, 0);
}

size_t filter_build(struct sock_filter program[FILTER_ROOM], int self)
{
        struct sock_filter *at = program;

        *at++ = load(FIELD(arch));
        *at++ = jump(BPF_JEQ, MACHINE, 1, 0);
        *at++ = answer(SECCOMP_RET_KILL_PROCESS);
        *at++ = load(FIELD(nr));
        /* x32 calls are far above, too. */
        *at++ = jump(BPF_JGE, FIRST_UNKNOWN, 0, 1);
        *at++ = answer(SECCOMP_RET_ERRNO | ENOSYS);
        for (size_t i = 0; i < ARRAY_SIZE(refusals); i++) {
                const struct refusal *row = &refusals[i];
                bool always = row->condition == ALWAYS;

                *at++ = jump(BPF_JEQ, row->number, 0, always ? 1 : 4);
                if (!always) {
                        /* The machines are little-endian: the low word comes first. */
                        *at++ = load(FIELD(args) + 8u * row->argument);
                        *at++ = test(row, self);
                }
                *at++ = answer(SECCOMP_RET_ERRNO | row->code);
                if (!always)
                        *at++ = answer(SECCOMP_RET_ALLOW);
        }
        *at++ = answer(SECCOMP_RET_ALLOW);
        return (size_t)(at - program);
}
