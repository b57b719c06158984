/* A native application that says what it works on: clade_native's begin, end and leave. One request at a time.
 *
 *     /            its pid inside, its serial, how many requests it has begun
 *     /sleep/MS    the same, later
 *     /hang        never
 *     /crash       aborts in the middle
 *     /lie         says that it leaves, and does not */
#include <clade/module.h>

#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define EXPORT __attribute__((visibility("default")))

EXPORT int clade_main(const struct clade_native *native);
EXPORT int deaf_main(const struct clade_native *native);

static void act(const struct clade_native *native, const char *target)
{
        if (strncmp(target, "/sleep/", 7) == 0)
                usleep((useconds_t)(1000 * atoi(target + 7)));
        else if (strncmp(target, "/hang", 5) == 0)
                for (;;)
                        pause();
        else if (strncmp(target, "/crash", 6) == 0)
                abort();
        else if (strncmp(target, "/lie", 4) == 0)
                native->leave(native);
}

static void answer(const struct clade_native *native, int connection, unsigned served)
{
        char head[1024], body[128], text[256], *target = head + 4;
        ssize_t n = recv(connection, head, sizeof(head) - 1, 0);
        int length, size;

        if (n < 5)
                return;
        head[n] = '\0';
        target[strcspn(target, " ")] = '\0';
        act(native, target);
        length = snprintf(body, sizeof(body), "%d %llu %u\n", (int)getpid(),
                          (unsigned long long)native->serial, served);
        size = snprintf(text, sizeof(text),
                        "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%s",
                        length, body);
        send(connection, text, (size_t)size, MSG_NOSIGNAL);
}

int clade_main(const struct clade_native *native)
{
        struct pollfd listener = {.fd = native->listeners[0], .events = POLLIN};
        unsigned served = 0;

        native->ready(native);
        while (native->limits.requests == 0 || served < native->limits.requests) {
                uint64_t ticket;
                int connection;

                if (poll(&listener, 1, -1) < 0)
                        continue;
                connection = accept4(listener.fd, NULL, NULL, SOCK_CLOEXEC);
                if (connection < 0)
                        continue;
                ticket = native->begin(native);
                served++;
                if (served == native->limits.requests)
                        native->leave(native);
                answer(native, connection, served);
                shutdown(connection, SHUT_WR);
                close(connection);
                native->end(native, ticket);
        }
        return 0;
}

/* It does not end when it is asked to. */
int deaf_main(const struct clade_native *native)
{
        signal(SIGTERM, SIG_IGN);
        return clade_main(native);
}
