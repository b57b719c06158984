/* READY=1, as sd_notify(3) sends it: one datagram socket for each worker, so that who speaks needs no
 * proof. It has a path, since an abstract name would lie outside of the worker's Landlock domain. What
 * comes in is read into a fixed buffer without control data: descriptors sent along are let go by the
 * kernel, and if that takes its time, it takes this application's. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/own.h"
#include "runtime/prototype/prototype.h"

#define MESSAGE_SIZE 4096

void notify_path(const struct child *child, char *path, size_t size)
{
        /* Where the application has no root of its own /tmp is the host's, and others are there, too: they
         * must not know the name beforehand. */
        snprintf(path, size, "/tmp/.clade-notify-%016llx", (unsigned long long)child->notify_name);
}

int notify_create(struct child *child)
{
        struct sockaddr_un address = {.sun_family = AF_UNIX};
        cleanup_fd int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

        if (fd < 0)
                return -errno;
        if (getrandom(&child->notify_name, sizeof(child->notify_name), 0) < 0)
                return -errno;
        notify_path(child, address.sun_path, sizeof(address.sun_path));
        if (bind(fd, (const void *)&address, sizeof(address)) < 0)
                return -errno;
        child->notify = TAKE_FD(fd);
        return 0;
}

int notify_receive(int fd)
{
        char message[MESSAGE_SIZE + 1];
        ssize_t n = recv(fd, message, MESSAGE_SIZE, MSG_DONTWAIT);
        char *rest = message, *line;

        if (n <= 0)
                return 0;
        message[n] = '\0';
        while ((line = strsep(&rest, "\n")))
                if (strcmp(line, "READY=1") == 0)
                        return 1;
        return 0;
}

void notify_destroy(struct child *child)
{
        char path[108];

        if (child->notify < 0)
                return;
        notify_path(child, path, sizeof(path));
        unlink(path);
        fd_close(TAKE_FD(child->notify));
}
