/* start, WSGI: the loops of the HTTP unit, each in a thread of its own where there are several. They hold the
 * interpreter's lock while they work and let go of it while they wait. */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "modules/http/http.h"
#include "modules/python/wsgi.h"

/* The interpreter's state of this thread, while it does not hold the lock. There is no other place for it: hooks know
 * their server, not their loop. */
static _Thread_local PyThreadState *released;

static void wait_begin(void *context)
{
        (void)context;
        released = PyEval_SaveThread();
}

static void wait_end(void *context)
{
        (void)context;
        PyEval_RestoreThread(released);
}

/* From the watching thread. The signal's handler is Python's own faulthandler: it prints where all threads are,
 * and needs no lock for it. */
static void hung(void *context)
{
        static const char text[] =
                "clade: a request takes longer than limits.timeout; the worker's "
                "threads are here:\n";

        (void)context;
        (void)!write(STDERR_FILENO, text, sizeof(text) - 1);
        syscall(SYS_tgkill, getpid(), getpid(), HUNG_SIGNAL);
}

struct thread {
        struct http_server *server;
        unsigned loop;
        pthread_t id;
        int result;
};

static void *run_loop(void *argument)
{
        struct thread *thread = argument;
        PyGILState_STATE state = PyGILState_Ensure();

        thread->result = http_server_run(thread->server, thread->loop);
        PyGILState_Release(state);
        return NULL;
}

/* Signals are the first thread's. */
static int start_thread(struct thread *thread, const pthread_attr_t *attributes)
{
        sigset_t all, before;
        int r;

        sigfillset(&all);
        pthread_sigmask(SIG_SETMASK, &all, &before);
        r = pthread_create(&thread->id, attributes, run_loop, thread);
        pthread_sigmask(SIG_SETMASK, &before, NULL);
        return -r;
}

/* Runs loop 0 here and the others beside it, until all have ended. */
static int run_loops(struct python *python, struct http_server *server)
{
        struct thread *threads = calloc(python->threads, sizeof(*threads));
        pthread_attr_t attributes;
        unsigned started = 1;
        int r = 0;

        if (!threads)
                return -ENOMEM;
        pthread_attr_init(&attributes);
        if (python->stack_size > 0)
                r = -pthread_attr_setstacksize(&attributes, python->stack_size);
        for (; r == 0 && started < python->threads; started++) {
                threads[started] = (struct thread){.server = server, .loop = started};
                r = start_thread(&threads[started], &attributes);
                if (r < 0)
                        break;
        }
        pthread_attr_destroy(&attributes);
        if (r == 0)
                r = http_server_run(server, 0);
        http_server_stop(server);
        Py_BEGIN_ALLOW_THREADS;
        for (unsigned i = 1; i < started; i++) {
                pthread_join(threads[i].id, NULL);
                if (r == 0)
                        r = threads[i].result;
        }
        Py_END_ALLOW_THREADS;
        free(threads);
        return r;
}

/* faulthandler remembers that it has registered a signal, and the worker has forgotten: hence both calls. */
int python_watch_hangs(struct python *python, const struct clade_worker *worker)
{
        PyObject *done;

        if (worker->application->limits.timeout == 0)
                return 0;
        done = PyObject_CallMethod(python->load, "watch", "i", HUNG_SIGNAL);
        if (!done) {
                python_report(python, "faulthandler");
                return worker->application->host->fail(worker->failure, EINVAL, NULL,
                                                       "faulthandler does not take its signal");
        }
        Py_DECREF(done);
        return 0;
}

int wsgi_serve(struct clade_worker *worker, struct python *python)
{
        const struct http_hooks hooks = {
                .handle = wsgi_handle,
                .wait_begin = wait_begin,
                .wait_end = wait_end,
                .hung = hung,
                .context = python->wsgi,
        };
        struct http_server *server = NULL;
        int r = python_watch_hangs(python, worker);

        if (r == 0)
                r = http_server_create(worker, python->threads, &hooks, &server);
        if (r < 0)
                return r;
        r = run_loops(python, server);
        if (r < 0)
                r = worker->application->host->fail(worker->failure, -r, NULL, "serving HTTP: %s",
                                                    strerror(-r));
        http_server_destroy(server);
        return r;
}
