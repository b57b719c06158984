/* wsgi.input: the request's body, which has been read by the time the application is called. */
#include "modules/python/wsgi.h"

#include <errno.h>
#include <string.h>

#define BUFFER 8192 /* bytes, for reading by lines */

struct input {
        PyObject_HEAD;
        struct clade_request *request; /* NULL: it is over */
        uint64_t left;                 /* bytes that `request` still has */
        char *buffer;
        size_t start, end;
};

static struct input *input_of(PyObject *self)
{
        return (struct input *)self;
}

PyObject *input_create(PyTypeObject *type, struct clade_request *request)
{
        struct input *input = PyObject_New(struct input, type);

        if (!input)
                return NULL;
        input->request = request;
        input->left = request->body_size;
        input->buffer = NULL;
        input->start = input->end = 0;
        return (PyObject *)input;
}

void input_detach(PyObject *self)
{
        input_of(self)->request = NULL;
}

static void input_dealloc(PyObject *self)
{
        PyTypeObject *type = Py_TYPE(self);

        PyMem_Free(input_of(self)->buffer);
        PyObject_Free(self);
        Py_DECREF(type);
}

static int check(const struct input *input)
{
        if (input->request)
                return 0;
        PyErr_SetString(PyExc_ValueError, "wsgi.input is used after its request has ended");
        return -1;
}

static uint64_t available(const struct input *input)
{
        return input->left + (input->end - input->start);
}

/* Up to `size` bytes into `to`: what is buffered first. The count, or -1 with an exception. */
static Py_ssize_t take(struct input *input, char *to, size_t size)
{
        size_t got = input->end - input->start;

        if (got > size)
                got = size;
        if (got > 0)
                memcpy(to, input->buffer + input->start, got);
        input->start += got;
        while (got < size && input->left > 0) {
                ssize_t n = input->request->read(input->request, to + got, size - got);

                if (n <= 0) {
                        errno = n < 0 ? (int)-n : EIO;
                        PyErr_SetFromErrno(PyExc_OSError);
                        return -1;
                }
                got += (size_t)n;
                input->left -= (uint64_t)n;
        }
        return (Py_ssize_t)got;
}

/* None and whatever is negative mean "all". */
static int size_of(PyObject *const *arguments, Py_ssize_t count, const char *name, Py_ssize_t *size)
{
        *size = -1;
        if (count > 1) {
                PyErr_Format(PyExc_TypeError, "%s() takes one argument at most", name);
                return -1;
        }
        if (count == 1 && arguments[0] != Py_None) {
                *size = PyNumber_AsSsize_t(arguments[0], PyExc_OverflowError);
                if (*size == -1 && PyErr_Occurred())
                        return -1;
        }
        return 0;
}

static PyObject *input_read(PyObject *self, PyObject *const *arguments, Py_ssize_t count)
{
        struct input *input = input_of(self);
        PyObject *bytes;
        Py_ssize_t size;

        if (check(input) < 0 || size_of(arguments, count, "read", &size) < 0)
                return NULL;
        if (size < 0 || (uint64_t)size > available(input))
                size = (Py_ssize_t)available(input);
        bytes = PyBytes_FromStringAndSize(NULL, size);
        if (bytes && take(input, PyBytes_AS_STRING(bytes), (size_t)size) < 0)
                Py_CLEAR(bytes);
        return bytes;
}

/* More of the body into the empty buffer. */
static int fill(struct input *input)
{
        size_t size = input->left < BUFFER ? (size_t)input->left : BUFFER;
        Py_ssize_t n;

        if (!input->buffer)
                input->buffer = PyMem_Malloc(BUFFER);
        if (!input->buffer) {
                PyErr_NoMemory();
                return -1;
        }
        input->start = input->end = 0;
        n = take(input, input->buffer, size);
        if (n < 0)
                return -1;
        input->end = (size_t)n;
        return 0;
}

static PyObject *append(PyObject *line, const char *data, size_t size)
{
        PyObject *more = PyBytes_FromStringAndSize(data, (Py_ssize_t)size);

        if (!line)
                return more;
        if (!more) {
                Py_DECREF(line);
                return NULL;
        }
        PyBytes_ConcatAndDel(&line, more); /* NULL where memory is out */
        return line;
}

/* Up to and with the next newline, `limit` bytes at most (-1: any number). b"" at the end. */
static PyObject *read_line(struct input *input, Py_ssize_t limit)
{
        PyObject *line = NULL;
        size_t left = limit < 0 ? SIZE_MAX : (size_t)limit;
        bool ended = false;

        while (!ended && left > 0 && available(input) > 0) {
                const char *start, *newline;
                size_t length;

                if (input->start == input->end && fill(input) < 0) {
                        Py_XDECREF(line);
                        return NULL;
                }
                start = input->buffer + input->start;
                length = input->end - input->start;
                if (length > left)
                        length = left;
                newline = memchr(start, '\n', length);
                if (newline)
                        length = (size_t)(newline - start) + 1, ended = true;
                line = append(line, start, length);
                if (!line)
                        return NULL;
                input->start += length;
                left -= length;
        }
        return line ? line : PyBytes_FromStringAndSize(NULL, 0);
}

static PyObject *input_readline(PyObject *self, PyObject *const *arguments, Py_ssize_t count)
{
        Py_ssize_t size;

        if (check(input_of(self)) < 0 || size_of(arguments, count, "readline", &size) < 0)
                return NULL;
        return read_line(input_of(self), size);
}

static PyObject *input_next(PyObject *self)
{
        PyObject *line;

        if (check(input_of(self)) < 0)
                return NULL;
        line = read_line(input_of(self), -1);
        if (line && PyBytes_GET_SIZE(line) == 0)
                Py_CLEAR(line); /* the end, without an exception */
        return line;
}

static PyObject *input_readlines(PyObject *self, PyObject *const *arguments, Py_ssize_t count)
{
        Py_ssize_t hint, total = 0;
        PyObject *lines;

        if (check(input_of(self)) < 0 || size_of(arguments, count, "readlines", &hint) < 0)
                return NULL;
        lines = PyList_New(0);
        while (lines && (hint <= 0 || total < hint)) {
                PyObject *line = read_line(input_of(self), -1);
                Py_ssize_t size = line ? PyBytes_GET_SIZE(line) : 0;
                int r = !line ? -1 : size == 0 ? 1 : PyList_Append(lines, line);

                Py_XDECREF(line);
                if (r < 0)
                        Py_CLEAR(lines);
                if (r != 0)
                        break;
                total += size;
        }
        return lines;
}

PyTypeObject *input_type_create(void)
{
        static PyMethodDef methods[] = {
                {"read", (PyCFunction)(void (*)(void))input_read, METH_FASTCALL, NULL},
                {"readline", (PyCFunction)(void (*)(void))input_readline, METH_FASTCALL, NULL},
                {"readlines", (PyCFunction)(void (*)(void))input_readlines, METH_FASTCALL, NULL},
                {NULL, NULL, 0, NULL},
        };
        PyType_Slot slots[] = {
                {Py_tp_dealloc, (void *)input_dealloc},
                {Py_tp_iter, (void *)PyObject_SelfIter},
                {Py_tp_iternext, (void *)input_next},
                {Py_tp_methods, methods},
                {Py_tp_doc, (void *)"The body of a request."},
                {0, NULL},
        };
        PyType_Spec spec = {
                .name = "clade.Input",
                .basicsize = sizeof(struct input),
                .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION,
                .slots = slots,
        };

        return (PyTypeObject *)PyType_FromSpec(&spec);
}
