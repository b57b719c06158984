/* The python module: Python applications, WSGI and ASGI, in an interpreter that is started once for all workers.
 *
 * Where things happen, in the order of an application's life:
 *
 *   describe.c     discovery: what Python needs to see inside a root; found out by describe.py
 *   interpreter.c  setup: libpython, started before the root changes and without a line of the application's
 *   load.c         preload: the application is imported (load.py), the heap is frozen for sharing
 *   clone.c        around each clone, in prototype and worker
 *   serve.c        start, WSGI: loops of the HTTP unit, which let go of the interpreter while they wait
 *   wsgi.c         one request: environ.c makes the environ, input.c reads the body, answer.c checks and
 *                  sends what the application answers, file.c is wsgi.file_wrapper
 *   asgi.c         start, ASGI: the application's own server (asgi.py) on the worker's listeners
 */
#pragma once

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <stdbool.h>

#include <clade/module.h>

/* One way into the application: its only one, or one of its targets. */
struct entry {
        const char *target; /* its name; NULL: the only one */
        const char *module, *callable, *prefix;
        PyObject *object; /* what is called; from preload on */
};

struct python {
        struct entry *entries;
        size_t entry_count;
        size_t *by_listener; /* which entry each listener leads to */
        unsigned threads;
        size_t stack_size; /* bytes of each thread's; 0: the system's */
        bool asgi;         /* from preload on */
        PyObject *load;    /* load.py, as a module of its own */
        PyObject *renew;   /* what each worker has to do: clone.c */
        PyObject *serve;   /* ASGI: asgi.py */
        PyObject *server;  /* ... and the name of what serves */
        struct wsgi *wsgi;
};

/* interpreter.c: starts Python for us and not for a user. NULL, or what went wrong. */
const char *interpreter_start(void);
/* "3.11.2", of the library that is in use. */
void interpreter_version(char *text, size_t size);
const char *interpreter_library(void); /* its path, or NULL */
/* A module of our own from its source: a new reference, or NULL with an exception. */
PyObject *interpreter_module(const char *name, const char *source);

/* options.c: what the configuration says, checked as far as that goes without the application. */
int options_read(struct clade_application *application, struct python *python);

/* heap.c */
void heap_settle(void);

int python_describe(struct clade_description *description);
int python_preload(struct clade_application *application);
void python_before_clone(struct clade_application *application);
void python_clone_done(struct clade_application *application);
int python_after_clone(struct clade_worker *worker);

/* clone.c: what Python does at its end, but without taking the heap apart. */
void python_finish(struct python *python);
/* load.c: says on stderr which exception ended what was being done; clears it. */
void python_report(struct python *python, const char *what);

/* serve.c: the signal on which Python says where its threads are; taken where limits.timeout is set. */
#define HUNG_SIGNAL (SIGRTMIN + 5)
int python_watch_hangs(struct python *python, const struct clade_worker *worker);

int wsgi_prepare(struct clade_application *application, struct python *python);
int wsgi_serve(struct clade_worker *worker, struct python *python);
int asgi_serve(struct clade_worker *worker, struct python *python);
int asgi_prepare(struct clade_application *application, struct python *python);
