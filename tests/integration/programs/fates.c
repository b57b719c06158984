/* Applications that go wrong, one way each: the names are for "symbol" and "preload" of `native`. */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "serve.h"

#define EXPORT __attribute__((visibility("default")))

EXPORT int exits_at_once(const struct clade_native *native);
EXPORT int crashes_at_once(const struct clade_native *native);
EXPORT int exits_when_ready(const struct clade_native *native);
EXPORT int never_ready(const struct clade_native *native);
EXPORT int never_accepts(const struct clade_native *native);
EXPORT int is_deaf(const struct clade_native *native);
EXPORT int stops_well(const struct clade_native *native);
EXPORT int shuts_down(const struct clade_native *native);
EXPORT int floods(const struct clade_native *native);
EXPORT int refuses(void);
EXPORT int hangs(void);
EXPORT int dies(void);

static _Noreturn void rest(void)
{
        for (;;)
                pause();
}

static void hello(const struct request *request, struct answer *answer)
{
        answer_print(answer, "%s %u %d\n", request->native->application, request->native->slot,
                     (int)getpid());
}

int exits_at_once(const struct clade_native *native)
{
        (void)native;
        return 7;
}

int crashes_at_once(const struct clade_native *native)
{
        (void)native;
        signal(SIGSEGV, SIG_DFL);
        raise(SIGSEGV);
        return 0;
}

int exits_when_ready(const struct clade_native *native)
{
        native->ready(native);
        return 7;
}

int never_ready(const struct clade_native *native)
{
        (void)native;
        rest();
}

int never_accepts(const struct clade_native *native)
{
        native->ready(native);
        rest();
}

/* It serves, and does not hear SIGTERM. */
int is_deaf(const struct clade_native *native)
{
        signal(SIGTERM, SIG_IGN);
        return serve(native, hello);
}

static void on_term(int number)
{
        (void)number;
        _exit(23);
}

int stops_well(const struct clade_native *native)
{
        signal(SIGTERM, on_term);
        return serve(native, hello);
}

/* The listener, as soon as it has it. */
int shuts_down(const struct clade_native *native)
{
        native->ready(native);
        shutdown(native->listeners[0], SHUT_RDWR);
        rest();
}

/* Lines without end, on both streams; it serves nobody. */
int floods(const struct clade_native *native)
{
        static char lines[64 << 10];

        for (size_t i = 0; i < sizeof(lines); i++)
                lines[i] = i % 64 == 63 ? '\n' : 'x';
        native->ready(native);
        for (int fd = 1;; fd = 3 - fd)
                if (write(fd, lines, sizeof(lines)) < 0)
                        return 1;
}

int refuses(void)
{
        return 42;
}

int hangs(void)
{
        rest();
}

int dies(void)
{
        fprintf(stderr, "the last words\n");
        _exit(9);
}
