/* As little HTTP as a test's client needs: one connection at a time, the target of a GET, a text back. */
#pragma once

#include <stddef.h>

#include <clade/module.h>

/* The text that goes back: it grows as it is printed to. */
struct answer {
        char *text;
        size_t length, room;
};

void answer_print(struct answer *answer, const char *format, ...)
        __attribute__((format(printf, 2, 3)));
void answer_bytes(struct answer *answer, const char *bytes, size_t length);

/* A whole file, whatever its size says (/proc). 0 or -errno. */
int answer_file(struct answer *answer, const char *path);

/* The value of NAME in "/path?NAME=value&OTHER=value", copied; "" when it is not there. */
void query(const char *target, const char *name, char *value, size_t room);
long query_number(const char *target, const char *name);

struct request {
        const struct clade_native *native;
        int listener, connection;
        const char *target;
};

typedef void handler(const struct request *request, struct answer *answer);

/* Says that it is ready, and answers whoever comes to any of the listeners. Returns when the first of them
 * is no listener any more. */
int serve(const struct clade_native *native, handler *handle);
