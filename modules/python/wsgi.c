/* One request, by PEP 3333. */
#include "modules/python/wsgi.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Whatever happened, an iterable that can be closed is closed, once; the pending exception stays. What goes wrong
 * then is told, and changes nothing for the client, who has had its answer. */
static void close_result(struct wsgi *wsgi, PyObject *result)
{
        PyObject *type, *value, *traceback, *close, *done = NULL;

        if (PyList_CheckExact(result) || PyTuple_CheckExact(result))
                return;
        PyErr_Fetch(&type, &value, &traceback);
        close = PyObject_GetAttr(result, wsgi->close);
        if (close)
                done = PyObject_CallNoArgs(close);
        else if (PyErr_ExceptionMatches(PyExc_AttributeError))
                PyErr_Clear();
        if (PyErr_Occurred())
                python_report(wsgi->python, "close() of an answer");
        Py_XDECREF(done);
        Py_XDECREF(close);
        PyErr_Restore(type, value, traceback);
}

/* All of it is there: nothing needs to be sent before its end. */
static int send_sequence(struct reply *reply, PyObject *result)
{
        for (Py_ssize_t i = 0; i < PySequence_Fast_GET_SIZE(result); i++)
                if (reply_write(reply, PySequence_Fast_GET_ITEM(result, i), reply->writer) < 0)
                        return -1;
        return 0;
}

static int send_iterable(struct reply *reply, PyObject *result)
{
        PyObject *iterator = PyObject_GetIter(result), *block;
        int r = 0;

        if (!iterator)
                return -1;
        while (r == 0 && (block = PyIter_Next(iterator))) {
                r = reply_write(reply, block, true);
                Py_DECREF(block);
        }
        Py_DECREF(iterator);
        return r < 0 || PyErr_Occurred() ? -1 : 0;
}

static int send_result(struct reply *reply, PyObject *result)
{
        int r = 0;

        if (PyBytes_Check(result) || PyUnicode_Check(result)) {
                PyErr_Format(PyExc_TypeError,
                             "the application returned %s, which would be sent one by one: "
                             "return a list with it",
                             Py_TYPE(result)->tp_name);
                return -1;
        }
        if (PyList_CheckExact(result) || PyTuple_CheckExact(result))
                r = send_sequence(reply, result);
        else if (Py_IS_TYPE(result, reply->wsgi->file_type) && !reply->writer)
                r = file_send(reply, result);
        else
                r = send_iterable(reply, result);
        if (r == 0 && Py_IS_TYPE(result, reply->wsgi->file_type))
                r = reply->written ? 0 : send_iterable(reply, result);
        if (r < 0)
                return -1;
        /* An answer without a body has a head all the same. */
        return reply_begin(reply);
}

static void say_gone(const struct clade_request *request, const struct reply *reply)
{
        dprintf(STDERR_FILENO,
                "clade: %s %.200s: the client did not take its answer to the end: it is gone, or "
                "too "
                "slow, after %llu bytes\n",
                request->method, request->target, (unsigned long long)reply->written);
}

/* The pending exception, in the application's log. */
static void say_failed(struct wsgi *wsgi, const struct clade_request *request,
                       const struct reply *reply)
{
        char what[512];

        if (reply->gone && (PyErr_ExceptionMatches(PyExc_OSError) ||
                            PyErr_ExceptionMatches(PyExc_GeneratorExit))) {
                PyErr_Clear();
                say_gone(request, reply);
                return;
        }
        snprintf(what, sizeof(what), "%s %.300s: %s", request->method, request->target,
                 reply->begun ? "the answer had begun and is cut off" : "answered with 500");
        python_report(wsgi->python, what);
}

/* 0, or -1 with an exception. */
static int call(struct wsgi *wsgi, PyObject *callable, PyObject *environ, PyObject *exchange,
                struct reply *reply)
{
        PyObject *start_response = exchange_start_response(exchange), *result;
        PyObject *arguments[] = {environ, start_response};
        int r;

        if (!start_response)
                return -1;
        result = PyObject_Vectorcall(callable, arguments, 2, NULL);
        Py_DECREF(start_response);
        if (!result)
                return -1;
        if (result == Py_None) {
                PyErr_SetString(PyExc_TypeError,
                                "the application returned None: an iterable of bytes is expected");
                Py_DECREF(result);
                return -1;
        }
        r = send_result(reply, result);
        close_result(wsgi, result);
        Py_DECREF(result);
        return r;
}

int wsgi_handle(void *context, struct clade_request *request)
{
        struct wsgi *wsgi = context;
        struct python *python = wsgi->python;
        size_t entry = python->by_listener[request->listener];
        struct reply reply = {.wsgi = wsgi, .request = request, .fields = reply.few};
        PyObject *input = input_create(wsgi->input_type, request);
        PyObject *exchange = input ? exchange_create(wsgi, &reply) : NULL;
        PyObject *environ = exchange ? environ_create(wsgi, entry, request, input) : NULL;
        int r = -1;

        if (environ)
                r = call(wsgi, python->entries[entry].object, environ, exchange, &reply);
        if (r < 0)
                say_failed(wsgi, request, &reply);
        /* Longer than the request lives only what the application kept. */
        if (input)
                input_detach(input);
        if (exchange)
                exchange_detach(exchange);
        reply_finish(&reply);
        Py_XDECREF(environ);
        Py_XDECREF(exchange);
        Py_XDECREF(input);
        return r;
}

int wsgi_prepare(struct clade_application *application, struct python *python)
{
        struct wsgi *wsgi = calloc(1, sizeof(*wsgi));

        if (!wsgi)
                return application->host->fail(application->failure, ENOMEM, NULL, "WSGI");
        wsgi->python = python;
        wsgi->input_type = input_type_create();
        wsgi->exchange_type = exchange_type_create();
        wsgi->file_type = file_type_create();
        wsgi->close = PyUnicode_InternFromString("close");
        if (!wsgi->input_type || !wsgi->exchange_type || !wsgi->file_type || !wsgi->close ||
            environ_prepare(application, wsgi) < 0) {
                free(wsgi);
                python_report(python, "preparing for WSGI");
                return application->host->fail(application->failure, ENOMEM, NULL,
                                               "preparing for WSGI");
        }
        python->wsgi = wsgi;
        return 0;
}
