#include "runtime/supervisor/backlog.h"

#include <errno.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <linux/sock_diag.h>
#include <linux/unix_diag.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/own.h"

static int tcp_length(int fd)
{
        struct tcp_info info;
        socklen_t size = sizeof(info);

        if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &size) < 0)
                return -errno;
        return info.tcpi_state == TCP_LISTEN ? (int)info.tcpi_unacked : -ENOTCONN;
}

struct diag_request {
        struct nlmsghdr header;
        struct unix_diag_req request;
};

union diag_answer {
        struct nlmsghdr header; /* aligns it */
        char bytes[1024];
};

static int find_length(const union diag_answer *answer, size_t size)
{
        const struct nlmsghdr *header = &answer->header;
        const struct rtattr *attribute;
        size_t left;

        if (!NLMSG_OK(header, size) || header->nlmsg_type != SOCK_DIAG_BY_FAMILY ||
            header->nlmsg_len < NLMSG_LENGTH(sizeof(struct unix_diag_msg)))
                return -ENODATA;
        left = header->nlmsg_len - NLMSG_LENGTH(sizeof(struct unix_diag_msg));
        attribute =
                (const struct rtattr *)(answer->bytes + NLMSG_SPACE(sizeof(struct unix_diag_msg)));
        for (; RTA_OK(attribute, left); attribute = RTA_NEXT(attribute, left)) {
                struct unix_diag_rqlen length;

                if (attribute->rta_type != UNIX_DIAG_RQLEN ||
                    RTA_PAYLOAD(attribute) < sizeof(length))
                        continue;
                memcpy(&length, RTA_DATA(attribute), sizeof(length));
                return (int)length.udiag_rqueue;
        }
        return -ENODATA;
}

static int unix_length(int fd)
{
        cleanup_fd int netlink = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_SOCK_DIAG);
        struct diag_request request = {
                .header =
                        {
                                .nlmsg_len = sizeof(request),
                                .nlmsg_type = SOCK_DIAG_BY_FAMILY,
                                .nlmsg_flags = NLM_F_REQUEST,
                        },
                .request =
                        {
                                .sdiag_family = AF_UNIX,
                                .udiag_states = ~0U,
                                .udiag_show = UDIAG_SHOW_RQLEN,
                                .udiag_cookie = {~0U, ~0U},
                        },
        };
        union diag_answer answer;
        struct stat st;
        ssize_t n;

        if (netlink < 0 || fstat(fd, &st) < 0)
                return -errno;
        request.request.udiag_ino = (uint32_t)st.st_ino;
        if (send(netlink, &request, sizeof(request), 0) < 0)
                return -errno;
        /* The kernel has answered by the time that send returns. */
        n = recv(netlink, &answer, sizeof(answer), MSG_DONTWAIT);
        return n < 0 ? -errno : find_length(&answer, (size_t)n);
}

static int some(int fd)
{
        struct pollfd look = {.fd = fd, .events = POLLIN};

        if (poll(&look, 1, 0) < 0)
                return -errno;
        return (look.revents & POLLIN) != 0;
}

int backlog_length(int fd)
{
        socklen_t size = sizeof(int);
        int domain, length;

        if (getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &size) < 0)
                return -errno;
        if (domain != AF_UNIX)
                return tcp_length(fd);
        length = unix_length(fd);
        return length < 0 ? some(fd) : length;
}
