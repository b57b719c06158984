#include "modules/http/share.h"

#include <errno.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include "base/own.h"

/* More than a worker can have is a lie, or a count that a kill has left below zero. */
#define LOOPS_MAX       1024
#define CONNECTIONS_MAX (1u << 20)

struct parcel {
        uint32_t listener;
};

int share_setup(struct clade_application *application, struct share *ret_share)
{
        size_t size = application->slots * sizeof(struct share_slot);
        int ends[2];
        void *memory;

        *ret_share = (struct share){.send = -1, .receive = -1};
        if (application->kept_count + 2 > CLADE_KEPT_MAX)
                return -EMFILE;
        memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        if (memory == MAP_FAILED)
                return -errno;
        if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) < 0) {
                int r = -errno;

                munmap(memory, size);
                return r;
        }
        *ret_share = (struct share){
                .slots = memory,
                .slot_count = application->slots,
                .send = (int)application->kept_count,
                .receive = (int)application->kept_count + 1,
        };
        application->kept[application->kept_count++] = ends[0];
        application->kept[application->kept_count++] = ends[1];
        return 0;
}

void share_forget(struct clade_application *application, struct share *share)
{
        if (!share->slots)
                return;
        fd_close(TAKE_FD(application->kept[share->send]));
        fd_close(TAKE_FD(application->kept[share->receive]));
        munmap(share->slots, share->slot_count * sizeof(struct share_slot));
        *share = (struct share){.send = -1, .receive = -1};
}

void share_take(struct share *share, const struct clade_worker *worker, unsigned loops)
{
        if (!share->slots)
                return;
        share->own = worker->slot;
        share->send = worker->kept[share->send];
        share->receive = worker->kept[share->receive];
        /* What a worker left here that was killed. */
        atomic_store(&share->slots[share->own].idle, 0);
        atomic_store(&share->slots[share->own].connections, 0);
        atomic_store(&share->slots[share->own].loops, loops);
        atomic_store(&share->slots[share->own].alive, 1);
}

void share_idle(struct share *share)
{
        if (share->slots)
                atomic_fetch_add_explicit(&share->slots[share->own].idle, 1, memory_order_relaxed);
}

void share_busy(struct share *share)
{
        if (share->slots)
                atomic_fetch_sub_explicit(&share->slots[share->own].idle, 1, memory_order_relaxed);
}

void share_gained(struct share *share)
{
        if (share->slots)
                atomic_fetch_add_explicit(&share->slots[share->own].connections, 1,
                                          memory_order_relaxed);
}

void share_lost(struct share *share)
{
        if (share->slots)
                atomic_fetch_sub_explicit(&share->slots[share->own].connections, 1,
                                          memory_order_relaxed);
}

uint32_t share_fair(const struct share *share)
{
        uint64_t connections = 0, loops = 0;

        for (uint32_t i = 0; share->slots && i < share->slot_count; i++) {
                const struct share_slot *slot = &share->slots[i];
                uint32_t its = atomic_load_explicit(&slot->loops, memory_order_relaxed);
                uint32_t held = atomic_load_explicit(&slot->connections, memory_order_relaxed);

                if (its > LOOPS_MAX || held > CONNECTIONS_MAX ||
                    !atomic_load_explicit(&slot->alive, memory_order_relaxed))
                        continue;
                loops += its;
                connections += held;
        }
        return loops > 1 ? (uint32_t)((connections + loops - 1) / loops) : UINT32_MAX;
}

void share_leave(struct share *share)
{
        if (share->slots)
                atomic_store(&share->slots[share->own].alive, 0);
}

static unsigned queued(const struct share *share)
{
        int bytes = 0;

        if (ioctl(share->receive, FIONREAD, &bytes) < 0 || bytes < 0)
                return UINT32_MAX;
        return (unsigned)bytes / sizeof(struct parcel);
}

unsigned share_room(const struct share *share)
{
        unsigned idle = 0, waiting;

        for (uint32_t i = 0; share->slots && i < share->slot_count; i++) {
                const struct share_slot *slot = &share->slots[i];
                uint32_t loops = atomic_load_explicit(&slot->idle, memory_order_relaxed);

                if (loops <= LOOPS_MAX && atomic_load_explicit(&slot->alive, memory_order_relaxed))
                        idle += loops;
        }
        if (idle == 0)
                return 0;
        waiting = queued(share);
        return idle > waiting ? idle - waiting : 0;
}

bool share_has_others(const struct share *share)
{
        for (uint32_t i = 0; share->slots && i < share->slot_count; i++)
                if (i != share->own &&
                    atomic_load_explicit(&share->slots[i].alive, memory_order_relaxed))
                        return true;
        return false;
}

/* A message with room for one descriptor. */
struct envelope {
        struct parcel parcel;
        struct iovec part;
        _Alignas(struct cmsghdr) char control[CMSG_SPACE(sizeof(int))];
        struct msghdr message;
};

static void envelope_init(struct envelope *envelope, size_t listener)
{
        *envelope = (struct envelope){
                .parcel = {.listener = (uint32_t)listener},
                .part = {&envelope->parcel, sizeof(envelope->parcel)},
                .message =
                        {
                                .msg_iov = &envelope->part,
                                .msg_iovlen = 1,
                                .msg_control = envelope->control,
                                .msg_controllen = sizeof(envelope->control),
                        },
        };
}

int share_send(const struct share *share, int fd, size_t listener)
{
        struct envelope envelope;
        struct cmsghdr *header;

        envelope_init(&envelope, listener);
        header = CMSG_FIRSTHDR(&envelope.message);
        header->cmsg_level = SOL_SOCKET;
        header->cmsg_type = SCM_RIGHTS;
        header->cmsg_len = CMSG_LEN(sizeof(int));
        memcpy(CMSG_DATA(header), &fd, sizeof(fd));
        return sendmsg(share->send, &envelope.message, MSG_DONTWAIT | MSG_NOSIGNAL) < 0 ? -errno
                                                                                        : 0;
}

/* The one descriptor of a message, or -1; further ones are closed. */
static int take_descriptor(struct msghdr *message)
{
        int found = -1;

        for (struct cmsghdr *header = CMSG_FIRSTHDR(message); header;
             header = CMSG_NXTHDR(message, header)) {
                size_t count = (header->cmsg_len - CMSG_LEN(0)) / sizeof(int);

                if (header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS)
                        continue;
                for (size_t i = 0; i < count; i++) {
                        int fd;

                        memcpy(&fd, CMSG_DATA(header) + i * sizeof(int), sizeof(int));
                        fd_close(found);
                        found = fd;
                }
        }
        return found;
}

static bool is_connection(int fd)
{
        int type = 0, listens = 1;
        socklen_t size = sizeof(int);

        if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) < 0 || type != SOCK_STREAM)
                return false;
        size = sizeof(int);
        return getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &size) == 0 && !listens &&
               fd_nonblock(fd, true) == 0;
}

int share_receive(const struct share *share, size_t listener_count, size_t *ret_listener)
{
        struct envelope envelope;
        cleanup_fd int fd = -1;
        ssize_t n;

        envelope_init(&envelope, 0);
        n = recvmsg(share->receive, &envelope.message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
        if (n < 0)
                return -errno;
        fd = take_descriptor(&envelope.message);
        if (n != sizeof(envelope.parcel) || fd < 0 || envelope.parcel.listener >= listener_count ||
            !is_connection(fd))
                return -EPROTO;
        *ret_listener = envelope.parcel.listener;
        return TAKE_FD(fd);
}
