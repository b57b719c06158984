/* wsgi.file_wrapper: a file that the kernel can send is sent by it; any other is read in blocks. */
#include "modules/python/wsgi.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <structmember.h>
#include <sys/stat.h>
#include <unistd.h>

#define BLOCK_DEFAULT 8192 /* bytes; what other servers take */

struct file {
        PyObject_HEAD;
        PyObject *source;
        PyObject *close; /* source.close, or NULL */
        Py_ssize_t block;
};

static PyObject *file_new(PyTypeObject *type, PyObject *arguments, PyObject *named)
{
        static char *names[] = {(char *)"filelike", (char *)"blksize", NULL};
        Py_ssize_t block = BLOCK_DEFAULT;
        PyObject *source;
        struct file *file;

        if (!PyArg_ParseTupleAndKeywords(arguments, named, "O|n:FileWrapper", names, &source,
                                         &block))
                return NULL;
        file = (struct file *)type->tp_alloc(type, 0);
        if (!file)
                return NULL;
        Py_INCREF(source);
        file->source = source;
        file->block = block > 0 ? block : BLOCK_DEFAULT;
        file->close = PyObject_GetAttrString(source, "close");
        if (!file->close)
                PyErr_Clear();
        return (PyObject *)file;
}

static int file_traverse(PyObject *self, visitproc visit, void *arg)
{
        struct file *file = (struct file *)self;

        Py_VISIT(Py_TYPE(self));
        Py_VISIT(file->source);
        Py_VISIT(file->close);
        return 0;
}

static int file_clear(PyObject *self)
{
        struct file *file = (struct file *)self;

        Py_CLEAR(file->source);
        Py_CLEAR(file->close);
        return 0;
}

static void file_dealloc(PyObject *self)
{
        PyTypeObject *type = Py_TYPE(self);

        PyObject_GC_UnTrack(self);
        file_clear(self);
        type->tp_free(self);
        Py_DECREF(type);
}

static PyObject *file_next(PyObject *self)
{
        struct file *file = (struct file *)self;
        PyObject *block = PyObject_CallMethod(file->source, "read", "n", file->block);
        int more;

        if (!block)
                return NULL;
        more = PyObject_IsTrue(block);
        if (more <= 0)
                Py_CLEAR(block); /* the end, or an exception */
        return block;
}

/* close is there only where the file has one (PEP 3333). */
PyTypeObject *file_type_create(void)
{
        static PyMemberDef members[] = {
                {"close", T_OBJECT_EX, offsetof(struct file, close), READONLY, NULL},
                {"filelike", T_OBJECT_EX, offsetof(struct file, source), READONLY, NULL},
                {NULL, 0, 0, 0, NULL},
        };
        PyType_Slot slots[] = {
                {Py_tp_new, (void *)file_new},
                {Py_tp_dealloc, (void *)file_dealloc},
                {Py_tp_traverse, (void *)file_traverse},
                {Py_tp_clear, (void *)file_clear},
                {Py_tp_iter, (void *)PyObject_SelfIter},
                {Py_tp_iternext, (void *)file_next},
                {Py_tp_members, members},
                {Py_tp_doc, (void *)"FileWrapper(filelike, blksize=8192)"},
                {0, NULL},
        };
        PyType_Spec spec = {
                .name = "clade.FileWrapper",
                .basicsize = sizeof(struct file),
                .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC,
                .slots = slots,
        };

        return (PyTypeObject *)PyType_FromSpec(&spec);
}

/* Where the application would go on to read: -1 where that is not known, and the file must be read. */
static off_t position(PyObject *source)
{
        PyObject *tell = PyObject_CallMethod(source, "tell", NULL);
        long long at = tell ? PyLong_AsLongLong(tell) : -1;

        Py_XDECREF(tell);
        if (PyErr_Occurred()) {
                PyErr_Clear();
                return -1;
        }
        return (off_t)at;
}

/* Its descriptor, where it is a file of bytes that has one. */
static int descriptor(PyObject *source)
{
        PyObject *encoding = PyObject_GetAttrString(source, "encoding");
        int fd;

        if (encoding) { /* of str: read() would be the application's fault */
                Py_DECREF(encoding);
                return -1;
        }
        PyErr_Clear();
        fd = PyObject_AsFileDescriptor(source);
        if (fd < 0)
                PyErr_Clear();
        return fd;
}

int file_send(struct reply *reply, PyObject *object)
{
        PyObject *source = ((struct file *)object)->source;
        int fd = descriptor(source), r;
        off_t at = fd < 0 ? -1 : position(source);
        uint64_t length;
        struct stat st;

        if (at < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || st.st_size <= at)
                return 0;
        length = (uint64_t)(st.st_size - at);
        if (reply->has_length && length > reply->length)
                length = reply->length;
        if (reply_begin(reply) < 0)
                return -1;
        fd = fcntl(fd, F_DUPFD_CLOEXEC, 3);
        if (fd < 0) {
                PyErr_SetFromErrno(PyExc_OSError);
                return -1;
        }
        r = reply->request->send_file(reply->request, fd, (uint64_t)at, length);
        if (r < 0) {
                reply->gone = r == -EPIPE;
                errno = -r;
                PyErr_SetFromErrno(PyExc_OSError);
                return -1;
        }
        reply->written += length;
        return 1;
}
