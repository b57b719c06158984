/* A native application: an HTTP server of one page, as small as it goes. docs/modules.md explains it.
 *
 *     cc -D_GNU_SOURCE -shared -fPIC -o hello.so hello.c */
#include <clade/module.h>

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define EXPORT __attribute__((visibility("default")))

EXPORT int clade_preload(void);
EXPORT int clade_main(const struct clade_native *native);

static char loaded[64];
static volatile sig_atomic_t stopping;

static void stop(int signal_number)
{
        (void)signal_number;
        stopping = 1;
}

/* Once, before any worker is cloned: what it leaves in memory is there for all of them. */
int clade_preload(void)
{
        time_t now = time(NULL);
        struct tm utc;

        return strftime(loaded, sizeof(loaded), "%T UTC", gmtime_r(&now, &utc)) == 0;
}

static void answer(int connection, const struct clade_native *native)
{
        struct pollfd request = {.fd = connection, .events = POLLIN};
        char ignored[4096], body[256], page[512];
        int length;

        if (poll(&request, 1, 1000) <= 0 || read(connection, ignored, sizeof(ignored)) <= 0)
                return;
        length = snprintf(body, sizeof(body), "Hello from %s, worker %u, pid %d, loaded at %s.\n",
                          native->application, native->slot, getpid(), loaded);
        length = snprintf(page, sizeof(page),
                          "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: %d\r\n"
                          "Connection: close\r\n\r\n%s",
                          length, body);
        (void)!write(connection, page, (size_t)length);
}

/* In each worker, until SIGTERM. */
int clade_main(const struct clade_native *native)
{
        struct sigaction action = {.sa_handler = stop};
        struct pollfd listeners[16];
        nfds_t count = 0;
        sigset_t term, before;

        /* SIGTERM is let in while ppoll waits and at no other time: no request is cut short. */
        sigemptyset(&term);
        sigaddset(&term, SIGTERM);
        sigprocmask(SIG_BLOCK, &term, &before);
        sigaction(SIGTERM, &action, NULL);

        /* Several workers wake up for one connection; those that come late must not wait in accept. */
        for (; count < native->listener_count && count < 16; count++) {
                listeners[count] =
                        (struct pollfd){.fd = native->listeners[count], .events = POLLIN};
                fcntl(listeners[count].fd, F_SETFL, O_NONBLOCK);
        }
        native->ready(native);
        while (!stopping) {
                if (ppoll(listeners, count, NULL, &before) <= 0)
                        continue;
                for (nfds_t i = 0; i < count; i++) {
                        int connection = -1;

                        if (listeners[i].revents)
                                connection = accept4(listeners[i].fd, NULL, NULL, SOCK_CLOEXEC);
                        if (connection < 0)
                                continue;
                        answer(connection, native);
                        close(connection);
                }
        }
        return 0;
}
