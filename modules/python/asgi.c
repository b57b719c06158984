/* start, ASGI: the application's own server runs it (asgi.py); this is what it needs from us. */
#include <errno.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "modules/python/python.h"

#include "asgi.inc.h"

/* How many requests a worker of coroutines takes before another one would do better. They wait more than they
 * work, and one thread works for all: a figure for the scaling only, no limit. */
#define CAPACITY 16

#define CAPSULE "clade.worker"

struct asgi {
        struct clade_worker *worker;
        timer_t timer;
        bool timed;
};

static struct asgi *asgi_of(PyObject *self)
{
        return PyCapsule_GetPointer(self, CAPSULE);
}

static PyObject *call_ready(PyObject *self, PyObject *ignored)
{
        struct asgi *asgi = asgi_of(self);

        (void)ignored;
        if (!asgi)
                return NULL;
        asgi->worker->ready(asgi->worker);
        return Py_NewRef(Py_None);
}

static PyObject *call_begin(PyObject *self, PyObject *ignored)
{
        struct asgi *asgi = asgi_of(self);

        (void)ignored;
        return asgi ? PyLong_FromUnsignedLongLong(asgi->worker->begin(asgi->worker)) : NULL;
}

static PyObject *call_end(PyObject *self, PyObject *ticket)
{
        struct asgi *asgi = asgi_of(self);
        unsigned long long number = PyLong_AsUnsignedLongLong(ticket);

        if (!asgi || PyErr_Occurred())
                return NULL;
        asgi->worker->end(asgi->worker, number);
        return Py_NewRef(Py_None);
}

static PyObject *call_leave(PyObject *self, PyObject *ignored)
{
        struct asgi *asgi = asgi_of(self);

        (void)ignored;
        if (!asgi)
                return NULL;
        asgi->worker->leave(asgi->worker);
        return Py_NewRef(Py_None);
}

/* Python says where it is when so many seconds have gone by; 0: not any more. */
static PyObject *call_arm(PyObject *self, PyObject *seconds)
{
        struct asgi *asgi = asgi_of(self);
        double value = PyFloat_AsDouble(seconds), whole, part;
        struct itimerspec when = {.it_value = {0, 0}};

        if (!asgi || PyErr_Occurred())
                return NULL;
        if (asgi->timed) {
                part = modf(value, &whole);
                when.it_value.tv_sec = (time_t)whole;
                when.it_value.tv_nsec = (long)(part * 1e9);
                if (timer_settime(asgi->timer, 0, &when, NULL) < 0)
                        return PyErr_SetFromErrno(PyExc_OSError);
        }
        return Py_NewRef(Py_None);
}

static PyMethodDef methods[] = {
        {"ready", call_ready, METH_NOARGS, NULL}, {"begin", call_begin, METH_NOARGS, NULL},
        {"end", call_end, METH_O, NULL},          {"leave", call_leave, METH_NOARGS, NULL},
        {"arm", call_arm, METH_O, NULL},          {NULL, NULL, 0, NULL},
};

/* An object with these functions. */
static PyObject *worker_object(struct asgi *asgi)
{
        PyObject *capsule = PyCapsule_New(asgi, CAPSULE, NULL);
        PyObject *object = capsule ? PyModule_New("clade") : NULL;

        for (PyMethodDef *method = methods; object && method->ml_name; method++) {
                PyObject *function = PyCFunction_New(method, capsule);

                if (!function || PyModule_AddObject(object, method->ml_name, function) < 0) {
                        Py_XDECREF(function);
                        Py_CLEAR(object);
                }
        }
        Py_XDECREF(capsule);
        return object;
}

static int take_timer(struct asgi *asgi)
{
        struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = HUNG_SIGNAL};

        if (asgi->worker->application->limits.timeout == 0)
                return 0;
        if (timer_create(CLOCK_MONOTONIC, &event, &asgi->timer) < 0)
                return -errno;
        asgi->timed = true;
        return 0;
}

static const char *string_of(const struct clade_application *application, const char *name)
{
        const struct clade_value *value = clade_value(application, name);

        return value ? value->string : NULL;
}

static int refuse_what_is_not_for_it(struct clade_application *application)
{
        const struct clade_host *host = application->host;

        if (clade_value(application, "threads"))
                return host->fail(application->failure, EINVAL,
                                  "leave \"threads\" out, and have more processes",
                                  "\"threads\" is for WSGI: an ASGI application has one event loop "
                                  "in each worker");
        if (application->limits.requests == 1)
                return host->fail(
                        application->failure, EINVAL,
                        "a WSGI application can have that; for ASGI let it be more",
                        "limits.requests 1 is not possible with ASGI, whose servers accept "
                        "connections beyond the one that they work on");
        return 0;
}

int asgi_prepare(struct clade_application *application, struct python *python)
{
        const char *wanted = string_of(application, "server");
        PyObject *name;
        int r = refuse_what_is_not_for_it(application);

        if (r < 0)
                return r;
        python->serve = interpreter_module("clade_asgi", asgi_source);
        name = python->serve ? PyObject_CallMethod(python->serve, "choose", "z", wanted) : NULL;
        if (!name) {
                python_report(python, "preparing for ASGI");
                return application->host->fail(application->failure, EINVAL,
                                               "its traceback is in the application's log",
                                               "the ASGI server cannot be imported");
        }
        if (name == Py_None)
                return application->host->fail(
                        application->failure, EINVAL,
                        "install it for this Python (python3-uvicorn), or into the virtual "
                        "environment that \"home\" names; or, if it is a WSGI application, say "
                        "\"protocol\": \"wsgi\"",
                        "an ASGI application needs a server of its own, and %s is not installed",
                        wanted ? wanted : "neither uvicorn nor hypercorn");
        python->server = name;
        application->capacity = CAPACITY;
        return 0;
}

/* (application, prefix, [descriptors]) of each entry that a listener leads to. */
static PyObject *parts_of(struct clade_worker *worker, struct python *python)
{
        PyObject *parts = PyList_New(0);

        for (size_t i = 0; parts && i < python->entry_count; i++) {
                const struct entry *entry = &python->entries[i];
                PyObject *fds = PyList_New(0), *part;
                int r = fds ? 0 : -1;

                for (size_t j = 0; r == 0 && j < worker->application->listener_count; j++) {
                        PyObject *fd;

                        if (python->by_listener[j] != i)
                                continue;
                        fd = PyLong_FromLong(worker->listeners[j]);
                        r = fd ? PyList_Append(fds, fd) : -1;
                        Py_XDECREF(fd);
                }
                if (r == 0 && PyList_GET_SIZE(fds) > 0) {
                        part = Py_BuildValue("(OzO)", entry->object, entry->prefix, fds);
                        r = part ? PyList_Append(parts, part) : -1;
                        Py_XDECREF(part);
                }
                Py_XDECREF(fds);
                if (r < 0)
                        Py_CLEAR(parts);
        }
        return parts;
}

static PyObject *call_serve(struct asgi *asgi, struct python *python)
{
        const struct clade_application *application = asgi->worker->application;
        const char *log = string_of(application, "access_log");
        PyObject *object = worker_object(asgi), *parts = parts_of(asgi->worker, python);
        PyObject *status = NULL;

        if (object && parts)
                status = PyObject_CallMethod(
                        python->serve, "serve", "OOO(KI){s:O,s:I}", object, python->server, parts,
                        (unsigned long long)application->limits.requests,
                        (unsigned)application->limits.timeout, "access_log",
                        log && strcmp(log, "off") != 0 ? Py_True : Py_False, "idle_timeout",
                        (unsigned)application->http.idle_timeout);
        Py_XDECREF(object);
        Py_XDECREF(parts);
        return status;
}

int asgi_serve(struct clade_worker *worker, struct python *python)
{
        struct asgi asgi = {.worker = worker};
        PyObject *status;
        int r = python_watch_hangs(python, worker);

        if (r < 0)
                return r;
        r = take_timer(&asgi);
        if (r < 0)
                return worker->application->host->fail(worker->failure, -r, NULL,
                                                       "a timer for limits.timeout");
        /* As Python has it: who writes to somebody who is gone gets an exception. */
        signal(SIGPIPE, SIG_IGN);
        status = call_serve(&asgi, python);
        if (!status) {
                python_report(python, "serving ASGI");
                return 1;
        }
        r = (int)PyLong_AsLong(status);
        Py_DECREF(status);
        return r & 0xff;
}
