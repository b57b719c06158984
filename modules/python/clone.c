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

int python_after_clone(struct clade_worker *worker)
{
        struct python *python = worker->application->data;
        PyObject *done;

        PyOS_AfterFork_Child();
        done = PyObject_CallMethod(python->load, "renew", NULL);
        if (!done) {
                python_report(python, "renewing the worker");
                return worker->application->host->fail(worker->failure, EINVAL,
                                                       "its traceback is in the application's log",
                                                       "a clone cannot be made a worker");
        }
        Py_DECREF(done);
        return 0;
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
