/* The host as the application finds it: its name, where it has a UTS namespace of its own, and in a network
 * namespace of its own the loopback interface, which a new one has switched off. */
#include <errno.h>
#include <net/if.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/own.h"
#include "isolation/steps/steps.h"

/* Interfaces can be asked for by any socket; a unix one exists in every kernel. */
static int raise_loopback(struct error *error)
{
        cleanup_fd int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        struct ifreq request = {.ifr_name = "lo", .ifr_flags = IFF_UP | IFF_RUNNING};

        if (fd < 0)
                return error_set(error, errno, "socket, to bring up the loopback interface");
        if (ioctl(fd, SIOCSIFFLAGS, &request) < 0)
                return error_set(error, errno, "bringing up the loopback interface");
        return 0;
}

int hostname_apply(struct isolation *isolation, struct error *error)
{
        const char *name = isolation->plan->hostname;

        if (name && sethostname(name, strlen(name)) < 0)
                return error_set(error, errno, "sethostname to %s", name);
        return isolation->plan->loopback ? raise_loopback(error) : 0;
}

void hostname_describe(const struct plan *plan, const struct isolation_report *report)
{
        if (plan->hostname)
                report_call(report, "sethostname", "\"%s\"", plan->hostname);
        if (plan->loopback)
                report_call(report, "ioctl", "SIOCSIFFLAGS, \"lo\", IFF_UP");
}
