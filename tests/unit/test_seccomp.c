/* The seccomp programs as data: what they answer is a table, run on a simulator; what matters most is
 * swept over whole ranges against a second, plain statement of the rule. Some of it is tried for real.
 * "row N" names the attempts of the list of escapes that the row stands for. */
#include <criterion/criterion.h>

#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <seccomp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "base/machine.h"
#include "base/own.h"
#include "isolation/seccomp/compiler.h"
#include "tests/unit/bpf_simulator.h"
#include "tests/unit/profile_fixture.h"

#define X32_BIT  0x40000000u
#define HIGH     0xabcd000100000000ull /* what a filter must not be fooled by */
#define ALLOW    SECCOMP_RET_ALLOW
#define KILL     SECCOMP_RET_KILL_PROCESS
#define EACH     3 /* variants, filters */
#define ANY_ARGS 0

enum variant { HOST_NETWORK, OWN_NETWORK, UNIX_CLIENTS };
enum stack { PROFILE = 1, GUARDS = 2, PROTOTYPE = 3, DIFFERENCE = 4, WORKER = 7 };

static struct seccomp_profile profile;

static const struct seccomp_request requests[EACH] = {
        [HOST_NETWORK] = {.profile = &profile},
        [OWN_NETWORK] = {.profile = &profile, .own_network = true},
        [UNIX_CLIENTS] = {.profile = &profile,
                          .own_network = true,
                          .unix_clients = true,
                          .tcp_confined = true},
};

static struct plan_filter filters[EACH][EACH];

static void compile(void)
{
        struct error error = ERROR_INIT;

        profile = profile_own("default");
        for (size_t i = 0; i < EACH; i++) {
                cr_assert_eq(seccomp_compile_profile(&profile, 0, &filters[i][0], &error), 0, "%s",
                             error.text);
                cr_assert_eq(seccomp_compile_guards(&requests[i], &filters[i][1], &error), 0, "%s",
                             error.text);
                cr_assert_eq(seccomp_compile_difference(&requests[i], &filters[i][2], &error), 0,
                             "%s", error.text);
        }
}

static void forget(void)
{
        for (size_t i = 0; i < EACH * EACH; i++)
                seccomp_filter_finish(&filters[i / EACH][i % EACH]);
        seccomp_profile_finish(&profile);
}

TestSuite(seccomp, .init = compile, .fini = forget);

static uint32_t answer(enum variant variant, enum stack stack, const struct seccomp_data *data)
{
        struct plan_filter chosen[EACH];
        size_t count = 0;

        for (size_t i = 0; i < EACH; i++)
                if ((unsigned)stack & 1u << i)
                        chosen[count++] = filters[variant][i];
        return bpf_run_stack(chosen, count, data);
}

static uint32_t ask(enum variant variant, enum stack stack, int call, uint64_t a, uint64_t b,
                    uint64_t c)
{
        const struct seccomp_data data = {.nr = call, .arch = MACHINE, .args = {a, b, c}};

        return answer(variant, stack, &data);
}

struct row {
        const char *what;
        enum variant variant;
        enum stack stack;
        uint32_t architecture; /* 0: this one */
        uint32_t call;
        uint64_t args[6];
        uint32_t action;
};

#define ERRNO(code) (SECCOMP_RET_ERRNO | (code))
#define NO          ERRNO(EPERM)
#define ABSENT      ERRNO(ENOSYS)

/* clang-format off */
static const struct row rows[] = {
        {"row 1: unshare", HOST_NETWORK, PROTOTYPE, 0, SYS_unshare, {CLONE_NEWUSER}, NO},
        {"row 1: clone", HOST_NETWORK, PROTOTYPE, 0, SYS_clone, {CLONE_NEWUSER | SIGCHLD}, NO},
        {"row 1: clone, high bits", HOST_NETWORK, WORKER, 0, SYS_clone, {HIGH | CLONE_NEWUSER}, NO},
        {"a fork", OWN_NETWORK, WORKER, 0, SYS_clone, {SIGCHLD}, ALLOW},
        {"a thread of glibc", OWN_NETWORK, WORKER, 0, SYS_clone, {0x3d0f00}, ALLOW},
        {"a vfork of glibc", OWN_NETWORK, WORKER, 0, SYS_clone, {0x4111}, ALLOW},
        {"with a pidfd", OWN_NETWORK, WORKER, 0, SYS_clone, {CLONE_PIDFD | SIGCHLD}, ALLOW},
        {"row 2: clone3", HOST_NETWORK, PROTOTYPE, 0, SYS_clone3, {ANY_ARGS}, ABSENT},
        {"row 3: mount", HOST_NETWORK, PROTOTYPE, 0, SYS_unshare, {CLONE_NEWNS}, NO},
        {"row 3: time", HOST_NETWORK, PROTOTYPE, 0, SYS_unshare, {0x80}, NO},
        {"row 3: clone, net", HOST_NETWORK, PROTOTYPE, 0, SYS_clone, {CLONE_NEWNET}, NO},
        {"row 3: clone, pid", HOST_NETWORK, PROTOTYPE, 0, SYS_clone, {CLONE_NEWPID}, NO},
        {"row 4: setns", HOST_NETWORK, PROTOTYPE, 0, SYS_setns, {3, 0}, NO},
        {"row 7: mount", HOST_NETWORK, PROTOTYPE, 0, SYS_mount, {ANY_ARGS}, NO},
        {"row 9: umount2", HOST_NETWORK, PROTOTYPE, 0, SYS_umount2, {ANY_ARGS}, NO},
        {"row 11: fsopen", HOST_NETWORK, PROTOTYPE, 0, SYS_fsopen, {ANY_ARGS}, NO},
        {"row 11: fsconfig", HOST_NETWORK, PROTOTYPE, 0, SYS_fsconfig, {ANY_ARGS}, NO},
        {"row 12: open_tree", HOST_NETWORK, PROTOTYPE, 0, SYS_open_tree, {ANY_ARGS}, NO},
        {"row 12: move_mount", HOST_NETWORK, PROTOTYPE, 0, SYS_move_mount, {ANY_ARGS}, NO},
        {"row 12: mount_setattr", HOST_NETWORK, PROTOTYPE, 0, SYS_mount_setattr, {ANY_ARGS}, NO},
        {"row 12: open_tree_attr", HOST_NETWORK, PROTOTYPE, 0, 467, {ANY_ARGS}, NO},
        {"row 13: pivot_root", HOST_NETWORK, PROTOTYPE, 0, SYS_pivot_root, {ANY_ARGS}, NO},
        {"row 13: chroot", HOST_NETWORK, PROTOTYPE, 0, SYS_chroot, {ANY_ARGS}, NO},
        {"row 18", HOST_NETWORK, PROTOTYPE, 0, SYS_open_by_handle_at, {ANY_ARGS}, NO},
        {"row 19: mknodat", HOST_NETWORK, PROTOTYPE, 0, SYS_mknodat, {0, 0, S_IFCHR | 0600}, NO},
        {"row 19: a disk", HOST_NETWORK, PROTOTYPE, 0, SYS_mknodat, {0, 0, S_IFBLK | 0600}, NO},
        {"row 19: high bits", HOST_NETWORK, PROTOTYPE, 0, SYS_mknodat, {0, 0, HIGH | S_IFCHR}, NO},
        {"set-uid: fchmod", HOST_NETWORK, PROTOTYPE, 0, SYS_fchmod, {3, 04755}, NO},
        {"set-gid: fchmodat", HOST_NETWORK, PROTOTYPE, 0, SYS_fchmodat, {3, 0, 02755}, NO},
        {"set-gid: high bits", HOST_NETWORK, PROTOTYPE, 0, SYS_fchmodat, {3, 0, HIGH | 02755}, NO},
        {"set-gid: fchmodat2", HOST_NETWORK, PROTOTYPE, 0, 452, {3, 0, 02755}, NO},
        {"set-uid: openat", HOST_NETWORK, PROTOTYPE, 0, SYS_openat, {3, 0, O_CREAT, 04755}, NO},
        {"set-uid: no name", HOST_NETWORK, PROTOTYPE, 0, SYS_openat, {3, 0, O_TMPFILE | O_RDWR, 04755}, NO},
        {"set-uid: mknodat", HOST_NETWORK, PROTOTYPE, 0, SYS_mknodat, {3, 0, S_IFREG | 04755}, NO},
        {"openat2", HOST_NETWORK, PROTOTYPE, 0, SYS_openat2, {ANY_ARGS}, ABSENT},
        {"fchmod", HOST_NETWORK, PROTOTYPE, 0, SYS_fchmod, {3, 01777}, ALLOW},
        {"openat", HOST_NETWORK, PROTOTYPE, 0, SYS_openat, {3, 0, O_CREAT | O_RDWR, 0666}, ALLOW},
        {"openat: no mode", HOST_NETWORK, PROTOTYPE, 0, SYS_openat, {3, 0, O_RDONLY, 06755}, ALLOW},
        {"mkfifo", HOST_NETWORK, PROTOTYPE, 0, SYS_mknodat, {0, 0, S_IFIFO | 0600}, ALLOW},
        {"row 30: ptrace", HOST_NETWORK, PROTOTYPE, 0, SYS_ptrace, {ANY_ARGS}, NO},
        {"row 30", HOST_NETWORK, PROTOTYPE, 0, SYS_process_vm_readv, {ANY_ARGS}, NO},
        {"row 30: pidfd_getfd", HOST_NETWORK, PROTOTYPE, 0, SYS_pidfd_getfd, {ANY_ARGS}, NO},
        {"row 30: kcmp", HOST_NETWORK, PROTOTYPE, 0, SYS_kcmp, {ANY_ARGS}, NO},

        {"row 31: everybody", HOST_NETWORK, WORKER, 0, SYS_kill, {UINT64_MAX, SIGTERM}, NO},
        {"row 31: -1 in 32 bits", HOST_NETWORK, WORKER, 0, SYS_kill, {0xffffffff, SIGTERM}, NO},
        {"row 31: prototype", HOST_NETWORK, WORKER, 0, SYS_kill, {1, SIGTERM}, NO},
        {"row 31: prototype, high bits", HOST_NETWORK, WORKER, 0, SYS_kill, {HIGH | 1, 9}, NO},
        {"row 31: its existence", HOST_NETWORK, WORKER, 0, SYS_kill, {1, 0}, NO},
        {"row 31: tkill", HOST_NETWORK, WORKER, 0, SYS_tkill, {HIGH | 1, SIGTERM}, NO},
        {"row 31: tgkill", HOST_NETWORK, WORKER, 0, SYS_tgkill, {1, 1, SIGTERM}, NO},
        {"row 31: its other thread", HOST_NETWORK, WORKER, 0, SYS_tgkill, {1, 7, SIGTERM}, NO},
        {"row 31: queue", HOST_NETWORK, WORKER, 0, SYS_rt_sigqueueinfo, {1, SIGTERM}, NO},
        {"row 31: queue", HOST_NETWORK, WORKER, 0, SYS_rt_tgsigqueueinfo, {1, 1, SIGTERM}, NO},
        {"row 31: pidfd", HOST_NETWORK, WORKER, 0, SYS_pidfd_open, {HIGH | 1, 0}, NO},
        {"row 31: by /proc/1", HOST_NETWORK, WORKER, 0, SYS_pidfd_send_signal, {3, SIGTERM}, NO},
        {"row 31: SIGIO of choice", HOST_NETWORK, WORKER, 0, SYS_fcntl, {3, F_SETSIG, 9}, NO},
        {"row 31: high bits", HOST_NETWORK, WORKER, 0, SYS_fcntl, {3, HIGH | F_SETSIG, 9}, NO},
        {"the owner of a socket (nginx)", HOST_NETWORK, WORKER, 0, SYS_fcntl, {3, F_SETOWN, 9}, ALLOW},
        {"a child", HOST_NETWORK, WORKER, 0, SYS_kill, {17, SIGTERM}, ALLOW},
        {"one's own group", HOST_NETWORK, WORKER, 0, SYS_kill, {0, SIGTERM}, ALLOW},
        {"a group", HOST_NETWORK, WORKER, 0, SYS_kill, {(uint64_t)-17, SIGTERM}, ALLOW},
        {"abort", HOST_NETWORK, WORKER, 0, SYS_tgkill, {17, 17, SIGABRT}, ALLOW},
        {"a prototype's worker", HOST_NETWORK, PROTOTYPE, 0, SYS_kill, {17, SIGTERM}, ALLOW},
        {"a prototype's all", HOST_NETWORK, PROTOTYPE, 0, SYS_kill, {UINT64_MAX, SIGKILL}, ALLOW},
        {"a prototype's pidfd", HOST_NETWORK, PROTOTYPE, 0, SYS_pidfd_send_signal, {3, 9}, ALLOW},

        {"row 33", HOST_NETWORK, PROTOTYPE, 0, 500, {ANY_ARGS}, ABSENT},
        {"row 33", HOST_NETWORK, WORKER, 0, 1000, {ANY_ARGS}, ABSENT},
        {"row 34: bpf", HOST_NETWORK, PROTOTYPE, 0, SYS_bpf, {ANY_ARGS}, NO},
        {"row 34", HOST_NETWORK, PROTOTYPE, 0, SYS_perf_event_open, {ANY_ARGS}, NO},
        {"row 34", HOST_NETWORK, PROTOTYPE, 0, SYS_userfaultfd, {ANY_ARGS}, NO},
        {"row 34", HOST_NETWORK, PROTOTYPE, 0, SYS_io_uring_setup, {ANY_ARGS}, NO},
        {"row 34", HOST_NETWORK, PROTOTYPE, 0, SYS_io_uring_enter, {ANY_ARGS}, NO},
        {"row 34", HOST_NETWORK, PROTOTYPE, 0, SYS_io_uring_register, {ANY_ARGS}, NO},
        {"row 35", HOST_NETWORK, PROTOTYPE, 0, SYS_add_key, {ANY_ARGS}, NO},
        {"row 35", HOST_NETWORK, PROTOTYPE, 0, SYS_keyctl, {ANY_ARGS}, NO},
        {"row 35", HOST_NETWORK, PROTOTYPE, 0, SYS_request_key, {ANY_ARGS}, NO},
        {"row 36", HOST_NETWORK, PROTOTYPE, 0, SYS_finit_module, {ANY_ARGS}, NO},
        {"row 36", HOST_NETWORK, PROTOTYPE, 0, SYS_kexec_load, {ANY_ARGS}, NO},
        {"row 36", HOST_NETWORK, PROTOTYPE, 0, SYS_reboot, {ANY_ARGS}, NO},
        {"row 37", HOST_NETWORK, PROTOTYPE, 0, SYS_clock_settime, {ANY_ARGS}, NO},
        {"row 37", HOST_NETWORK, PROTOTYPE, 0, SYS_adjtimex, {ANY_ARGS}, NO},
        {"row 38", HOST_NETWORK, PROTOTYPE, 0, SYS_sethostname, {ANY_ARGS}, NO},
        {"row 38", HOST_NETWORK, PROTOTYPE, 0, SYS_syslog, {ANY_ARGS}, NO},
        {"row 39", HOST_NETWORK, PROTOTYPE, 0, SYS_fanotify_init, {ANY_ARGS}, NO},
        {"row 39", HOST_NETWORK, PROTOTYPE, 0, SYS_mbind, {ANY_ARGS}, NO},
        {"row 39", HOST_NETWORK, PROTOTYPE, 0, SYS_move_pages, {ANY_ARGS}, NO},

        {"row 40", HOST_NETWORK, PROTOTYPE, 0, SYS_personality, {ADDR_NO_RANDOMIZE}, NO},
        {"row 40", HOST_NETWORK, PROTOTYPE, 0, SYS_personality, {HIGH | READ_IMPLIES_EXEC}, NO},
        {"row 40", HOST_NETWORK, PROTOTYPE, 0, SYS_personality, {MMAP_PAGE_ZERO}, NO},
        {"row 40: and bit 31", HOST_NETWORK, PROTOTYPE, 0, SYS_personality,
         {1u << 31 | ADDR_NO_RANDOMIZE}, ABSENT},
        {"the personality", HOST_NETWORK, PROTOTYPE, 0, SYS_personality, {0xffffffff}, ALLOW},
        {"the personality, as a long", HOST_NETWORK, PROTOTYPE, 0, SYS_personality, {UINT64_MAX}, ALLOW},
        {"PER_LINUX", HOST_NETWORK, PROTOTYPE, 0, SYS_personality, {PER_LINUX}, ALLOW},
        {"PER_LINUX32", HOST_NETWORK, PROTOTYPE, 0, SYS_personality, {PER_LINUX32}, ALLOW},
        {"row 40: memory map", HOST_NETWORK, PROTOTYPE, 0, SYS_prctl, {PR_SET_MM, 1}, NO},
        {"row 40: high bits", HOST_NETWORK, PROTOTYPE, 0, SYS_prctl, {HIGH | PR_SET_MM, 1}, NO},
        {"the tie loosened", HOST_NETWORK, PROTOTYPE, 0, SYS_prctl, {PR_SET_PDEATHSIG, 0}, NO},
        {"the tie loosened", HOST_NETWORK, WORKER, 0, SYS_prctl, {HIGH | PR_SET_PDEATHSIG, 0}, NO},
        {"the tie weakened", HOST_NETWORK, WORKER, 0, SYS_prctl, {PR_SET_PDEATHSIG, SIGCHLD}, NO},
        {"the tie made", HOST_NETWORK, WORKER, 0, SYS_prctl, {PR_SET_PDEATHSIG, SIGKILL}, ALLOW},
        {"a thread's name", HOST_NETWORK, WORKER, 0, SYS_prctl, {PR_SET_NAME, 4711}, ALLOW},
        {"row 42: of another", HOST_NETWORK, PROTOTYPE, 0, SYS_prlimit64, {1, RLIMIT_CPU, 4711}, NO},
        {"one's limit", HOST_NETWORK, WORKER, 0, SYS_prlimit64, {0, RLIMIT_CPU, 4711}, ALLOW},
        {"reading a limit", HOST_NETWORK, WORKER, 0, SYS_prlimit64, {9, RLIMIT_CPU, 0, 1}, ALLOW},

        {"row 43", HOST_NETWORK, PROTOTYPE, 0, SYS_ioctl, {0, TIOCSTI}, NO},
        {"row 43: high bits", HOST_NETWORK, PROTOTYPE, 0, SYS_ioctl, {0, HIGH | TIOCSTI}, NO},
        {"row 43", HOST_NETWORK, PROTOTYPE, 0, SYS_ioctl, {0, TIOCLINUX}, NO},
        {"row 43: high bits", HOST_NETWORK, PROTOTYPE, 0, SYS_ioctl, {0, HIGH | TIOCLINUX}, NO},
        {"isatty", HOST_NETWORK, PROTOTYPE, 0, SYS_ioctl, {0, TCGETS}, ALLOW},
        {"row 45: audit", HOST_NETWORK, PROTOTYPE, 0, SYS_socket, {AF_NETLINK, SOCK_RAW, 9}, NO},
        {"routes (getifaddrs)", HOST_NETWORK, PROTOTYPE, 0, SYS_socket, {AF_NETLINK, SOCK_RAW}, ALLOW},
        {"row 46: vsock", HOST_NETWORK, PROTOTYPE, 0, SYS_socket, {40}, ERRNO(EAFNOSUPPORT)},
        {"row 46: alg", HOST_NETWORK, PROTOTYPE, 0, SYS_socket, {HIGH | 38}, ERRNO(EAFNOSUPPORT)},
        {"row 46: sctp", HOST_NETWORK, PROTOTYPE, 0, SYS_socket, {AF_INET, 1, IPPROTO_SCTP}, NO},
        {"row 46: sctp", HOST_NETWORK, PROTOTYPE, 0, SYS_socket, {HIGH | AF_INET6, 1, HIGH | 132}, NO},

        {"row 61: connect", OWN_NETWORK, PROTOTYPE, 0, SYS_connect, {ANY_ARGS}, NO},
        {"row 49: a port of the host's", OWN_NETWORK, WORKER, 0, SYS_bind, {3, 4711, 16}, NO},
        {"row 49: inet6, high bits", OWN_NETWORK, WORKER, 0, SYS_bind, {3, 4711, HIGH | 28}, NO},
        {"row 49: the longest", OWN_NETWORK, WORKER, 0, SYS_bind, {3, 4711, 128}, NO},
        {"getifaddrs", OWN_NETWORK, WORKER, 0, SYS_bind, {3, 4711, 12}, ALLOW},
        {"bind where Landlock watches", UNIX_CLIENTS, WORKER, 0, SYS_bind, {3, 4711, 16}, ALLOW},
        {"bind, host's network", HOST_NETWORK, WORKER, 0, SYS_bind, {3, 4711, 16}, ALLOW},
        {"listen, unix clients", UNIX_CLIENTS, WORKER, 0, SYS_listen, {3, 128}, ERRNO(0)},
        {"listen, no clients", OWN_NETWORK, WORKER, 0, SYS_listen, {3, 128}, ALLOW},
        {"listen, the host's network", HOST_NETWORK, WORKER, 0, SYS_listen, {3, 128}, ALLOW},
        {"connect, unix clients", UNIX_CLIENTS, PROTOTYPE, 0, SYS_connect, {ANY_ARGS}, ALLOW},
        {"connect, host's network", HOST_NETWORK, PROTOTYPE, 0, SYS_connect, {ANY_ARGS}, ALLOW},
        {"row 61", OWN_NETWORK, PROTOTYPE, 0, SYS_sendto, {3, 0, 0, MSG_FASTOPEN}, NO},
        {"row 61", UNIX_CLIENTS, PROTOTYPE, 0, SYS_sendto, {3, 0, 0, HIGH | MSG_FASTOPEN}, NO},
        {"row 61", OWN_NETWORK, PROTOTYPE, 0, SYS_sendmsg, {3, 0, MSG_FASTOPEN | MSG_MORE}, NO},
        {"row 61", OWN_NETWORK, PROTOTYPE, 0, SYS_sendmmsg, {3, 0, 1, HIGH | MSG_FASTOPEN}, NO},
        {"row 61", OWN_NETWORK, PROTOTYPE, 0, SYS_setsockopt,
         {3, HIGH | IPPROTO_TCP, HIGH | TCP_FASTOPEN_CONNECT}, NO},
        {"row 61: SIOCGIFCONF", OWN_NETWORK, PROTOTYPE, 0, SYS_ioctl, {3, 0x8912}, NO},
        {"row 61: high bits", OWN_NETWORK, WORKER, 0, SYS_ioctl, {3, HIGH | 0x8912}, NO},
        {"SIOCGIFCONF, host's network", HOST_NETWORK, WORKER, 0, SYS_ioctl, {3, 0x8912}, ALLOW},
        {"a send", OWN_NETWORK, WORKER, 0, SYS_sendto, {3, 0, 0, MSG_NOSIGNAL}, ALLOW},
        {"a fast open, host's network", HOST_NETWORK, WORKER, 0, SYS_sendto, {3, 0, 0, MSG_FASTOPEN}, ALLOW},
        {"row 62: a device", HOST_NETWORK, WORKER, 0, SYS_setsockopt,
         {3, HIGH | SOL_SOCKET, HIGH | SO_BINDTODEVICE}, NO},
        {"row 62: its number", OWN_NETWORK, WORKER, 0, SYS_setsockopt, {3, SOL_SOCKET, 62}, NO},
        {"row 62: a filter", OWN_NETWORK, WORKER, 0, SYS_setsockopt,
         {3, SOL_SOCKET, SO_ATTACH_FILTER}, NO},
        {"row 62: another", OWN_NETWORK, WORKER, 0, SYS_setsockopt,
         {3, SOL_SOCKET, SO_ATTACH_REUSEPORT_EBPF}, NO},
        {"row 62: high bits", HOST_NETWORK, WORKER, 0, SYS_setsockopt,
         {3, HIGH | IPPROTO_TCP, HIGH | TCP_MD5SIG_EXT}, NO},
        {"the address again", OWN_NETWORK, WORKER, 0, SYS_setsockopt,
         {3, SOL_SOCKET, SO_REUSEADDR}, ALLOW},
        {"no delay", OWN_NETWORK, WORKER, 0, SYS_setsockopt, {3, IPPROTO_TCP, TCP_NODELAY}, ALLOW},
        {"the same option of another level", OWN_NETWORK, WORKER, 0, SYS_setsockopt,
         {3, SOL_SOCKET, TCP_FASTOPEN_CONNECT}, ALLOW},
        {"to read", OWN_NETWORK, WORKER, 0, SYS_read, {ANY_ARGS}, ALLOW},
        {"to lock oneself in", OWN_NETWORK, WORKER, 0, SYS_seccomp, {1}, ALLOW},
        {"to lock oneself in", OWN_NETWORK, WORKER, 0, SYS_landlock_restrict_self, {1}, ALLOW},
#ifdef __x86_64__
        {"row 32: int 0x80, getpid", OWN_NETWORK, PROTOTYPE, AUDIT_ARCH_I386, 20, {0}, KILL},
        {"row 32: int 0x80, by the profile", OWN_NETWORK, PROFILE, AUDIT_ARCH_I386, 20, {0}, KILL},
        {"row 32: int 0x80, by the guards", OWN_NETWORK, GUARDS, AUDIT_ARCH_I386, 20, {0}, KILL},
        {"row 32: int 0x80, a worker's", OWN_NETWORK, DIFFERENCE, AUDIT_ARCH_I386, 20, {0}, KILL},
        {"row 32: another machine", OWN_NETWORK, PROTOTYPE, AUDIT_ARCH_AARCH64, 20, {0}, KILL},
        {"row 32: x32, read", OWN_NETWORK, PROTOTYPE, 0, X32_BIT | 0, {0}, ABSENT},
        {"row 32: x32, ptrace", OWN_NETWORK, WORKER, 0, X32_BIT | 521, {0}, ABSENT},
        {"row 32: x32, kill", OWN_NETWORK, WORKER, 0, X32_BIT | SYS_kill, {1}, ABSENT},
#endif
        {"row 33: the largest", OWN_NETWORK, PROTOTYPE, 0, 0x7fffffff, {0}, ABSENT},
        {"row 33: -1", OWN_NETWORK, PROTOTYPE, 0, UINT32_MAX, {0}, ABSENT},
};
/* clang-format on */

Test(seccomp, answers_of_the_table)
{
        for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
                const struct row *row = &rows[i];
                struct seccomp_data data = {
                        .nr = (int)row->call,
                        .arch = row->architecture ? row->architecture : MACHINE,
                };
                char expected[32], got[32];
                uint32_t action;

                memcpy(data.args, row->args, sizeof(row->args));
                action = answer(row->variant, row->stack, &data);
                cr_expect_eq(action, row->action, "%s (number %u): %s, not %s", row->what,
                             row->call, bpf_action_text(action, got, sizeof(got)),
                             bpf_action_text(row->action, expected, sizeof(expected)));
        }
}

/* What the upper half of an argument may hold, however the program's compiler extends an int. */
static const uint64_t high_halves[] = {0, 0xffffffff00000000, HIGH, 0x8000000000000000};

static bool one_of(uint64_t value, const uint32_t *list, size_t count)
{
        for (size_t i = 0; i < count; i++)
                if (list[i] == (uint32_t)value)
                        return true;
        return false;
}

Test(seccomp, every_family_and_protocol)
{
        static const uint32_t families[] = {AF_UNIX, AF_INET, AF_INET6, AF_NETLINK};
        static const uint32_t protocols[] = {0, 1, 6, 17, 58};

        for (size_t h = 0; h < ARRAY_SIZE(high_halves); h++)
                for (uint32_t family = 0; family < 256; family++)
                        for (uint32_t protocol = 0; protocol < 512; protocol++) {
                                uint64_t high = high_halves[h];
                                bool inet = family == AF_INET || family == AF_INET6;
                                uint32_t expected = ALLOW, action;

                                if (!one_of(family, families, ARRAY_SIZE(families)))
                                        expected = ERRNO(EAFNOSUPPORT);
                                else if (inet && !one_of(protocol, protocols, 5))
                                        expected = NO;
                                else if (family == AF_NETLINK && (protocol || high))
                                        expected = NO;
                                action = ask(OWN_NETWORK, WORKER, SYS_socket, high | family, 1,
                                             high | protocol);
                                cr_assert_eq(action, expected, "socket(%u, , %u): 0x%x", family,
                                             protocol, action);
                        }
}

/* Where a socket would be the host's: unix ones at most, and without Landlock's scopes not even those. */
Test(seccomp, without_a_network_namespace_no_socket_reaches_a_network)
{
        struct error error = ERROR_INIT;

        for (unsigned none = 0; none < 2; none++) {
                const struct seccomp_request request = {
                        .profile = &profile,
                        .own_network = true,
                        .no_network_sockets = true,
                        .no_unix_sockets = none,
                };
                struct plan_filter guards;

                cr_assert_eq(seccomp_compile_guards(&request, &guards, &error), 0, "%s",
                             error.text);
                for (size_t h = 0; h < ARRAY_SIZE(high_halves); h++)
                        for (uint32_t family = 0; family < 256; family++) {
                                struct seccomp_data data = {
                                        .nr = SYS_socket,
                                        .arch = MACHINE,
                                        .args = {high_halves[h] | family, 1, 0},
                                };
                                bool allowed = family == AF_UNIX && !none;

                                cr_expect_eq(bpf_run_stack(&guards, 1, &data),
                                             allowed ? ALLOW : ERRNO(EAFNOSUPPORT), "socket(%u)",
                                             family);
                                data.nr = SYS_socketpair;
                                if (family == AF_UNIX)
                                        cr_expect_eq(bpf_run_stack(&guards, 1, &data), ALLOW);
                        }
                seccomp_filter_finish(&guards);
        }
}

Test(seccomp, every_interface_request)
{
        for (size_t h = 0; h < ARRAY_SIZE(high_halves); h++)
                for (uint32_t request = 0; request < 0x10000; request++) {
                        uint64_t wide = high_halves[h] | request;
                        bool terminal = request == TIOCSTI || request == TIOCLINUX;
                        bool interface = (request >= 0x8910 && request <= 0x89ff) ||
                                         (request >= 0x8b00 && request <= 0x8bff);

                        cr_assert_eq(ask(HOST_NETWORK, WORKER, SYS_ioctl, 0, wide, 0),
                                     terminal ? NO : ALLOW, "0x%x", request);
                        cr_assert_eq(ask(OWN_NETWORK, WORKER, SYS_ioctl, 0, wide, 0),
                                     terminal || interface ? NO : ALLOW, "0x%x", request);
                }
}

/* Options that shut clients out of a listener for good: these, and none besides. */
Test(seccomp, every_socket_option)
{
        static const struct {
                uint32_t level, options[16];
        } refused[] = {
                {SOL_SOCKET, {5, 18, 25, 26, 44, 47, 50, 51, 52, 62}},
                {IPPROTO_TCP, {14, 19, 20, 21, 29, 32, 38, 39, 40, 41}},
                {IPPROTO_IP, {2, 21}},
                {IPPROTO_IPV6, {6, 16, 57, 73}},
                {IPPROTO_UDP, {0}},
        };

        for (size_t h = 0; h < ARRAY_SIZE(high_halves); h++)
                for (size_t l = 0; l < ARRAY_SIZE(refused); l++)
                        for (uint32_t option = 1; option < 512; option++) {
                                uint64_t high = high_halves[h];
                                bool bad = one_of(option, refused[l].options,
                                                  ARRAY_SIZE(refused[l].options));

                                cr_expect_eq(ask(HOST_NETWORK, PROTOTYPE, SYS_setsockopt, 3,
                                                 high | refused[l].level, high | option),
                                             bad ? NO : ALLOW, "level %u, option %u",
                                             refused[l].level, option);
                        }
}

/* All pairs of bits: rules under different masks on one argument are where filters have gone wrong. */
Test(seccomp, every_pair_of_flags)
{
        const uint32_t refused = CLONE_PARENT | CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS |
                                 CLONE_NEWIPC | CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNET;
        const uint32_t weak = ADDR_NO_RANDOMIZE | MMAP_PAGE_ZERO | ADDR_COMPAT_LAYOUT |
                              READ_IMPLIES_EXEC | ADDR_LIMIT_32BIT | ADDR_LIMIT_3GB;

        for (unsigned i = 0; i < 64; i++)
                for (unsigned k = 0; k < 64; k++) {
                        uint64_t bits = 1ull << i | 1ull << k;
                        uint32_t low = (uint32_t)bits;
                        uint32_t expected = low & weak ? NO : ALLOW;

                        if (low & 1u << 31)
                                expected = ABSENT;
                        cr_expect_eq(ask(OWN_NETWORK, WORKER, SYS_clone, bits, 0, 0),
                                     low & refused ? NO : ALLOW, "clone 0x%lx", bits);
                        cr_expect_eq(ask(OWN_NETWORK, WORKER, SYS_personality, bits, 0, 0),
                                     expected, "personality 0x%lx", bits);
                        cr_expect_eq(ask(OWN_NETWORK, WORKER, SYS_sendmsg, 3, 0, bits),
                                     low & MSG_FASTOPEN ? NO : ALLOW, "sendmsg 0x%lx", bits);
                }
}

Test(seccomp, every_pid)
{
        static const int calls[] = {SYS_kill, SYS_tkill, SYS_tgkill, SYS_rt_sigqueueinfo};
        static const uint32_t pids[] = {0, 1, 2, 3, 0x7fffffff, 0x80000000, 0xfffffffe, 0xffffffff};

        for (size_t c = 0; c < ARRAY_SIZE(calls); c++)
                for (size_t h = 0; h < ARRAY_SIZE(high_halves); h++)
                        for (size_t p = 0; p < ARRAY_SIZE(pids); p++) {
                                bool bad = pids[p] == 1 || pids[p] == UINT32_MAX;
                                uint64_t pid = high_halves[h] | pids[p];

                                cr_expect_eq(ask(OWN_NETWORK, WORKER, calls[c], pid, 17, 0),
                                             bad ? NO : ALLOW, "call %d, pid %lx", calls[c], pid);
                        }
}

/* Whatever is no call of this machine, x32's numbers among them. */
Test(seccomp, every_unknown_number)
{
        for (uint32_t number = 471; number < 1u << 16; number++) {
                cr_assert_eq(ask(HOST_NETWORK, PROTOTYPE, (int)number, 0, 0, 0), ABSENT);
                cr_assert_eq(ask(HOST_NETWORK, WORKER, (int)(number << 16), 0, 0, 0), ABSENT);
        }
#ifdef __x86_64__
        for (uint32_t number = 0; number < 1u << 16; number++)
                cr_assert_eq(ask(HOST_NETWORK, WORKER, (int)(X32_BIT | number), 0, 0, 0), ABSENT);
#endif
}

/* Each number has an answer that somebody wrote down: a call whose answer changes, by an edit or by
 * another libseccomp, is seen here. The file has lines of number, answer and name. */
Test(seccomp, every_number_answers_as_written_down)
{
        cleanup_file FILE *golden = fopen(GOLDEN_FILE, "re");
        char line[128], expected[32], name[64], text[32];
        int count = 0;

#ifndef __x86_64__
        cr_skip_test("the numbers written down are those of x86_64");
#endif
        cr_assert(golden, "%s", GOLDEN_FILE);
        while (fgets(line, sizeof(line), golden)) {
                const char *got;
                char *rest;

                cr_assert_eq(strtol(line, &rest, 10), count, "one line for each number: %s", line);
                cr_assert_eq(sscanf(rest, "%31s %63s", expected, name), 2, "%s", line);
                got = bpf_action_text(ask(OWN_NETWORK, PROFILE, count, 0, 0, 0), text,
                                      sizeof(text));
                cr_expect_str_eq(got, expected, "now it is \"%d %s %s\"", count, got, name);
                count++;
        }
        cr_expect_eq(count, 471);
}

/* 30 instructions cost a clone 0.06 ms (a filter is copied and made native for each worker). */
Test(seccomp, a_worker_pays_little)
{
        for (size_t i = 0; i < EACH; i++)
                cr_expect_leq(filters[i][2].length, 48, "%zu instructions", filters[i][2].length);
}

/* Every call runs through the guards; of these only setsockopt has a long list to go through, and openat a few. */
Test(seccomp, the_guards_stay_short)
{
        for (size_t i = 0; i < EACH; i++)
                cr_expect_leq(filters[i][1].length, 432, "%zu instructions", filters[i][1].length);
}

Test(seccomp, the_text_says_what_the_program_does)
{
        const struct plan_filter *allowed = &filters[OWN_NETWORK][0];
        const struct plan_filter *guards = &filters[OWN_NETWORK][1];

        cr_expect_str_eq(allowed->name, "profile");
        cr_expect(strstr(allowed->text, "ERRNO(EPERM): mount "));
        cr_expect(strstr(allowed->text, "KILL_PROCESS: calls of other architectures"));
        cr_expect(strstr(allowed->text, "ERRNO(ENOSYS): every other call"));
        cr_expect(strstr(allowed->text, "personality if argument 0 & 0x80000000 == 0x0"));
        cr_expect(strstr(guards->text, "filter for syscall \"sendmmsg\""));
        cr_expect_null(strstr(filters[HOST_NETWORK][1].text, "filter for syscall \"sendmmsg\""));
}

Test(seccomp, finishing_twice_is_harmless)
{
        struct plan_filter filter;
        struct error error = ERROR_INIT;

        cr_assert_eq(seccomp_compile_guards(&requests[0], &filter, &error), 0);
        seccomp_filter_finish(&filter);
        cr_expect_null(filter.program);
        seccomp_filter_finish(&filter);
}
