#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "base/channel.h"
#include "base/own.h"
#include "base/signals.h"
#include "runtime/protocol/descriptors.h"
#include "runtime/prototype/prototype.h"

#define ORDERS_TURN 16

/* One order. 0: there is none. Negative: the supervisor is gone or speaks another language. */
static int take_order(struct prototype *prototype, uint32_t *seen)
{
        union {
                struct message_header header;
                struct order_clone clone;
                struct order_acknowledge acknowledge;
                struct order_stop stop;
        } order;
        struct error error;
        ssize_t n = channel_receive(PROTOTYPE_FD_ORDERS, &order, sizeof(order));

        if (n == -EAGAIN)
                return 0;
        if (n <= 0 || !message_check(&order_table, 0, &order, (size_t)n, seen, &error))
                return -EBADMSG;
        switch ((enum order_type)order.header.type) {
        case ORDER_CLONE:
                children_clone(prototype, order.clone.slot, order.clone.serial);
                break;
        case ORDER_ACKNOWLEDGE:
                children_acknowledge(prototype, (pid_t)order.acknowledge.isolated_pid);
                break;
        case ORDER_STOP:
                prototype->stopping = true;
                break;
        }
        return 1;
}

/* Puts everything to wait for into `fds`; how many there are. Behind the two fixed ones come, for each slot
 * in turn, its handshake and its notify socket; poll skips those that are -1. */
static nfds_t collect(const struct prototype *prototype, struct pollfd *fds)
{
        nfds_t n = 0;

        fds[n++] = (struct pollfd){.fd = PROTOTYPE_FD_ORDERS, .events = POLLIN};
        fds[n++] = (struct pollfd){.fd = prototype->signals, .events = POLLIN};
        for (uint32_t i = 0; i < prototype->launch.slot_count; i++) {
                const struct child *child = &prototype->children[i];

                fds[n++] = (struct pollfd){.fd = child->handshake, .events = POLLIN};
                fds[n++] = (struct pollfd){.fd = child->notify, .events = POLLIN};
        }
        return n;
}

static bool turn(struct prototype *prototype, struct pollfd *fds, uint32_t *seen)
{
        nfds_t n = collect(prototype, fds);
        struct signalfd_siginfo info;

        if (poll(fds, n, -1) < 0)
                return errno == EINTR;
        for (uint32_t i = 0; i < prototype->launch.slot_count; i++) {
                struct child *child = &prototype->children[i];

                if (fds[2 + 2 * i].revents && child->handshake >= 0)
                        children_handshake(prototype, child);
                if (fds[3 + 2 * i].revents && child->notify >= 0)
                        children_notified(child);
        }
        if (fds[1].revents) {
                if (read(prototype->signals, &info, sizeof(info)) < 0 && errno != EAGAIN)
                        return false;
                children_reap(prototype);
        }
        /* They come in pairs: "you may reap that one", "make another one". */
        for (int orders = 0, r = 1; fds[0].revents && r > 0 && orders < ORDERS_TURN; orders++) {
                r = take_order(prototype, seen);
                if (r < 0)
                        return false;
        }
        return true;
}

int prototype_serve(struct prototype *prototype)
{
        cleanup_free struct pollfd *fds =
                calloc(2 + 2 * (size_t)prototype->launch.slot_count, sizeof(*fds));
        uint32_t seen = 0;
        sigset_t child;

        signals_find(&prototype->changed);
        sigemptyset(&child);
        sigaddset(&child, SIGCHLD);
        if (!fds || sigprocmask(SIG_BLOCK, &child, NULL) < 0 ||
            fd_nonblock(PROTOTYPE_FD_ORDERS, true) < 0)
                return EXIT_FAILURE;
        prototype->signals = signalfd(-1, &child, SFD_CLOEXEC | SFD_NONBLOCK);
        if (prototype->signals < 0)
                return EXIT_FAILURE;
        /* Without a pid namespace orphans would go to the host's init. */
        if (getpid() != 1)
                prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
        while (!prototype->stopping || children_any(prototype))
                if (!turn(prototype, fds, &seen))
                        return EXIT_FAILURE;
        return EXIT_SUCCESS;
}
