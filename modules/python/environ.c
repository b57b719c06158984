/* The environ of a request: a copy of what is the same for all, and what the request adds. */
#include "modules/python/wsgi.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* Names that clients send all the time; their keys are made once. Others get theirs as they come. */
static const char *const known[] = {
        "Accept",
        "Accept-Charset",
        "Accept-Encoding",
        "Accept-Language",
        "Access-Control-Request-Headers",
        "Access-Control-Request-Method",
        "Authorization",
        "Cache-Control",
        "Connection",
        "Content-Encoding",
        "Cookie",
        "DNT",
        "Forwarded",
        "Host",
        "If-Match",
        "If-Modified-Since",
        "If-None-Match",
        "Keep-Alive",
        "Origin",
        "Pragma",
        "Priority",
        "Range",
        "Referer",
        "Sec-CH-UA",
        "Sec-CH-UA-Mobile",
        "Sec-CH-UA-Platform",
        "Sec-Fetch-Dest",
        "Sec-Fetch-Mode",
        "Sec-Fetch-Site",
        "Sec-Fetch-User",
        "TE",
        "Upgrade-Insecure-Requests",
        "User-Agent",
        "X-CSRFToken",
        "X-Forwarded-For",
        "X-Forwarded-Host",
        "X-Forwarded-Port",
        "X-Forwarded-Proto",
        "X-Real-IP",
        "X-Request-ID",
        "X-Requested-With",
};

#define KNOWN (sizeof(known) / sizeof(known[0]))
#define TABLE 128 /* a power of two */

struct environ_keys {
        PyObject *method, *script, *path, *query, *uri, *protocol, *address, *port, *server_name,
                *server_port, *type, *length, *input;
        PyObject *http10, *http11, *empty, *get, *post, *localhost, *port80;
        struct {
                const char *name;
                PyObject *key;
        } fields[TABLE];
};

static size_t hash(const char *name, size_t length)
{
        unsigned char first = (unsigned char)name[0] | 0x20;
        unsigned char last = (unsigned char)name[length - 1] | 0x20;
        unsigned char middle = (unsigned char)name[length / 2] | 0x20;

        return (length * 31 + first * 7u + last * 3u + middle) & (TABLE - 1);
}

static PyObject *find_key(const struct environ_keys *keys, const struct clade_field *field)
{
        for (size_t at = hash(field->name, field->name_length); keys->fields[at].name;
             at = (at + 1) & (TABLE - 1))
                if (strcasecmp(keys->fields[at].name, field->name) == 0)
                        return Py_NewRef(keys->fields[at].key);
        return NULL;
}

/* "X-Request-Id" is HTTP_X_REQUEST_ID. */
static PyObject *make_key(const char *name, size_t length)
{
        PyObject *key = PyUnicode_New((Py_ssize_t)length + 5, 127);
        Py_UCS1 *to;

        if (!key)
                return NULL;
        to = PyUnicode_1BYTE_DATA(key);
        for (size_t i = 0; i < 5; i++)
                to[i] = (Py_UCS1) "HTTP_"[i];
        for (size_t i = 0; i < length; i++) {
                char c = name[i];

                to[5 + i] = (Py_UCS1)(c == '-' ? '_' : c >= 'a' && c <= 'z' ? c - 'a' + 'A' : c);
        }
        return key;
}

static int fill_table(struct environ_keys *keys)
{
        for (size_t i = 0; i < KNOWN; i++) {
                size_t at = hash(known[i], strlen(known[i]));

                while (keys->fields[at].name)
                        at = (at + 1) & (TABLE - 1);
                keys->fields[at].key = make_key(known[i], strlen(known[i]));
                if (!keys->fields[at].key)
                        return -1;
                keys->fields[at].name = known[i];
                PyUnicode_InternInPlace(&keys->fields[at].key);
        }
        return 0;
}

static int fill_names(struct environ_keys *keys)
{
        const struct {
                PyObject **key;
                const char *name;
        } names[] = {
                {&keys->method, "REQUEST_METHOD"},
                {&keys->script, "SCRIPT_NAME"},
                {&keys->path, "PATH_INFO"},
                {&keys->query, "QUERY_STRING"},
                {&keys->uri, "REQUEST_URI"},
                {&keys->protocol, "SERVER_PROTOCOL"},
                {&keys->address, "REMOTE_ADDR"},
                {&keys->port, "REMOTE_PORT"},
                {&keys->server_name, "SERVER_NAME"},
                {&keys->server_port, "SERVER_PORT"},
                {&keys->type, "CONTENT_TYPE"},
                {&keys->length, "CONTENT_LENGTH"},
                {&keys->input, "wsgi.input"},
                {&keys->http10, "HTTP/1.0"},
                {&keys->http11, "HTTP/1.1"},
                {&keys->empty, ""},
                {&keys->get, "GET"},
                {&keys->post, "POST"},
                {&keys->localhost, "localhost"},
                {&keys->port80, "80"},
        };

        for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
                *names[i].key = PyUnicode_InternFromString(names[i].name);
                if (!*names[i].key)
                        return -1;
        }
        return 0;
}

/* Takes `value`, also when it fails. */
static int put(PyObject *environ, PyObject *key, PyObject *value)
{
        int r = value ? PyDict_SetItem(environ, key, value) : -1;

        Py_XDECREF(value);
        return r;
}

static int put_named(PyObject *environ, const char *name, PyObject *value)
{
        int r = value ? PyDict_SetItemString(environ, name, value) : -1;

        Py_XDECREF(value);
        return r;
}

/* Keys that each request sets are there beforehand: the copy is large enough at once. */
static int reserve(PyObject *environ, const struct environ_keys *keys)
{
        PyObject *const names[] = {
                keys->method,   keys->script,  keys->path,        keys->query,       keys->uri,
                keys->protocol, keys->address, keys->server_name, keys->server_port, keys->input};

        for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
                if (PyDict_SetItem(environ, names[i], keys->empty) < 0)
                        return -1;
        return 0;
}

static PyObject *template_create(struct clade_application *application, struct wsgi *wsgi)
{
        bool processes = application->slots > 1, threads = wsgi->python->threads > 1;
        PyObject *environ = PyDict_New(), *errors = PySys_GetObject("stderr");

        if (!environ || reserve(environ, wsgi->keys) < 0 ||
            put_named(environ, "wsgi.version", Py_BuildValue("(ii)", 1, 0)) < 0 ||
            put_named(environ, "wsgi.url_scheme", PyUnicode_FromString("http")) < 0 ||
            put_named(environ, "wsgi.errors", Py_XNewRef(errors)) < 0 ||
            put_named(environ, "wsgi.multithread", PyBool_FromLong(threads)) < 0 ||
            put_named(environ, "wsgi.multiprocess", PyBool_FromLong(processes)) < 0 ||
            put_named(environ, "wsgi.run_once",
                      PyBool_FromLong(application->limits.requests == 1)) < 0 ||
            put_named(environ, "wsgi.input_terminated", Py_NewRef(Py_True)) < 0 ||
            put_named(environ, "wsgi.file_wrapper", Py_NewRef((PyObject *)wsgi->file_type)) < 0 ||
            put_named(environ, "SERVER_SOFTWARE", PyUnicode_FromString("clade")) < 0) {
                Py_XDECREF(environ);
                return NULL;
        }
        return environ;
}

int environ_prepare(struct clade_application *application, struct wsgi *wsgi)
{
        struct python *python = wsgi->python;

        wsgi->keys = calloc(1, sizeof(*wsgi->keys));
        wsgi->templates = calloc(python->entry_count, sizeof(PyObject *));
        if (!wsgi->keys || !wsgi->templates) {
                PyErr_NoMemory();
                return -1;
        }
        if (fill_names(wsgi->keys) < 0 || fill_table(wsgi->keys) < 0)
                return -1;
        for (size_t i = 0; i < python->entry_count; i++) {
                wsgi->templates[i] = template_create(application, wsgi);
                if (!wsgi->templates[i])
                        return -1;
        }
        return 0;
}

/* --- what a request adds -------------------------------------------------------------------------------- */

static PyObject *latin1(const char *text, size_t length)
{
        return PyUnicode_DecodeLatin1(text, (Py_ssize_t)length, NULL);
}

static int hex_digit(char c)
{
        return c >= '0' && c <= '9'                     ? c - '0'
               : (c | 0x20) >= 'a' && (c | 0x20) <= 'f' ? (c | 0x20) - 'a' + 10
                                                        : -1;
}

/* Percent-encoding undone, once; what is none stays as it is. */
static PyObject *decode(const char *text, size_t length)
{
        char few[512] = "", *to = length <= sizeof(few) ? few : PyMem_Malloc(length);
        PyObject *decoded;
        size_t n = 0;

        if (!to)
                return PyErr_NoMemory();
        for (size_t i = 0; i < length; i++) {
                if (text[i] == '%' && i + 2 < length && hex_digit(text[i + 1]) >= 0 &&
                    hex_digit(text[i + 2]) >= 0) {
                        to[n++] = (char)(hex_digit(text[i + 1]) * 16 + hex_digit(text[i + 2]));
                        i += 2;
                } else {
                        to[n++] = text[i];
                }
        }
        decoded = latin1(to, n);
        if (to != few)
                PyMem_Free(to);
        return decoded;
}

/* The prefix counts where it is whole parts of the path. */
static int add_path(const struct environ_keys *keys, const char *prefix,
                    const struct clade_request *request, PyObject *environ)
{
        const char *path = request->path;
        size_t length = strlen(path), skip = prefix ? strlen(prefix) : 0;

        if (path[0] != '/') /* OPTIONS * */
                length = 0;
        if (skip > length || (skip > 0 && memcmp(path, prefix, skip) != 0) ||
            (skip > 0 && skip < length && path[skip] != '/'))
                skip = 0;
        if (put(environ, keys->script, skip ? latin1(prefix, skip) : Py_NewRef(keys->empty)) < 0)
                return -1;
        return put(environ, keys->path,
                   memchr(path, '%', length) ? decode(path + skip, length - skip)
                                             : latin1(path + skip, length - skip));
}

static PyObject *number(uint64_t value)
{
        char text[24];
        int length = snprintf(text, sizeof(text), "%llu", (unsigned long long)value);

        return latin1(text, (size_t)length);
}

static int add_addresses(const struct environ_keys *keys, const struct clade_request *request,
                         PyObject *environ)
{
        bool local = request->local_port == 0;

        if (put(environ, keys->address,
                latin1(request->remote_address, strlen(request->remote_address))) < 0)
                return -1;
        if (request->remote_port && put(environ, keys->port, number(request->remote_port)) < 0)
                return -1;
        if (put(environ, keys->server_name,
                local ? Py_NewRef(keys->localhost)
                      : latin1(request->local_address, strlen(request->local_address))) < 0)
                return -1;
        return put(environ, keys->server_port,
                   local ? Py_NewRef(keys->port80) : number(request->local_port));
}

/* Several fields of a name are one, as a list; cookies have a separator of their own (RFC 9110, 6265). */
static PyObject *join(PyObject *before, const struct clade_field *field)
{
        const char *separator = strcasecmp(field->name, "cookie") == 0 ? "; " : ", ";
        PyObject *value = latin1(field->value, field->value_length), *joined;

        if (!value)
                return NULL;
        joined = PyUnicode_FromFormat("%U%s%U", before, separator, value);
        Py_DECREF(value);
        return joined;
}

static int add_field(const struct environ_keys *keys, const struct clade_field *field,
                     PyObject *environ)
{
        PyObject *key, *before;
        int r;

        /* "X_Admin" would be taken for "X-Admin", which a proxy may have removed. */
        if (memchr(field->name, '_', field->name_length))
                return 0;
        if ((field->name[0] | 0x20) == 'c') {
                if (strcasecmp(field->name, "Content-Type") == 0)
                        return put(environ, keys->type, latin1(field->value, field->value_length));
                if (strcasecmp(field->name, "Content-Length") == 0)
                        return 0; /* add_length */
        }
        if (strcasecmp(field->name, "Transfer-Encoding") == 0)
                return 0; /* it is undone */
        key = find_key(keys, field);
        if (!key && !PyErr_Occurred())
                key = make_key(field->name, field->name_length);
        if (!key)
                return -1;
        before = PyDict_GetItemWithError(environ, key);
        if (before)
                r = put(environ, key, join(before, field));
        else
                r = PyErr_Occurred() ? -1
                                     : put(environ, key, latin1(field->value, field->value_length));
        Py_DECREF(key);
        return r;
}

/* The length is known, also of a body that came in chunks. A request that has none says nothing. */
static int add_length(const struct environ_keys *keys, const struct clade_request *request,
                      PyObject *environ)
{
        bool announced = request->body_size > 0;

        for (size_t i = 0; !announced && i < request->field_count; i++)
                announced = strcasecmp(request->fields[i].name, "Content-Length") == 0 ||
                            strcasecmp(request->fields[i].name, "Transfer-Encoding") == 0;
        return announced ? put(environ, keys->length, number(request->body_size)) : 0;
}

static PyObject *method_of(const struct environ_keys *keys, const char *method)
{
        if (strcmp(method, "GET") == 0)
                return Py_NewRef(keys->get);
        if (strcmp(method, "POST") == 0)
                return Py_NewRef(keys->post);
        return latin1(method, strlen(method));
}

static int add_line(const struct environ_keys *keys, const struct clade_request *request,
                    PyObject *environ)
{
        PyObject *protocol = request->minor_version == 0 ? keys->http10 : keys->http11;

        if (put(environ, keys->method, method_of(keys, request->method)) < 0 ||
            put(environ, keys->query, latin1(request->query, strlen(request->query))) < 0 ||
            put(environ, keys->uri, latin1(request->target, strlen(request->target))) < 0)
                return -1;
        return PyDict_SetItem(environ, keys->protocol, protocol);
}

PyObject *environ_create(struct wsgi *wsgi, size_t entry, const struct clade_request *request,
                         PyObject *input)
{
        const struct environ_keys *keys = wsgi->keys;
        PyObject *environ = PyDict_Copy(wsgi->templates[entry]);
        int r = environ ? 0 : -1;

        if (r == 0)
                r = add_line(keys, request, environ);
        if (r == 0)
                r = add_path(keys, wsgi->python->entries[entry].prefix, request, environ);
        if (r == 0)
                r = add_addresses(keys, request, environ);
        if (r == 0)
                r = PyDict_SetItem(environ, keys->input, input);
        for (size_t i = 0; r == 0 && i < request->field_count; i++)
                r = add_field(keys, &request->fields[i], environ);
        if (r == 0)
                r = add_length(keys, request, environ);
        if (r < 0)
                Py_CLEAR(environ);
        return environ;
}
