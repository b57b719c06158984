/* preload: the application is imported, and what it left in memory is made ready to be shared. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "modules/python/python.h"

/* Turns the pending exception into the hook's failure. A Refusal has its text and its remedy in it. */
static int explain(struct clade_application *application)
{
        PyObject *type, *value, *traceback, *arguments, *text = NULL;
        const char *remedy = NULL, *words = NULL;
        int r;

        PyErr_Fetch(&type, &value, &traceback);
        PyErr_NormalizeException(&type, &value, &traceback);
        arguments = value ? PyObject_GetAttrString(value, "args") : NULL;
        if (arguments && PyTuple_Check(arguments) && PyTuple_GET_SIZE(arguments) == 2) {
                words = PyUnicode_AsUTF8(PyTuple_GET_ITEM(arguments, 0));
                if (PyTuple_GET_ITEM(arguments, 1) != Py_None)
                        remedy = PyUnicode_AsUTF8(PyTuple_GET_ITEM(arguments, 1));
        }
        if (!words && value) {
                text = PyObject_Str(value);
                words = text ? PyUnicode_AsUTF8(text) : NULL;
        }
        r = application->host->fail(application->failure, EINVAL, remedy, "%s",
                                    words ? words : "loading the application failed");
        PyErr_Clear();
        Py_XDECREF(text);
        Py_XDECREF(arguments);
        Py_XDECREF(type);
        Py_XDECREF(value);
        Py_XDECREF(traceback);
        return r;
}

static PyObject *list_of(const struct clade_value *value)
{
        PyObject *list = PyList_New(0);

        for (size_t i = 0; list && value && value->strings[i]; i++) {
                PyObject *text = PyUnicode_DecodeFSDefault(value->strings[i]);
                int r = text ? PyList_Append(list, text) : -1;

                Py_XDECREF(text);
                if (r < 0)
                        Py_CLEAR(list);
        }
        return list;
}

/* An import that forks has two ends: in the child it goes on as if nothing had been. */
static void end_copies(pid_t self)
{
        if (getpid() == self)
                return;
        dprintf(STDERR_FILENO,
                "clade: process %d, forked while the application was imported, ends here: nothing "
                "but the import was left for it to do\n",
                (int)getpid());
        _exit(1);
}

static int check_threads(struct clade_application *application, struct python *python)
{
        PyObject *names = PyObject_CallMethod(python->load, "lively", NULL);
        PyObject *joined = NULL, *comma;
        int r = 0;

        if (!names)
                return explain(application);
        if (PyList_GET_SIZE(names) > 0) {
                comma = PyUnicode_FromString(", ");
                joined = comma ? PyUnicode_Join(comma, names) : NULL;
                Py_XDECREF(comma);
                r = application->host->fail(
                        application->failure, EINVAL,
                        "start threads in the workers, from "
                        "os.register_at_fork(after_in_child=...) "
                        "or at the first request: one that runs here does not exist there, and "
                        "its locks stay taken",
                        "the application started threads while it was imported: %s",
                        joined ? PyUnicode_AsUTF8(joined) : "their names are not to be had");
        }
        Py_XDECREF(joined);
        Py_DECREF(names);
        return r;
}

/* Those that ended are collected: whoever started them may have left that to the end of the program. */
static int check_children(struct clade_application *application)
{
        int r;

        do
                r = waitpid(-1, NULL, WNOHANG | __WALL);
        while (r > 0 || (r < 0 && errno == EINTR));
        if (r < 0)
                return 0;
        return application->host->fail(
                application->failure, EINVAL,
                "start processes in the workers, at the first request or from "
                "os.register_at_fork(after_in_child=...): what is imported is shared by all "
                "workers",
                "the application left processes running that it started while it was imported");
}

static int load_entry(struct clade_application *application, struct python *python,
                      struct entry *entry, PyObject *paths)
{
        const struct clade_value *factory = clade_value(application, "factory");
        pid_t self = getpid();

        entry->object =
                PyObject_CallMethod(python->load, "find", "ssOO", entry->module, entry->callable,
                                    factory && factory->integer ? Py_True : Py_False, paths);
        end_copies(self);
        return entry->object ? 0 : explain(application);
}

/* All entries alike: one loop serves them. */
static int find_protocol(struct clade_application *application, struct python *python)
{
        const struct clade_value *protocol = clade_value(application, "protocol");

        if (protocol) {
                python->asgi = strcmp(protocol->string, "asgi") == 0;
                return 0;
        }
        for (size_t i = 0; i < python->entry_count; i++) {
                PyObject *answer = PyObject_CallMethod(python->load, "is_asgi", "O",
                                                       python->entries[i].object);
                bool asgi;

                if (!answer)
                        return explain(application);
                asgi = answer == Py_True;
                Py_DECREF(answer);
                if (i > 0 && asgi != python->asgi)
                        return application->host->fail(
                                application->failure, EINVAL,
                                "make them two applications, or say \"protocol\" if one of them "
                                "only looks like the other kind",
                                "target %s is %s, and target %s is not", python->entries[i].target,
                                asgi ? "ASGI" : "WSGI", python->entries[0].target);
                python->asgi = asgi;
        }
        return 0;
}

static int load_all(struct clade_application *application, struct python *python)
{
        const struct clade_value *home = clade_value(application, "home");
        PyObject *paths = list_of(clade_value(application, "path")), *done;
        int r = 0;

        if (!paths)
                return explain(application);
        done = PyObject_CallMethod(python->load, "prepare", "Oz", paths,
                                   home ? home->string : NULL);
        if (!done)
                r = explain(application);
        Py_XDECREF(done);
        for (size_t i = 0; r == 0 && i < python->entry_count; i++)
                r = load_entry(application, python, &python->entries[i], paths);
        Py_DECREF(paths);
        return r;
}

int python_preload(struct clade_application *application)
{
        struct python *python = application->data;
        int r = load_all(application, python);

        if (r == 0)
                r = find_protocol(application, python);
        if (r == 0)
                r = python->asgi ? asgi_prepare(application, python)
                                 : wsgi_prepare(application, python);
        if (r == 0)
                r = check_threads(application, python);
        if (r == 0)
                r = check_children(application);
        if (r < 0)
                return r;
        python->renew = PyObject_CallMethod(python->load, "settle", NULL);
        if (!python->renew)
                return explain(application);
        heap_settle();
        return 0;
}
