/* Rows 45 to 49, 57 and 61, and what row 52 asks: networks, and the sockets that we were given. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/shm.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "probe.h"

static void try_socket(const struct probe *probe, const struct attempt *attempt,
                       struct outcome *outcome)
{
        (void)probe;
        outcome_call(outcome,
                     socket((int)attempt->arguments[0], (int)attempt->arguments[1] | SOCK_CLOEXEC,
                            (int)attempt->arguments[2]));
}

/* A request to the kernel, and its answer's errno. */
static void try_netlink(const struct probe *probe, const struct attempt *attempt,
                        struct outcome *outcome)
{
        struct {
                struct nlmsghdr header;
                struct ifinfomsg link;
        } request = {
                .header = {sizeof(request), (uint16_t)attempt->number,
                           NLM_F_REQUEST | NLM_F_ACK | (uint16_t)attempt->arguments[0], 1, 0},
                .link = {.ifi_index = 1, .ifi_change = IFF_UP, .ifi_flags = 0},
        };
        struct {
                struct nlmsghdr header;
                struct nlmsgerr error;
                char rest[1024];
        } answer = {.error = {.error = 0}};
        int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);

        (void)probe;
        if (fd < 0 || send(fd, &request, sizeof(request), 0) < 0 ||
            recv(fd, &answer, sizeof(answer), 0) < 0) {
                outcome_call(outcome, -1);
                return;
        }
        errno = -answer.error.error;
        outcome_call(outcome, answer.error.error < 0 ? -1 : 0);
}

static socklen_t abstract_address(struct sockaddr_un *address, const char *name)
{
        *address = (struct sockaddr_un){.sun_family = AF_UNIX};
        snprintf(address->sun_path + 1, sizeof(address->sun_path) - 1, "%s", name);
        return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + strlen(name));
}

/* A connection, or a datagram: whatever gets there. */
static long reach(int family, int type, const void *address, socklen_t length)
{
        int fd = socket(family, type | SOCK_CLOEXEC, 0);

        if (fd < 0)
                return fd;
        return type == SOCK_DGRAM ? sendto(fd, "x", 1, 0, address, length)
                                  : connect(fd, address, length);
}

/* The host's, by the name that the driver has told. */
static void try_host_abstract(const struct probe *probe, const struct attempt *attempt,
                              struct outcome *outcome)
{
        struct sockaddr_un address;
        char name[100];
        socklen_t length;

        if (!parameter(probe, attempt->path, name, sizeof(name))) {
                outcome_set(outcome, "untold");
                return;
        }
        length = abstract_address(&address, name);
        outcome_call(outcome, reach(AF_UNIX, (int)attempt->number, &address, length));
}

static struct sockaddr_in loopback(long port)
{
        return (struct sockaddr_in){
                .sin_family = AF_INET,
                .sin_port = htons((uint16_t)port),
                .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
        };
}

static void try_host_port(const struct probe *probe, const struct attempt *attempt,
                          struct outcome *outcome)
{
        long port = parameter_number(probe, "port");
        struct sockaddr_in address = loopback(port);

        if (port == 0)
                outcome_set(outcome, "untold");
        else
                outcome_call(outcome,
                             reach(AF_INET, (int)attempt->number, &address, sizeof(address)));
}

static void try_host_sysv(const struct probe *probe, const struct attempt *attempt,
                          struct outcome *outcome)
{
        long key = parameter_number(probe, "shm");

        (void)attempt;
        if (key == 0)
                outcome_set(outcome, "untold");
        else
                outcome_call(outcome, shmget((key_t)key, 0, 0));
}

static void try_host_posix(const struct probe *probe, const struct attempt *attempt,
                           struct outcome *outcome)
{
        char name[100], path[120];

        (void)attempt;
        if (!parameter(probe, "posix", name, sizeof(name))) {
                outcome_set(outcome, "untold");
                return;
        }
        snprintf(path, sizeof(path), "/dev/shm/%s", name);
        outcome_call(outcome, open(path, O_RDONLY | O_CLOEXEC));
}

static void find_interfaces(const struct probe *probe, const struct attempt *attempt,
                            struct outcome *outcome)
{
        struct if_nameindex *list = if_nameindex();
        char names[256] = "";
        size_t length = 0;

        (void)probe, (void)attempt;
        if (!list) {
                outcome_call(outcome, -1);
                return;
        }
        for (struct if_nameindex *at = list; at->if_index && length < sizeof(names); at++)
                length += (size_t)snprintf(names + length, sizeof(names) - length, "%s%s",
                                           length ? "," : "", at->if_name);
        if_freenameindex(list);
        outcome_set(outcome, "%s", length ? names : "none");
}

static void try_bind(const struct probe *probe, const struct attempt *attempt,
                     struct outcome *outcome)
{
        struct sockaddr_in address = loopback(attempt->number);
        struct sockaddr_in6 address6 = {
                .sin6_family = AF_INET6,
                .sin6_port = htons((uint16_t)attempt->number),
                .sin6_addr = IN6ADDR_ANY_INIT,
        };
        bool six = attempt->arguments[0] == AF_INET6;
        int fd = socket((int)attempt->arguments[0], (int)attempt->arguments[1] | SOCK_CLOEXEC, 0);

        (void)probe;
        if (fd >= 0)
                fd = six ? bind(fd, (void *)&address6, sizeof(address6))
                         : bind(fd, (void *)&address, sizeof(address));
        outcome_call(outcome, fd);
}

/* A TCP socket of our own that connects to anything. */
static void try_own_connect(const struct probe *probe, const struct attempt *attempt,
                            struct outcome *outcome)
{
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        struct sockaddr_in address = {
                .sin_family = AF_INET,
                .sin_port = htons(53),
                .sin_addr.s_addr = htonl(0x08080808),
        };

        (void)probe, (void)attempt;
        outcome_call(outcome, fd < 0 ? fd : connect(fd, (void *)&address, sizeof(address)));
        if (strcmp(outcome->text, "EINPROGRESS") == 0)
                outcome_set(outcome, "done");
}

/* --- the sockets that are the host's ---------------------------------------------------------------- */

enum { LISTENER, CONNECTION };

static int given(const struct probe *probe, const struct attempt *attempt, struct outcome *outcome)
{
        int fd = attempt->arguments[0] == LISTENER ? probe->listener : probe->connection;

        if (fd < 0)
                outcome_set(outcome, "untold");
        return fd;
}

/* For good: the listener itself would no longer be one. So it is the last attempt of its row. */
static void try_disconnect(const struct probe *probe, const struct attempt *attempt,
                           struct outcome *outcome)
{
        struct sockaddr none = {.sa_family = AF_UNSPEC};
        int fd = given(probe, attempt, outcome);

        if (fd >= 0)
                outcome_call(outcome, connect(fd, &none, sizeof(none)));
}

static void try_reconnect(const struct probe *probe, const struct attempt *attempt,
                          struct outcome *outcome)
{
        struct sockaddr_in address = loopback(parameter_number(probe, "port"));
        int fd = given(probe, attempt, outcome);

        if (fd >= 0)
                outcome_call(outcome, connect(fd, (void *)&address, sizeof(address)));
}

static void try_fastopen(const struct probe *probe, const struct attempt *attempt,
                         struct outcome *outcome)
{
        struct sockaddr_in address = loopback(parameter_number(probe, "port"));
        struct iovec word = {(char[]){'x'}, 1};
        struct msghdr message = {
                .msg_name = &address,
                .msg_namelen = sizeof(address),
                .msg_iov = &word,
                .msg_iovlen = 1,
        };
        struct mmsghdr messages = {.msg_hdr = message};
        int flags = MSG_FASTOPEN | MSG_NOSIGNAL | MSG_DONTWAIT;
        int fd = given(probe, attempt, outcome);
        struct many many = {.done = false};

        if (fd < 0)
                return;
        many_call(&many, "sendto", sendto(fd, "x", 1, flags, (void *)&address, sizeof(address)));
        many_call(&many, "sendmsg", sendmsg(fd, &message, flags));
        many_call(&many, "sendmmsg", sendmmsg(fd, &messages, 1, (unsigned)flags));
        many_tell(&many, outcome);
}

static void try_fastopen_option(const struct probe *probe, const struct attempt *attempt,
                                struct outcome *outcome)
{
        int fd = given(probe, attempt, outcome), on = 1;

        if (fd >= 0)
                outcome_call(outcome,
                             setsockopt(fd, IPPROTO_TCP, TCP_FASTOPEN_CONNECT, &on, sizeof(on)));
}

static void try_interfaces(const struct probe *probe, const struct attempt *attempt,
                           struct outcome *outcome)
{
        static const unsigned long requests[] = {SIOCGIFFLAGS,   SIOCGIFADDR, SIOCGIFHWADDR,
                                                 SIOCGIFINDEX,   SIOCGIFNAME, SIOCSIFFLAGS,
                                                 SIOCGIFNETMASK, 0x8946 /* SIOCETHTOOL */};
        struct ifconf list = {.ifc_len = 0};
        int fd = given(probe, attempt, outcome);
        struct many many = {.done = false};

        if (fd < 0)
                return;
        many_call(&many, "SIOCGIFCONF", ioctl(fd, SIOCGIFCONF, &list));
        for (size_t i = 0; i < sizeof(requests) / sizeof(requests[0]); i++) {
                struct ifreq interface = {.ifr_name = "lo"};
                char what[32];

                snprintf(what, sizeof(what), "0x%lx", requests[i]);
                many_call(&many, what, ioctl(fd, requests[i], &interface));
        }
        many_tell(&many, outcome);
}

static void try_option(const struct probe *probe, const struct attempt *attempt,
                       struct outcome *outcome)
{
        int fd = given(probe, attempt, outcome), value = (int)attempt->arguments[3];

        if (fd < 0)
                return;
        if (attempt->text)
                outcome_call(outcome,
                             setsockopt(fd, (int)attempt->arguments[1], (int)attempt->arguments[2],
                                        attempt->text, (socklen_t)strlen(attempt->text) + 1));
        else
                outcome_call(outcome,
                             setsockopt(fd, (int)attempt->arguments[1], (int)attempt->arguments[2],
                                        &value, sizeof(value)));
}

/* Whether anything waits on an inherited socket that carries a descriptor. */
static void find_passed(const struct probe *probe, const struct attempt *attempt,
                        struct outcome *outcome)
{
        char control[CMSG_SPACE(sizeof(int) * 16)], byte[1];
        struct iovec word = {byte, 1};
        int found = 0;

        (void)attempt;
        for (int fd = 0; fd < 3 + (int)probe->listener_count; fd++) {
                struct msghdr message = {
                        .msg_iov = &word,
                        .msg_iovlen = 1,
                        .msg_control = control,
                        .msg_controllen = sizeof(control),
                };

                if (recvmsg(fd, &message, MSG_DONTWAIT | MSG_PEEK) >= 0 &&
                    message.msg_controllen > 0)
                        found++;
        }
        if (found)
                outcome_set(outcome, "passed:%d", found);
        else
                outcome_set(outcome, "none");
}

/* By name only: what the driver brings back, row 62. */
static void shut_listener(const struct probe *probe, const struct attempt *attempt,
                          struct outcome *outcome)
{
        int fd = given(probe, attempt, outcome);

        if (fd >= 0)
                outcome_call(outcome, shutdown(fd, SHUT_RDWR));
}

#define SOCKET(row, name, ...)                                                                     \
        {                                                                                          \
                row, name, try_socket, .arguments = { __VA_ARGS__ }                                \
        }

const struct attempt socket_attempts[] = {
        SOCKET(45, "raw", AF_INET, SOCK_RAW, IPPROTO_ICMP),
        SOCKET(45, "raw-any", AF_INET, SOCK_RAW, IPPROTO_RAW),
        SOCKET(45, "raw6", AF_INET6, SOCK_RAW, IPPROTO_ICMPV6),
        SOCKET(45, "packet", AF_PACKET, SOCK_RAW, 0x0300),
        SOCKET(45, "packet-datagram", AF_PACKET, SOCK_DGRAM, 0x0300),
        {45, "netlink-link-down", try_netlink, .number = RTM_NEWLINK},
        {45, "netlink-link-delete", try_netlink, .number = RTM_DELLINK},
        {45, "netlink-link-new", try_netlink, .number = RTM_NEWLINK,
         .arguments = {NLM_F_CREATE | NLM_F_EXCL}},
        SOCKET(45, "netlink-audit", AF_NETLINK, SOCK_RAW, NETLINK_AUDIT),
        SOCKET(45, "netlink-netfilter", AF_NETLINK, SOCK_RAW, NETLINK_NETFILTER),
        SOCKET(46, "vsock", 40, SOCK_STREAM, 0),
        SOCKET(46, "alg", 38, SOCK_SEQPACKET, 0),
        SOCKET(46, "kcm", 41, SOCK_DGRAM, 0),
        SOCKET(46, "rds", 21, SOCK_SEQPACKET, 0),
        SOCKET(46, "sctp", AF_INET, SOCK_STREAM, 132),
        SOCKET(46, "sctp-many", AF_INET, SOCK_SEQPACKET, 132),
        SOCKET(46, "key", 15, SOCK_RAW, 2),
        SOCKET(46, "xdp", 44, SOCK_RAW, 0),
        SOCKET(46, "tipc", 30, SOCK_RDM, 0),
        SOCKET(46, "bluetooth", 31, SOCK_RAW, 0),
        SOCKET(46, "can", 29, SOCK_RAW, 1),
        SOCKET(46, "smc", 43, SOCK_STREAM, 0),
        SOCKET(46, "qipcrtr", 42, SOCK_DGRAM, 0),
        SOCKET(46, "ax25", 3, SOCK_DGRAM, 0),
        SOCKET(46, "udplite", AF_INET, SOCK_DGRAM, 136),
        SOCKET(46, "mptcp", AF_INET, SOCK_STREAM, 262),
        {47, "abstract", try_host_abstract, "abstract", .number = SOCK_STREAM},
        {47, "abstract-datagram", try_host_abstract, "datagram", .number = SOCK_DGRAM},
        {47, "service", try_host_port, .number = SOCK_STREAM},
        {47, "sysv-memory", try_host_sysv},
        {47, "posix-memory", try_host_posix},
        {48, "interfaces", find_interfaces},
        {49, "bind-80", try_bind, .number = 80, .arguments = {AF_INET, SOCK_STREAM}},
        {49, "bind-80-udp", try_bind, .number = 80, .arguments = {AF_INET, SOCK_DGRAM}},
        {49, "bind-443-6", try_bind, .number = 443, .arguments = {AF_INET6, SOCK_STREAM}},
        {49, "bind-undeclared", try_bind, .number = 45671, .arguments = {AF_INET, SOCK_STREAM}},
        {52, "passed", find_passed},
        {57, "bind", try_bind, .number = 45672, .arguments = {AF_INET, SOCK_STREAM}},
        {57, "connect", try_own_connect},
        {57, "sibling-abstract", try_host_abstract, "abstract", .number = SOCK_STREAM},
        {61, "listener-reconnect", try_reconnect, .arguments = {LISTENER}},
        {61, "listener-fastopen", try_fastopen, .arguments = {LISTENER}},
        {61, "listener-fastopen-option", try_fastopen_option, .arguments = {LISTENER}},
        {61, "listener-interfaces", try_interfaces, .arguments = {LISTENER}},
        {61, "listener-to-device", try_option, .text = "lo",
         .arguments = {LISTENER, SOL_SOCKET, SO_BINDTODEVICE, 0}},
        {61, "listener-to-interface", try_option,
         .arguments = {LISTENER, SOL_SOCKET, 62 /* SO_BINDTOIFINDEX */, 1}},
        {61, "listener-disconnect", try_disconnect, .arguments = {LISTENER}},
        {61, "connection-reconnect", try_reconnect, .arguments = {CONNECTION}},
        {61, "connection-fastopen", try_fastopen, .arguments = {CONNECTION}},
        {61, "connection-fastopen-option", try_fastopen_option, .arguments = {CONNECTION}},
        {61, "connection-interfaces", try_interfaces, .arguments = {CONNECTION}},
        {61, "connection-to-device", try_option, .text = "lo",
         .arguments = {CONNECTION, SOL_SOCKET, SO_BINDTODEVICE, 0}},
        /* by name only: a connection that it works on cannot carry the answer */
        {0, "connection-disconnect", try_disconnect, .arguments = {CONNECTION}},
        {0, "shutdown-listener", shut_listener, .arguments = {LISTENER}},
        {0, "disconnect-listener", try_disconnect, .arguments = {LISTENER}},
        {0},
};
