/* start_response and write: what an application says about its answer is checked while it is still there to be
 * told, and sent when the first block of the body is known. */
#include "modules/python/wsgi.h"

#include <errno.h>
#include <string.h>
#include <strings.h>

#include "modules/http/head.h"

/* What start_response and write are bound to. */
struct exchange {
        PyObject_HEAD;
        struct wsgi *wsgi;
        struct reply *reply; /* NULL: the request is over */
};

static PyMethodDef start_response_method, write_method;

static struct reply *reply_of(PyObject *self, const char *name)
{
        struct reply *reply = ((struct exchange *)self)->reply;

        if (!reply)
                PyErr_Format(PyExc_RuntimeError, "%s is called after its request has ended", name);
        return reply;
}

PyObject *exchange_create(struct wsgi *wsgi, struct reply *reply)
{
        struct exchange *exchange = PyObject_New(struct exchange, wsgi->exchange_type);

        if (!exchange)
                return NULL;
        exchange->wsgi = wsgi;
        exchange->reply = reply;
        return (PyObject *)exchange;
}

void exchange_detach(PyObject *exchange)
{
        ((struct exchange *)exchange)->reply = NULL;
}

static void exchange_dealloc(PyObject *self)
{
        PyTypeObject *type = Py_TYPE(self);

        PyObject_Free(self);
        Py_DECREF(type);
}

/* --- checks ------------------------------------------------------------------------------------------- */

/* A str that is bytes in disguise, without control characters: what goes over the wire as it is. */
static const char *wire_text(PyObject *object, const char *what, size_t *ret_length)
{
        const unsigned char *data;
        Py_ssize_t length;

        if (!PyUnicode_CheckExact(object)) {
                PyErr_Format(PyExc_TypeError, "%s must be a str, not %s: %R", what,
                             Py_TYPE(object)->tp_name, object);
                return NULL;
        }
        if (PyUnicode_READY(object) < 0)
                return NULL;
        if (PyUnicode_KIND(object) != PyUnicode_1BYTE_KIND) {
                PyErr_Format(PyExc_ValueError, "%s has characters beyond latin-1: %R", what,
                             object);
                return NULL;
        }
        data = PyUnicode_1BYTE_DATA(object);
        length = PyUnicode_GET_LENGTH(object);
        for (Py_ssize_t i = 0; i < length; i++)
                if (data[i] < ' ' || data[i] == 0x7f) {
                        PyErr_Format(PyExc_ValueError, "%s has control characters: %R", what,
                                     object);
                        return NULL;
                }
        *ret_length = (size_t)length;
        return (const char *)data;
}

static int read_status(struct reply *reply, PyObject *status)
{
        size_t length;
        const char *text = wire_text(status, "status", &length);

        if (!text)
                return -1;
        if (length < 4 || strspn(text, "0123456789") != 3 || text[3] != ' ') {
                PyErr_Format(PyExc_ValueError,
                             "status must be three digits, a space and a reason: %R", status);
                return -1;
        }
        reply->code = (unsigned)(text[0] - '0') * 100 + (unsigned)(text[1] - '0') * 10 +
                      (unsigned)(text[2] - '0');
        if (reply->code < 200) {
                PyErr_Format(PyExc_ValueError, "status is not a final one: %R", status);
                return -1;
        }
        return 0;
}

static bool is_token(const char *text, size_t length)
{
        for (size_t i = 0; i < length; i++)
                if (!is_token_byte((unsigned char)text[i]))
                        return false;
        return length > 0;
}

/* What belongs to the connection is the server's alone (PEP 3333, "Other HTTP Features"). */
static bool is_hop_by_hop(const char *name)
{
        static const char *const names[] = {
                "Connection", "Keep-Alive", "Proxy-Authenticate", "Proxy-Authorization",
                "TE",         "Trailers",   "Transfer-Encoding",  "Upgrade",
        };

        for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
                if (strcasecmp(name, names[i]) == 0)
                        return true;
        return false;
}

static int read_length(struct reply *reply, const struct clade_field *field)
{
        uint64_t length = 0;

        if (reply->has_length) {
                PyErr_SetString(PyExc_ValueError, "Content-Length is there twice");
                return -1;
        }
        if (field->value_length == 0 || field->value_length > 18 ||
            strspn(field->value, "0123456789") != field->value_length) {
                PyErr_Format(PyExc_ValueError, "Content-Length is no number: '%s'", field->value);
                return -1;
        }
        for (size_t i = 0; i < field->value_length; i++)
                length = length * 10 + (uint64_t)(field->value[i] - '0');
        reply->has_length = true;
        reply->length = length;
        return 0;
}

static int read_field(struct reply *reply, PyObject *pair)
{
        struct clade_field *field = &reply->fields[reply->field_count];

        if (!PyTuple_CheckExact(pair) || PyTuple_GET_SIZE(pair) != 2) {
                PyErr_Format(PyExc_TypeError, "each header must be a tuple (name, value), not %R",
                             pair);
                return -1;
        }
        field->name = wire_text(PyTuple_GET_ITEM(pair, 0), "header name", &field->name_length);
        if (!field->name)
                return -1;
        field->value = wire_text(PyTuple_GET_ITEM(pair, 1), "header value", &field->value_length);
        if (!field->value)
                return -1;
        if (!is_token(field->name, field->name_length)) {
                PyErr_Format(PyExc_ValueError, "header name is none: %R",
                             PyTuple_GET_ITEM(pair, 0));
                return -1;
        }
        if (is_hop_by_hop(field->name)) {
                PyErr_Format(PyExc_ValueError, "header %s is the server's: leave it out",
                             field->name);
                return -1;
        }
        if (strcasecmp(field->name, "Content-Length") == 0 && read_length(reply, field) < 0)
                return -1;
        /* The unit has a clock of its own. */
        if (strcasecmp(field->name, "Date") != 0)
                reply->field_count++;
        return 0;
}

static void forget(struct reply *reply)
{
        if (reply->fields != reply->few)
                PyMem_Free(reply->fields);
        reply->fields = reply->few;
        reply->field_count = 0;
        reply->has_length = false;
        Py_CLEAR(reply->status);
        Py_CLEAR(reply->headers);
}

static int read_headers(struct reply *reply, PyObject *headers)
{
        Py_ssize_t count = PyTuple_GET_SIZE(headers);

        if (count > REPLY_FIELDS) {
                reply->fields = PyMem_Calloc((size_t)count, sizeof(*reply->fields));
                if (!reply->fields) {
                        reply->fields = reply->few;
                        PyErr_NoMemory();
                        return -1;
                }
        }
        for (Py_ssize_t i = 0; i < count; i++)
                if (read_field(reply, PyTuple_GET_ITEM(headers, i)) < 0)
                        return -1;
        return 0;
}

/* --- what applications call ---------------------------------------------------------------------------- */

/* With exc_info the application takes back what it said, or, when that is too late, is told so by its own
 * exception. */
static int allow(struct reply *reply, PyObject *exc_info)
{
        PyObject *type, *value, *traceback;

        if (!exc_info || exc_info == Py_None) {
                if (!reply->status)
                        return 0;
                PyErr_SetString(PyExc_AssertionError,
                                "start_response is called a second time without exc_info");
                return -1;
        }
        if (!PyTuple_Check(exc_info) || PyTuple_GET_SIZE(exc_info) != 3) {
                PyErr_Format(PyExc_TypeError, "exc_info must be a tuple of three, not %R",
                             exc_info);
                return -1;
        }
        if (!reply->begun)
                return 0;
        type = PyTuple_GET_ITEM(exc_info, 0);
        value = PyTuple_GET_ITEM(exc_info, 1);
        traceback = PyTuple_GET_ITEM(exc_info, 2);
        if (!PyExceptionClass_Check(type)) {
                PyErr_Format(PyExc_TypeError, "exc_info has no exception in it: %R", exc_info);
                return -1;
        }
        Py_INCREF(type);
        Py_INCREF(value);
        if (traceback == Py_None)
                traceback = NULL;
        Py_XINCREF(traceback);
        PyErr_Restore(type, value, traceback);
        return -1;
}

static int start(struct reply *reply, PyObject *status, PyObject *headers)
{
        forget(reply);
        if (!PyList_CheckExact(headers)) {
                PyErr_Format(PyExc_TypeError, "headers must be a list of tuples, not %s",
                             Py_TYPE(headers)->tp_name);
                return -1;
        }
        Py_INCREF(status);
        reply->status = status;
        /* The list is the application's and may change; the strings in its tuples cannot. */
        reply->headers = PyList_AsTuple(headers);
        if (!reply->headers || read_status(reply, status) < 0 ||
            read_headers(reply, reply->headers) < 0) {
                forget(reply);
                return -1;
        }
        return 0;
}

static PyObject *call_start_response(PyObject *self, PyObject *const *arguments, Py_ssize_t count,
                                     PyObject *names)
{
        struct reply *reply = reply_of(self, "start_response");
        Py_ssize_t named = names ? PyTuple_GET_SIZE(names) : 0;

        if (!reply)
                return NULL;
        if (named > 1 || count < 2 || count + named > 3 ||
            (named == 1 &&
             PyUnicode_CompareWithASCIIString(PyTuple_GET_ITEM(names, 0), "exc_info") != 0)) {
                PyErr_SetString(PyExc_TypeError,
                                "start_response takes status, headers and exc_info");
                return NULL;
        }
        if (allow(reply, count + named == 3 ? arguments[2] : NULL) < 0 ||
            start(reply, arguments[0], arguments[1]) < 0)
                return NULL;
        return PyCFunction_New(&write_method, self);
}

static PyObject *call_write(PyObject *self, PyObject *block)
{
        struct reply *reply = reply_of(self, "write");

        if (!reply)
                return NULL;
        reply->writer = true;
        if (reply_write(reply, block, true) < 0)
                return NULL;
        return Py_NewRef(Py_None);
}

static PyMethodDef start_response_method = {"start_response",
                                            (PyCFunction)(void (*)(void))call_start_response,
                                            METH_FASTCALL | METH_KEYWORDS, NULL};
static PyMethodDef write_method = {"write", call_write, METH_O, NULL};

PyObject *exchange_start_response(PyObject *exchange)
{
        return PyCFunction_New(&start_response_method, exchange);
}

PyTypeObject *exchange_type_create(void)
{
        PyType_Slot slots[] = {
                {Py_tp_dealloc, (void *)exchange_dealloc},
                {0, NULL},
        };
        PyType_Spec spec = {
                .name = "clade.Exchange",
                .basicsize = sizeof(struct exchange),
                .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION,
                .slots = slots,
        };

        return (PyTypeObject *)PyType_FromSpec(&spec);
}

/* --- sending ------------------------------------------------------------------------------------------ */

int reply_begin(struct reply *reply)
{
        const char *status;
        int r;

        if (reply->begun)
                return 0;
        if (!reply->status) {
                PyErr_SetString(PyExc_AssertionError,
                                "the application has not called start_response");
                return -1;
        }
        status = (const char *)PyUnicode_1BYTE_DATA(reply->status);
        r = reply->request->respond(reply->request, reply->code, status + 4, reply->fields,
                                    reply->field_count);
        if (r < 0) {
                /* Of a request that was ended by others the application need not be told. */
                reply->gone = r == -EPIPE;
                errno = -r;
                PyErr_SetFromErrno(PyExc_OSError);
                return -1;
        }
        reply->begun = true;
        return 0;
}

static int write_failed(struct reply *reply, int r)
{
        if (r == -EMSGSIZE) {
                PyErr_Format(PyExc_ValueError,
                             "the body is longer than its Content-Length of %llu bytes",
                             (unsigned long long)reply->length);
                return -1;
        }
        reply->gone = true;
        errno = -r;
        PyErr_SetFromErrno(PyExc_OSError);
        return -1;
}

/* The unit waits for clients that are very slow; others need not wait for those. */
static int send_block(struct reply *reply, const char *data, size_t size, bool at_once)
{
        struct clade_request *request = reply->request;
        int r;

        Py_BEGIN_ALLOW_THREADS;
        r = size > 0 ? request->write(request, data, size) : 0;
        if (r == 0 && at_once)
                r = request->flush(request);
        Py_END_ALLOW_THREADS;
        return r;
}

int reply_write(struct reply *reply, PyObject *block, bool at_once)
{
        const char *data;
        size_t size;
        int r;

        if (!PyBytes_Check(block)) {
                PyErr_Format(PyExc_TypeError, "each block of the body must be bytes, not %s: %R",
                             Py_TYPE(block)->tp_name, block);
                return -1;
        }
        data = PyBytes_AS_STRING(block);
        size = (size_t)PyBytes_GET_SIZE(block);
        /* Headers wait for the first block that is not empty. */
        if (size == 0)
                return 0;
        if (reply_begin(reply) < 0)
                return -1;
        if (at_once || size > 65536)
                r = send_block(reply, data, size, at_once);
        else
                r = reply->request->write(reply->request, data, size);
        if (r < 0)
                return write_failed(reply, r);
        reply->written += size;
        return 0;
}

void reply_finish(struct reply *reply)
{
        forget(reply);
}
