/* Around a clone. What Python does around its own os.fork() it does around ours: the hooks of
 * os.register_at_fork are called, locks are made anew, random states are seeded. */
#include <errno.h>

#include "modules/python/python.h"

void python_before_clone(struct clade_application *application)
{
        (void)application;
        PyOS_BeforeFork();
}

void python_clone_done(struct clade_application *application)
{
        (void)application;
        PyOS_AfterFork_Parent();
}

/* What load.py's settle() left to each worker. It is done without a line of Python where that is possible: the first
 * one costs a new process as much as the whole of PyOS_AfterFork_Child. */
static int renew(struct python *python)
{
        PyObject *attribute = PyTuple_GET_ITEM(python->renew, 0);
        PyObject *seed = PyTuple_GET_ITEM(python->renew, 1), *done;

        if (attribute != Py_None &&
            PyObject_SetAttr(PyTuple_GET_ITEM(attribute, 0), PyTuple_GET_ITEM(attribute, 1),
                             PyTuple_GET_ITEM(attribute, 2)) < 0)
                return -1;
        if (seed == Py_None)
                return 0;
        done = PyObject_CallNoArgs(seed);
        Py_XDECREF(done);
        return done ? 0 : -1;
}

int python_after_clone(struct clade_worker *worker)
{
        struct python *python = worker->application->data;

        PyOS_AfterFork_Child();
        if (renew(python) == 0)
                return 0;
        python_report(python, "renewing the worker");
        return worker->application->host->fail(worker->failure, EINVAL,
                                               "its traceback is in the application's log",
                                               "a clone cannot be made a worker");
}

void python_report(struct python *python, const char *what)
{
        PyObject *type, *value, *traceback, *done;

        PyErr_Fetch(&type, &value, &traceback);
        PyErr_NormalizeException(&type, &value, &traceback);
        if (traceback)
                PyException_SetTraceback(value, traceback);
        done = PyObject_CallMethod(python->load, "report", "sO", what, value ? value : Py_None);
        if (!done)
                PyErr_Clear(); /* stderr is gone: there is nobody to tell */
        Py_XDECREF(done);
        Py_XDECREF(type);
        Py_XDECREF(value);
        Py_XDECREF(traceback);
}

void python_finish(struct python *python)
{
        PyObject *done = PyObject_CallMethod(python->load, "finish", NULL);

        if (!done)
                python_report(python, "the application's end");
        Py_XDECREF(done);
}
