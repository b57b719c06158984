#include "modules/http/server.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/own.h"

/* What a signal handler can reach. */
static atomic_int stop_fd = -1;
static atomic_bool stop_signalled;

static void on_term(int signal_number)
{
        int code = errno;
        uint64_t one = 1;

        (void)signal_number;
        stop_signalled = true;
        if (stop_fd >= 0)
                (void)!write(stop_fd, &one, sizeof(one));
        errno = code;
}

static int take_signals(struct http_server *server)
{
        struct sigaction term = {.sa_handler = on_term, .sa_flags = SA_RESTART};
        struct sigaction pipe_closed = {.sa_handler = SIG_IGN};

        stop_fd = server->stop;
        sigemptyset(&term.sa_mask);
        /* sendfile to a client that is gone has no flag against it. */
        sigemptyset(&pipe_closed.sa_mask);
        if (sigaction(SIGTERM, &term, NULL) < 0 || sigaction(SIGPIPE, &pipe_closed, NULL) < 0)
                return -errno;
        return 0;
}

/* What the prototype made for its workers. It is known here since neither of them has another place for it. */
static struct share prepared = {.send = -1, .receive = -1};

int http_setup(struct clade_application *application)
{
        int r;

        /* A worker of a single request has nothing to share. */
        if (application->limits.requests == 1)
                return 0;
        r = share_setup(application, &prepared);
        if (r < 0)
                return application->host->fail(application->failure, -r, NULL,
                                               "preparing what HTTP workers share: %s",
                                               strerror(-r));
        return 0;
}

void http_forget(struct clade_application *application)
{
        share_forget(application, &prepared);
}

static int server_init(struct http_server *server)
{
        int r;

        server->stop = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        if (server->stop < 0)
                return -errno;
        server->share = prepared;
        share_take(&server->share, server->worker, server->loop_count);
        server->loops = calloc(server->loop_count, sizeof(*server->loops));
        if (!server->loops)
                return -ENOMEM;
        for (unsigned i = 0; i < server->loop_count; i++) {
                r = loop_init(&server->loops[i], server, i);
                if (r < 0) {
                        server->loop_count = i + 1;
                        return r;
                }
        }
        return take_signals(server);
}

int http_server_create(struct clade_worker *worker, unsigned loops, const struct http_hooks *hooks,
                       struct http_server **ret_server)
{
        struct http_server *server = calloc(1, sizeof(*server));
        int r = server ? 0 : -ENOMEM;

        if (server) {
                server->worker = worker;
                server->hooks = *hooks;
                server->loop_count = worker->application->limits.requests == 1 ? 1 : loops;
                server->stop = -1;
                r = server_init(server);
        }
        if (r < 0) {
                http_server_destroy(server);
                return worker->application->host->fail(worker->failure, -r, NULL,
                                                       "preparing to serve HTTP: %s", strerror(-r));
        }
        *ret_server = server;
        return 0;
}

int http_server_run(struct http_server *server, unsigned loop)
{
        int r = 0;

        /* A worker of one request needs only one. */
        if (loop >= server->loop_count)
                return 0;
        /* Nobody waits for the watching thread: what begins before it is there, it finds. */
        if (loop == 0) {
                server->worker->ready(server->worker);
                r = watch_start(&server->watch, server);
        }
        if (r < 0) {
                http_server_stop(server);
                return r;
        }
        return loop_run(&server->loops[loop]);
}

void http_server_stop(struct http_server *server)
{
        atomic_store(&server->stopping, true);
        eventfd_write(server->stop, 1);
}

bool server_is_stopping(const struct http_server *server)
{
        return stop_signalled || atomic_load(&server->stopping);
}

bool server_counts_out(struct http_server *server)
{
        uint64_t limit = server->worker->application->limits.requests, count;

        if (limit == 0)
                return false;
        count = atomic_fetch_add(&server->begun, 1) + 1;
        if (count == limit) {
                atomic_store(&server->leaving, true);
                share_leave(&server->share);
                server->worker->leave(server->worker);
                /* A worker of one request ends with its connection, and nobody has to be told. */
                if (limit > 1)
                        http_server_stop(server);
        }
        return count >= limit;
}

struct http_server *http_server_destroy(struct http_server *server)
{
        if (!server)
                return NULL;
        watch_stop(&server->watch);
        share_leave(&server->share);
        for (unsigned i = 0; server->loops && i < server->loop_count; i++)
                loop_finish(&server->loops[i]);
        free(TAKE_PTR(server->loops));
        stop_fd = -1;
        fd_close(TAKE_FD(server->stop));
        free(server);
        return NULL;
}
