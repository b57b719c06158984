/* WSGI (PEP 3333): what the files that serve it share. All of it is called with the interpreter's lock held. */
#pragma once

#include "modules/python/python.h"

#include <clade/http.h>

#define REPLY_FIELDS 48 /* of an answer, without a second allocation */

/* What is the same for all requests; made in preload, so that workers share it. */
struct wsgi {
        struct python *python;
        PyObject **templates; /* the environ of each entry, without what a request adds */
        struct environ_keys *keys;
        PyTypeObject *input_type, *exchange_type, *file_type;
        PyObject *close, *empty; /* "close", "" */
};

/* One request, on the stack of whoever handles it. Python's objects that lead here outlive it, if the
 * application keeps them, and are cut off then. */
struct reply {
        struct wsgi *wsgi;
        struct clade_request *request;
        PyObject *status, *headers; /* what start_response was given, kept; headers as a tuple */
        struct clade_field few[REPLY_FIELDS], *fields;
        size_t field_count;
        unsigned code;
        uint64_t length; /* Content-Length */
        bool has_length;
        bool begun;  /* respond has been called */
        bool gone;   /* the client has */
        bool writer; /* write() was used: each block goes out at once */
        uint64_t written;
};

/* environ.c */
int environ_prepare(struct clade_application *application, struct wsgi *wsgi);
/* A new reference, or NULL with an exception. */
PyObject *environ_create(struct wsgi *wsgi, size_t entry, const struct clade_request *request,
                         PyObject *input);

/* input.c: wsgi.input. */
PyTypeObject *input_type_create(void);
PyObject *input_create(PyTypeObject *type, struct clade_request *request);
void input_detach(PyObject *self);

/* file.c: wsgi.file_wrapper. */
PyTypeObject *file_type_create(void);
/* 1: the reply is the rest of that file, which the unit sends; 0: it must be read; -1 with an exception. */
int file_send(struct reply *reply, PyObject *object);

/* reply.c: start_response and what follows from it. */
PyTypeObject *exchange_type_create(void);
/* The object behind start_response and write. */
PyObject *exchange_create(struct wsgi *wsgi, struct reply *reply);
void exchange_detach(PyObject *exchange);
PyObject *exchange_start_response(PyObject *exchange);
/* Sends the head, unless that has been done. 0, or -1 with an exception. */
int reply_begin(struct reply *reply);
/* A block of the body; `at_once`: more may take its time. 0, or -1 with an exception. */
int reply_write(struct reply *reply, PyObject *block, bool at_once);
void reply_finish(struct reply *reply);

/* wsgi.c */
int wsgi_handle(void *context, struct clade_request *request);
