#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "modules/python/python.h"

#include "describe.inc.h"

static int fail(struct clade_description *description, const char *what)
{
        PyObject *type, *value, *traceback, *text;
        const char *words;

        PyErr_Fetch(&type, &value, &traceback);
        text = value ? PyObject_Str(value) : NULL;
        words = text ? PyUnicode_AsUTF8(text) : NULL;
        return description->host->fail(description->failure, EINVAL,
                                       "check that this Python is installed completely", "%s: %s",
                                       what, words ? words : "no reason given");
}

static int add_mount(struct clade_description *description, PyObject *item)
{
        struct clade_mount mount = {.optional = 1};

        if (!PyArg_ParseTuple(item, "ss", &mount.source, &mount.target))
                return fail(description, "describe.py: what it found");
        return description->mount(description, &mount);
}

static int add_mounts(struct clade_description *description, PyObject *list)
{
        int r = 0;

        for (Py_ssize_t i = 0; r == 0 && i < PyList_GET_SIZE(list); i++)
                r = add_mount(description, PyList_GET_ITEM(list, i));
        return r;
}

int python_describe(struct clade_description *description)
{
        const char *fault = interpreter_start();
        char version[32];
        PyObject *module, *list;
        int r;

        if (fault)
                return description->host->fail(description->failure, EINVAL,
                                               "check that this Python is installed completely",
                                               "%s", fault);
        interpreter_version(version, sizeof(version));
        r = description->version(description, version);
        if (r < 0)
                return r;
        module = interpreter_module("clade_describe", describe_source);
        list = module ? PyObject_CallMethod(module, "describe", "s", interpreter_library()) : NULL;
        if (!list || !PyList_Check(list))
                return fail(description, "looking for what Python needs");
        /* Nothing is taken apart behind it: the process ends with the answer. */
        return add_mounts(description, list);
}
