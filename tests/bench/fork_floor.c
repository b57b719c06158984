/* The floor of a warm worker: what a bare fork of an interpreter that has loaded the application takes.
 *
 *     fork-floor DIRECTORY MODULE
 *
 * Embeds the libpython that the python module embeds, imports MODULE from DIRECTORY, and collects and freezes its heap
 * as the module does. Then for each byte on stdin it forks twice and prints how many nanoseconds that took:
 *
 *     direct     from before the fork until the interpreter has read, from a pipe, that the child is there
 *     ordered    the same as it is for a supervisor: another process, small and without Python, writes the order into a
 *                pipe, and reads from one that the child is there
 *
 * The child is an interpreter that could go on: what CPython wants done after a fork has been done. There is no
 * session, no sandbox, no descriptor to move and no server.
 */
#include <Python.h>

#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static _Noreturn void die(const char *what)
{
        if (PyErr_Occurred())
                PyErr_Print();
        perror(what);
        exit(EXIT_FAILURE);
}

static int64_t now_ns(void)
{
        struct timespec now;

        clock_gettime(CLOCK_MONOTONIC, &now);
        return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static void load(const char *directory, const char *module)
{
        PyConfig config;
        PyStatus status;
        PyObject *path, *entry, *loaded, *gc, *result;

        PyConfig_InitIsolatedConfig(&config);
        config.write_bytecode = 0;
        config.site_import = 1;
        status = Py_InitializeFromConfig(&config);
        PyConfig_Clear(&config);
        if (PyStatus_Exception(status))
                Py_ExitStatusException(status);
        path = PySys_GetObject("path");
        entry = PyUnicode_DecodeFSDefault(directory);
        if (!path || !entry || PyList_Insert(path, 0, entry) < 0)
                die("sys.path");
        Py_DECREF(entry);
        loaded = PyImport_ImportModule(module);
        gc = PyImport_ImportModule("gc");
        if (!loaded || !gc)
                die(module);
        result = PyObject_CallMethod(gc, "collect", NULL);
        if (!result)
                die("gc.collect");
        Py_DECREF(result);
        result = PyObject_CallMethod(gc, "freeze", NULL);
        if (!result)
                die("gc.freeze");
        Py_DECREF(result);
        Py_DECREF(gc);
}

/* Never returns in the child, which says its pid and waits for its end. */
static pid_t fork_one(int word)
{
        pid_t pid;

        PyOS_BeforeFork();
        pid = fork();
        if (pid < 0)
                die("fork");
        if (pid == 0) {
                PyOS_AfterFork_Child();
                pid = getpid();
                if (write(word, &pid, sizeof(pid)) != sizeof(pid))
                        _exit(EXIT_FAILURE);
                for (;;)
                        pause();
        }
        PyOS_AfterFork_Parent();
        return pid;
}

/* What a child says, which then ends. */
static int64_t await(int word)
{
        int64_t end;
        pid_t pid;

        if (read(word, &pid, sizeof(pid)) != sizeof(pid))
                die("the child says nothing");
        end = now_ns();
        kill(pid, SIGKILL);
        return end;
}

static void make_pipe(int *ends)
{
        if (pipe(ends) < 0)
                die("pipe");
}

/* The interpreter: one fork for each order. A direct one is timed here, and its time is the answer. */
static _Noreturn void serve(char **arguments, int orders, int answers, int word)
{
        char order;
        int own[2];

        /* Nobody waits for children. */
        signal(SIGCHLD, SIG_IGN);
        make_pipe(own);
        load(arguments[1], arguments[2]);
        while (read(orders, &order, 1) == 1) {
                int64_t took = now_ns();

                if (order == 'o') {
                        fork_one(word);
                        continue;
                }
                fork_one(own[1]);
                took = await(own[0]) - took;
                if (write(answers, &took, sizeof(took)) != sizeof(took))
                        die("the answer");
        }
        _exit(EXIT_SUCCESS);
}

static void order(int orders, char kind)
{
        if (write(orders, &kind, 1) != 1)
                die("the order");
}

static int64_t direct_fork(int orders, int answers)
{
        int64_t took;

        order(orders, 'd');
        if (read(answers, &took, sizeof(took)) != sizeof(took))
                die("the interpreter has ended");
        return took;
}

static int64_t ordered_fork(int orders, int word)
{
        int64_t begin = now_ns();

        order(orders, 'o');
        return await(word) - begin;
}

int main(int argc, char **argv)
{
        int orders[2], answers[2], word[2];
        char byte;

        if (argc != 3) {
                fprintf(stderr, "usage: fork-floor DIRECTORY MODULE\n");
                return 2;
        }
        make_pipe(orders);
        make_pipe(answers);
        make_pipe(word);
        switch (fork()) {
        case -1:
                die("fork");
        case 0:
                close(orders[1]);
                serve(argv, orders[0], answers[1], word[1]);
        }
        close(word[1]);
        close(answers[1]);
        for (int round = 0; read(STDIN_FILENO, &byte, 1) == 1; round++) {
                int64_t took[2];

                /* Whichever comes first meets colder caches. */
                for (int i = 0; i < 2; i++) {
                        int kind = (round + i) % 2;

                        took[kind] = kind ? ordered_fork(orders[1], word[0])
                                          : direct_fork(orders[1], answers[0]);
                        usleep(2000); /* the child is on its way out */
                }
                printf("%" PRId64 " %" PRId64 "\n", took[0], took[1]);
                fflush(stdout);
        }
        return EXIT_SUCCESS;
}
