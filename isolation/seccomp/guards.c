/* The guards: what is refused whatever the profile allows, for the profile may be anybody's.
 *
 * Each rule refuses; what no rule matches is allowed. A filter sees an argument as 64 bits, the kernel
 * often takes an int: every rule below is either an equality on the bits that the kernel looks at, or
 * refuses whatever is not exactly the one good value. Ranges are written as blocks under a mask, since
 * equalities are what libseccomp gets right; tests/unit/test_seccomp.c proves the programs by simulation.
 */
#include "isolation/seccomp/compiler.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/shm.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "base/own.h"
#include "isolation/seccomp/program.h"

/* On 32-bit machines socket calls hide behind socketcall(2), whose arguments lie in memory. */
_Static_assert(sizeof(long) == 8, "the guards need the system calls of a 64-bit machine");

#ifdef __s390__
#define CLONE_FLAGS 1 /* clone's flags are its second argument there */
#else
#define CLONE_FLAGS 0
#endif

/* TCP-AO (6.7) is younger than Debian 12's headers. TCP_AO_DEL_KEY and TCP_AO_GET_KEYS are one above these. */
#ifndef TCP_AO_ADD_KEY
#define TCP_AO_ADD_KEY 38
#define TCP_AO_INFO    40
#endif

struct guard {
        const char *call;
        struct condition conditions[CONDITIONS_MAX];
};

/* Calls that would make other guards worth nothing, or workers each other's. A profile of a container engine
 * lets some of them pass, since there everything inside trusts everything. */
static const char *const refused[] = {
        /* namespaces, and with them capabilities: made, entered */
        "unshare",
        "setns",
        /* calls made behind any filter */
        "io_uring_setup",
        "io_uring_enter",
        "io_uring_register",
        /* other processes: Landlock refuses them too, where there is Landlock */
        "ptrace",
        "process_vm_readv",
        "process_vm_writev",
        "pidfd_getfd",
        "kcmp",
        /* a mount cloned without what lies over it, that is without masks and covers, and its options taken off:
         * other changes of mounts Landlock refuses, of these it is not asked */
        "open_tree",
        "open_tree_attr",
        "mount_setattr",
};

#define TMPFILE (O_TMPFILE & ~O_DIRECTORY)
#define SET_ID(name, mode)                                                                         \
        {name, {HAS_BITS(mode, S_ISUID)}},                                                         \
        {                                                                                          \
                name,                                                                              \
                {                                                                                  \
                        HAS_BITS(mode, S_ISGID)                                                    \
                }                                                                                  \
        }
#define SET_ID_CREATED(name, flags, bit)                                                           \
        {name, {HAS_BITS(flags, bit), HAS_BITS((flags) + 1, S_ISUID)}},                            \
        {                                                                                          \
                name,                                                                              \
                {                                                                                  \
                        HAS_BITS(flags, bit), HAS_BITS((flags) + 1, S_ISGID)                       \
                }                                                                                  \
        }

/* Answered EPERM, always. */
static const struct guard guards[] = {
        /* New namespaces mean new capabilities. clone drops the upper half of its flags, and has no bit
         * for a time namespace: that one is its exit signal's. */
        {"clone", {HAS_BITS(CLONE_FLAGS, CLONE_NEWNS)}},
        {"clone", {HAS_BITS(CLONE_FLAGS, CLONE_NEWCGROUP)}},
        {"clone", {HAS_BITS(CLONE_FLAGS, CLONE_NEWUTS)}},
        {"clone", {HAS_BITS(CLONE_FLAGS, CLONE_NEWIPC)}},
        {"clone", {HAS_BITS(CLONE_FLAGS, CLONE_NEWUSER)}},
        {"clone", {HAS_BITS(CLONE_FLAGS, CLONE_NEWPID)}},
        {"clone", {HAS_BITS(CLONE_FLAGS, CLONE_NEWNET)}},
        /* A brother in place of a child: where the prototype is no pid 1, the supervisor would be given
         * children that it did not make. */
        {"clone", {HAS_BITS(CLONE_FLAGS, CLONE_PARENT)}},

        /* What makes addresses guessable or data executable. Bit 31 is clear in all that means
         * anything; with it set there is only the question for the present value. */
        {"personality", {{0, 1u << 31 | ADDR_NO_RANDOMIZE, ADDR_NO_RANDOMIZE, false}}},
        {"personality", {{0, 1u << 31 | MMAP_PAGE_ZERO, MMAP_PAGE_ZERO, false}}},
        {"personality", {{0, 1u << 31 | ADDR_COMPAT_LAYOUT, ADDR_COMPAT_LAYOUT, false}}},
        {"personality", {{0, 1u << 31 | READ_IMPLIES_EXEC, READ_IMPLIES_EXEC, false}}},
        {"personality", {{0, 1u << 31 | ADDR_LIMIT_32BIT, ADDR_LIMIT_32BIT, false}}},
        {"personality", {{0, 1u << 31 | ADDR_LIMIT_3GB, ADDR_LIMIT_3GB, false}}},

        /* The tie to one's parent can be made, not loosened. */
        {"prctl", {INT_IS(0, PR_SET_PDEATHSIG), IS_NOT(1, SIGKILL)}},
        {"prctl", {INT_IS(0, PR_SET_MM)}},

        /* RLIMIT_CPU of another process of the same id is as good as a kill. Reading stays. */
        {"prlimit64", {IS_NOT(0, 0), IS_NOT(2, 0)}},

        /* Device nodes. Pipes, sockets and files are made with the same call. The kernel takes 16 bits
         * of the mode; a device of number 0:0 (overlayfs's whiteout) it would give to anybody. */
        {"mknod", {{1, S_IFMT, S_IFCHR, false}}},
        {"mknod", {{1, S_IFMT, S_IFBLK, false}}},
        {"mknodat", {{2, S_IFMT, S_IFCHR, false}}},
        {"mknodat", {{2, S_IFMT, S_IFBLK, false}}},

        /* Files that give away their owner. Inside nobody becomes somebody by them, but a writable mount is
         * the host's, where they would: as the user of clade, or whom an idmapped mount lends. openat2 has
         * its mode in memory (refuse_calls). */
        SET_ID("chmod", 1),
        SET_ID("fchmod", 1),
        SET_ID("fchmodat", 2),
        SET_ID("fchmodat2", 2),
        SET_ID("creat", 1),
        SET_ID("mknod", 1),
        SET_ID("mknodat", 2),
        SET_ID_CREATED("open", 1, O_CREAT),
        SET_ID_CREATED("open", 1, TMPFILE),
        SET_ID_CREATED("openat", 2, O_CREAT),
        SET_ID_CREATED("openat", 2, TMPFILE),

        /* Typing into the terminal that one was given. */
        {"ioctl", {INT_IS(1, TIOCSTI)}},
        {"ioctl", {INT_IS(1, TIOCLINUX)}},

        /* What would stay on an inherited listener when whoever did it is gone, and shut clients out of all
         * later lives: no error shows it, and some of it (keys) cannot even be asked for. Ordinary servers
         * set none of these. What only makes things slow, or is what servers do set (TCP_DEFER_ACCEPT,
         * SO_RCVBUF, SO_LINGER, TCP_USER_TIMEOUT), stays allowed.
         *
         * A device to be bound to (which also tells which ones the host has), filters of packets, */
        {"setsockopt", {INT_IS(1, SOL_SOCKET), INT_IS(2, SO_BINDTODEVICE)}},
        {"setsockopt", {INT_IS(1, SOL_SOCKET), INT_IS(2, SO_BINDTOIFINDEX)}},
        {"setsockopt", {INT_IS(1, SOL_SOCKET), INT_IS(2, SO_ATTACH_FILTER)}},
        {"setsockopt", {INT_IS(1, SOL_SOCKET), INT_IS(2, SO_LOCK_FILTER)}},
        {"setsockopt", {INT_IS(1, SOL_SOCKET), INT_IS(2, SO_ATTACH_BPF)}},
        {"setsockopt", {INT_IS(1, SOL_SOCKET), INT_IS(2, SO_ATTACH_REUSEPORT_CBPF)}},
        {"setsockopt", {INT_IS(1, SOL_SOCKET), INT_IS(2, SO_ATTACH_REUSEPORT_EBPF)}},
        /* answers for neighbours only, a request that counts from 1 MB on, an answer of a byte each second, */
        {"setsockopt", {INT_IS(1, SOL_SOCKET), INT_IS(2, SO_DONTROUTE)}},
        {"setsockopt", {INT_IS(1, SOL_SOCKET), INT_IS(2, SO_RCVLOWAT)}},
        {"setsockopt", {INT_IS(1, SOL_SOCKET), INT_IS(2, SO_MAX_PACING_RATE)}},
        /* keys that no client has (TCP_MD5SIG, TCP_MD5SIG_EXT, the four of TCP_AO_), the state of a socket
         * (TCP_REPAIR, _QUEUE, _QUEUE_SEQ, _WINDOW; CAP_NET_ADMIN would be needed as well), */
        {"setsockopt", {INT_IS(1, IPPROTO_TCP), INT_IS(2, TCP_MD5SIG)}},
        {"setsockopt", {INT_IS(1, IPPROTO_TCP), INT_IS(2, TCP_MD5SIG_EXT)}},
        {"setsockopt", {INT_IS(1, IPPROTO_TCP), {2, LOW_HALF & ~1ull, TCP_AO_ADD_KEY, false}}},
        {"setsockopt", {INT_IS(1, IPPROTO_TCP), {2, LOW_HALF & ~1ull, TCP_AO_INFO, false}}},
        {"setsockopt", {INT_IS(1, IPPROTO_TCP), INT_IS(2, TCP_REPAIR)}},
        {"setsockopt", {INT_IS(1, IPPROTO_TCP), {2, LOW_HALF & ~1ull, TCP_REPAIR_QUEUE, false}}},
        {"setsockopt", {INT_IS(1, IPPROTO_TCP), INT_IS(2, TCP_REPAIR_WINDOW)}},
        /* packets that must have come, or may go, less far than clients are away, or that are led astray. */
        {"setsockopt", {INT_IS(1, IPPROTO_IP), INT_IS(2, IP_TTL)}},
        {"setsockopt", {INT_IS(1, IPPROTO_IP), INT_IS(2, IP_MINTTL)}},
        {"setsockopt", {INT_IS(1, IPPROTO_IPV6), INT_IS(2, IPV6_UNICAST_HOPS)}},
        {"setsockopt", {INT_IS(1, IPPROTO_IPV6), INT_IS(2, IPV6_MINHOPCOUNT)}},
        {"setsockopt", {INT_IS(1, IPPROTO_IPV6), INT_IS(2, IPV6_RTHDR)}},
        {"setsockopt", {INT_IS(1, IPPROTO_IPV6), INT_IS(2, IPV6_2292PKTOPTIONS)}},

        /* Of netlink only routing: each protocol is a parser in the kernel. */
        {"socket", {INT_IS(0, AF_NETLINK), IS_NOT(2, 0)}},
};

/* With a network of one's own: inherited and accepted sockets are the host's, and must not serve for
 * looking around there, or for connecting without connect(2). */
static const struct guard network_guards[] = {
        {"sendto", {HAS_BITS(3, MSG_FASTOPEN)}},
        {"sendmsg", {HAS_BITS(2, MSG_FASTOPEN)}},
        {"sendmmsg", {HAS_BITS(3, MSG_FASTOPEN)}},
        {"setsockopt", {INT_IS(1, IPPROTO_TCP), INT_IS(2, TCP_FASTOPEN_CONNECT)}},
        /* interface requests, 0x8910 to 0x89ff */
        {"ioctl", {{1, 0xfffffff0, 0x8910, false}}},
        {"ioctl", {{1, 0xffffffe0, 0x8920, false}}},
        {"ioctl", {{1, 0xffffffc0, 0x8940, false}}},
        {"ioctl", {{1, 0xffffff80, 0x8980, false}}},
        /* wireless ones, 0x8b00 to 0x8bff */
        {"ioctl", {{1, 0xffffff00, 0x8b00, false}}},
};

/* ... nor for taking the host's ports. An accepted connection that its client has reset has no port any
 * more, lives in the host's network still, and can be bound there. The address lies in memory, but
 * its length does not: those of inet are at least 16 bytes, netlink's (getifaddrs) are 12, and none
 * is above 128. So where Landlock does not watch, longer names of unix sockets are refused as well. */
static const struct guard bind_guards[] = {
        {"bind", {HAS_BITS(2, 1u << 4)}},
        {"bind", {HAS_BITS(2, 1u << 5)}},
        {"bind", {HAS_BITS(2, 1u << 6)}},
        {"bind", {HAS_BITS(2, 1u << 7)}},
};

/* ... nor for listening there. Where connect() is left for unix sockets, connect(AF_UNSPEC) turns an accepted
 * connection into a free socket of the host's network, which Landlock does not mind, and listen() gives
 * that a port. Servers call listen() on what they inherit as well, where it changes nothing: so it is
 * answered with success, and not done. Nothing inside can begin to listen then. */
static int guard_listen(struct program *program, struct error *error)
{
        const struct condition always[CONDITIONS_MAX] = {{0}};

        return program_rule(program, SCMP_ACT_ERRNO(0), "listen", always, CONDITIONS_MAX, error);
}

/* Memory that has been written is not executed, nor written when it is executable (PR_SET_MDWE's meaning,
 * apart from memory that was executable already and is made so again). A loader's own mappings are of files
 * and executable from the start. */
static const struct guard execute_guards[] = {
        {"mmap", {HAS_BITS(2, PROT_WRITE | PROT_EXEC)}},
        {"mprotect", {HAS_BITS(2, PROT_EXEC)}},
        {"pkey_mprotect", {HAS_BITS(2, PROT_EXEC)}},
        {"shmat", {HAS_BITS(2, SHM_EXEC)}},
};

static int add_guards(struct program *program, int code, const struct guard *list, size_t count,
                      struct error *error)
{
        int r = 0;

        for (size_t i = 0; i < count && r == 0; i++)
                r = program_rule(program, SCMP_ACT_ERRNO((uint32_t)code), list[i].call,
                                 list[i].conditions, CONDITIONS_MAX, error);
        return r;
}

/* Refuses every value of an int argument below `end` (a power of two) that is not listed, as the largest
 * aligned blocks that hold none of the listed ones. `also` is a further condition. */
static int refuse_others(struct program *program, int code, const char *call, unsigned argument,
                         const uint32_t *listed, size_t count, uint32_t end,
                         const struct condition *also, struct error *error)
{
        int r = 0;

        for (uint32_t at = 0, size; at < end && r == 0; at += size) {
                struct condition conditions[CONDITIONS_MAX] = {[1] = *also};
                uint32_t next = end;

                for (size_t i = 0; i < count; i++)
                        if (listed[i] >= at && listed[i] < next)
                                next = listed[i];
                size = 1;
                if (next == at)
                        continue;
                while (at % (size * 2) == 0 && at + size * 2 <= next)
                        size *= 2;
                conditions[0] =
                        (struct condition){argument, LOW_HALF & ~(uint64_t)(size - 1), at, false};
                r = program_rule(program, SCMP_ACT_ERRNO(code), call, conditions, CONDITIONS_MAX,
                                 error);
        }
        return r;
}

/* Families and protocols are where the kernel loads modules that nobody has looked at for years (vsock,
 * which no namespace holds; alg, kcm, rds, key, sctp, dccp, ...). From `end` on the kernel has none. */
static int guard_sockets(struct program *program, const struct seccomp_request *request,
                         struct error *error)
{
        static const uint32_t families[] = {AF_UNIX, AF_INET, AF_INET6,
                                            AF_NETLINK}; /* the first alone: no network */
        static const uint32_t protocols[] = {0, IPPROTO_ICMP, IPPROTO_TCP, IPPROTO_UDP,
                                             IPPROTO_ICMPV6};
        static const struct condition none = {.mask = 0};
        /* AF_INET is 2 and AF_INET6 is 10: they differ in one bit. */
        static const struct condition inet = {0, LOW_HALF & ~8ull, AF_INET, false};
        int r;

        _Static_assert((AF_INET6 & ~8) == AF_INET && AF_INET != AF_INET6, "one mask for both");
        r = refuse_others(program, EAFNOSUPPORT, "socket", 0, families,
                          request->no_unix_sockets      ? 0
                          : request->no_network_sockets ? 1
                                                        : ARRAY_SIZE(families),
                          256, &none, error);
        if (r == 0)
                r = refuse_others(program, EAFNOSUPPORT, "socketpair", 0, families,
                                  ARRAY_SIZE(families), 256, &none, error);
        if (r == 0)
                r = refuse_others(program, EPERM, "socket", 2, protocols, ARRAY_SIZE(protocols),
                                  512, &inet, error);
        return r;
}

/* The flags of clone3 and the mode of openat2 lie in memory, where no filter sees them; ENOSYS makes callers use
 * clone and openat. */
static int refuse_calls(struct program *program, struct error *error)
{
        int r = program_rule(program, SCMP_ACT_ERRNO(ENOSYS), "clone3", NULL, 0, error);

        if (r == 0)
                r = program_rule(program, SCMP_ACT_ERRNO(ENOSYS), "openat2", NULL, 0, error);
        for (size_t i = 0; i < ARRAY_SIZE(refused) && r == 0; i++)
                r = program_rule(program, SCMP_ACT_ERRNO(EPERM), refused[i], NULL, 0, error);
        return r;
}

/* An inherited or accepted socket lives in the host's network: connect() on it would reach the host's
 * loopback, or, with AF_UNSPEC, take the listener from everyone. */
static int guard_network(struct program *program, const struct seccomp_request *request,
                         struct error *error)
{
        int r;

        r = add_guards(program, EPERM, network_guards, ARRAY_SIZE(network_guards), error);
        if (r == 0 && !request->unix_clients)
                r = program_rule(program, SCMP_ACT_ERRNO(EPERM), "connect", NULL, 0, error);
        if (r == 0 && request->unix_clients)
                r = guard_listen(program, error);
        if (r == 0 && !request->tcp_confined)
                r = add_guards(program, EPERM, bind_guards, ARRAY_SIZE(bind_guards), error);
        return r;
}

/* Only a cpuset, which is a control group's, would hold processors against whoever was put on some. */
static int guard_cpus(struct program *program, struct error *error)
{
        return program_rule(program, SCMP_ACT_ERRNO(EPERM), "sched_setaffinity", NULL, 0, error);
}

int seccomp_compile_guards(const struct seccomp_request *request, struct plan_filter *ret_filter,
                           struct error *error)
{
        struct program program;
        int r;

        r = program_begin(&program, "guards", SCMP_ACT_ALLOW, true, error);
        if (r < 0)
                return r;
        r = refuse_calls(&program, error);
        if (r == 0)
                r = add_guards(&program, EPERM, guards, ARRAY_SIZE(guards), error);
        if (r == 0)
                r = guard_sockets(&program, request, error);
        if (r == 0 && request->own_network)
                r = guard_network(&program, request, error);
        if (r == 0 && request->fixed_cpus)
                r = guard_cpus(&program, error);
        if (r == 0 && request->deny_write_execute)
                r = add_guards(&program, EACCES, execute_guards, ARRAY_SIZE(execute_guards), error);
        if (r < 0) {
                program_abandon(&program);
                return r;
        }
        return program_end(&program, ret_filter, error);
}
