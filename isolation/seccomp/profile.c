/* The profile: which system calls exist at all for an application.
 *
 * What is listed as allowed is what servers and language runtimes call without holding a capability.
 * What is listed as refused answers EPERM, as the kernel itself would to a process without
 * privilege. Everything else answers ENOSYS: libcs and runtimes probe for newer calls and fall back on
 * older ones only at that answer. So do calls that are deliberately in neither list:
 *
 *   clone3                    its flags lie in memory, where no filter sees them; clone's do not
 *   statmount, listmount      /proc/self/mountinfo says what an application may know
 *   lsm_*                     labels of security modules, changed by name
 *   file_getattr, _setattr    newer than anything that would need them
 *   those that Linux no longer has, or never had (uselib, create_module, afs_syscall, ...)
 *
 * seccomp, prctl and landlock_* stay allowed: restricting oneself further is always fine, and workers do.
 */
#include "isolation/seccomp/compiler.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/personality.h>

#include "base/own.h"
#include "isolation/seccomp/program.h"

#define CALL_NAME_MAX 64

/* Names, separated by blanks. "name=number" gives the number of a call that libseccomp 2.5 may not know;
 * from 424 on numbers are the same on every machine we serve. */
static const char *const allowed[] = {
        /* files, by path and by descriptor */
        "access faccessat faccessat2=439 chdir fchdir getcwd chmod fchmod fchmodat fchmodat2=452",
        "chown fchown fchownat lchown creat open openat openat2=437 close close_range=436",
        "dup dup2 dup3 fcntl flock ioctl link linkat symlink symlinkat readlink readlinkat",
        "mkdir mkdirat mknod mknodat rmdir unlink unlinkat rename renameat renameat2 umask",
        "stat lstat fstat newfstatat statx statfs fstatfs getdents getdents64 lseek",
        "truncate ftruncate fallocate fadvise64 readahead utime utimes utimensat futimesat",
        "read readv pread64 preadv preadv2 write writev pwrite64 pwritev pwritev2",
        "copy_file_range sendfile splice tee vmsplice cachestat=451",
        "sync syncfs fsync fdatasync sync_file_range",
        "getxattr lgetxattr fgetxattr listxattr llistxattr flistxattr getxattrat=464",
        "setxattr lsetxattr fsetxattr removexattr lremovexattr fremovexattr setxattrat=463",
        "listxattrat=465 removexattrat=466",
        "inotify_init inotify_init1 inotify_add_watch inotify_rm_watch",

        /* waiting */
        "poll ppoll select pselect6 epoll_create epoll_create1 epoll_ctl epoll_wait epoll_pwait",
        "epoll_pwait2=441 pipe pipe2 eventfd eventfd2 signalfd signalfd4",
        "io_setup io_submit io_cancel io_destroy io_getevents io_pgetevents",

        /* memory */
        "brk mmap munmap mremap mprotect msync madvise mincore mlock mlock2 mlockall munlock",
        "munlockall remap_file_pages membarrier memfd_create memfd_secret=447 mseal=462",
        "pkey_alloc pkey_free pkey_mprotect map_shadow_stack=453",

        /* processes and threads; the guards look at clone's flags */
        "clone fork vfork execve execveat exit exit_group wait4 waitid getpid getppid gettid",
        "getpgid getpgrp setpgid getsid setsid set_tid_address set_robust_list get_robust_list",
        "futex futex_waitv=449 futex_wake=454 futex_wait=455 futex_requeue=456 rseq",
        "restart_syscall arch_prctl prctl pidfd_open=434 pidfd_send_signal=424 getcpu",
        "sched_yield sched_getaffinity sched_setaffinity sched_getattr sched_setattr",
        "sched_getparam sched_setparam sched_getscheduler sched_setscheduler",
        "sched_get_priority_max sched_get_priority_min sched_rr_get_interval",
        "getpriority setpriority ioprio_get ioprio_set getrlimit setrlimit prlimit64 getrusage",
        "times sysinfo uname getrandom capget capset",
        "seccomp landlock_create_ruleset=444 landlock_add_rule=445 landlock_restrict_self=446",
#ifdef __x86_64__
        /* called by code that the host's own tracer put in; the process would die of a refusal */
        "uretprobe=335",
#endif
#ifdef __riscv
        "riscv_flush_icache=259 riscv_hwprobe=258",
#endif

        /* ids: without a capability the kernel allows what changes nothing */
        "getuid geteuid getgid getegid getresuid getresgid getgroups setuid setgid setreuid",
        "setregid setresuid setresgid setfsuid setfsgid setgroups",

        /* signals and time */
        "kill tkill tgkill rt_sigaction rt_sigprocmask rt_sigpending rt_sigsuspend rt_sigreturn",
        "rt_sigtimedwait rt_sigqueueinfo rt_tgsigqueueinfo sigaltstack pause alarm",
        "getitimer setitimer timer_create timer_settime timer_gettime timer_getoverrun",
        "timer_delete timerfd_create timerfd_settime timerfd_gettime nanosleep",
        "clock_nanosleep clock_gettime clock_getres gettimeofday time",

        /* sockets; connect is decided by the request, families and types by the guards */
        "socket socketpair bind listen accept accept4 shutdown getsockname getpeername",
        "getsockopt setsockopt recvfrom recvmsg recvmmsg sendto sendmsg sendmmsg",

        /* queues, semaphores and shared memory of the application's own ipc namespace */
        "msgget msgsnd msgrcv msgctl semget semop semtimedop semctl shmget shmat shmdt shmctl",
        "mq_open mq_unlink mq_timedsend mq_timedreceive mq_notify mq_getsetattr",
};

static const char *const refused[] = {
        /* mounts and roots */
        "mount umount2 pivot_root chroot open_tree=428 move_mount=429 fsopen=430 fsconfig=431",
        "fsmount=432 fspick=433 mount_setattr=442 open_tree_attr=467",
        /* namespaces */
        "unshare setns",
        /* files past the paths that one can see */
        "name_to_handle_at open_by_handle_at fanotify_init fanotify_mark quotactl",
        "quotactl_fd=443 acct swapon swapoff ustat sysfs lookup_dcookie nfsservctl",
        /* other processes */
        "ptrace process_vm_readv process_vm_writev process_madvise=440 process_mrelease=448",
        "pidfd_getfd=438 kcmp",
        /* placing memory, also that of others */
        "mbind set_mempolicy get_mempolicy migrate_pages move_pages set_mempolicy_home_node=450",
        /* calls made, or code run, behind any filter; faults held open */
        "bpf perf_event_open userfaultfd io_uring_setup=425 io_uring_enter=426",
        "io_uring_register=427",
        /* keyrings know no namespaces */
        "add_key keyctl request_key",
        /* the machine */
        "init_module finit_module delete_module kexec_load kexec_file_load reboot iopl ioperm",
        "modify_ldt vm86 vm86old vhangup syslog sethostname setdomainname",
        "settimeofday clock_settime clock_adjtime adjtimex",
};

static int add_calls(struct program *program, uint32_t action, const char *calls,
                     struct error *error)
{
        int r = 0;

        while (*calls && r == 0) {
                size_t length = strcspn(calls, " =");
                char name[CALL_NAME_MAX];
                long number = 0;

                if (length == 0 || length >= sizeof(name))
                        return error_say(error, EINVAL, "no name of a system call: %s", calls);
                memcpy(name, calls, length);
                name[length] = '\0';
                calls += length;
                if (*calls == '=') {
                        char *end;

                        number = strtol(calls + 1, &end, 10);
                        calls = end;
                }
                r = program_rule(program, action, name, (int)number, NULL, 0, error);
                calls += strspn(calls, " ");
        }
        return r;
}

static int add_list(struct program *program, uint32_t action, const char *const *list, size_t count,
                    struct error *error)
{
        int r = 0;

        for (size_t i = 0; i < count && r == 0; i++)
                r = add_calls(program, action, list[i], error);
        return r;
}

/* Asking for one's personality, and any that the guards do not refuse. The question has all 32 bits set;
 * nothing else that has the highest one means anything. */
static int add_personality(struct program *program, struct error *error)
{
        static const struct condition question = INT_IS(0, UINT32_MAX);
        static const struct condition sensible = {.argument = 0, .mask = 1u << 31, .value = 0};
        int r;

        r = program_rule(program, SCMP_ACT_ALLOW, "personality", 0, &question, 1, error);
        if (r == 0)
                r = program_rule(program, SCMP_ACT_ALLOW, "personality", 0, &sensible, 1, error);
        return r;
}

int seccomp_compile_profile(const struct seccomp_request *request, struct plan_filter *ret_filter,
                            struct error *error)
{
        bool connects = !request->own_network || request->unix_clients;
        uint32_t connect_action = connects ? SCMP_ACT_ALLOW : SCMP_ACT_ERRNO(EPERM);
        struct program program;
        int r;

        r = program_begin(&program, "profile", SCMP_ACT_ERRNO(ENOSYS), true, error);
        if (r < 0)
                return r;
        r = add_list(&program, SCMP_ACT_ALLOW, allowed, ARRAY_SIZE(allowed), error);
        if (r == 0)
                r = add_list(&program, SCMP_ACT_ERRNO(EPERM), refused, ARRAY_SIZE(refused), error);
        /* An inherited or accepted socket lives in the host's network: connect() on it would reach
         * the host's loopback, or, with AF_UNSPEC, take the listener from everyone. */
        if (r == 0)
                r = program_rule(&program, connect_action, "connect", 0, NULL, 0, error);
        if (r == 0)
                r = add_personality(&program, error);
        if (r < 0) {
                program_abandon(&program);
                return r;
        }
        return program_end(&program, ret_filter, error);
}
