/* The floor of a warm worker: what a bare fork of an interpreter that has loaded the application takes.
 *
 *     fork-floor DIRECTORY MODULE
 *
 * Embeds the libpython that the python module embeds, imports MODULE from DIRECTORY, collects and freezes its heap as
 * the module does, and then for each byte on stdin forks and prints how many nanoseconds it took from before the fork
 * until the child has said over a pipe that it is there. The child is an interpreter that could go on: what CPython
 * wants done after a fork has been done. There is no session, no sandbox, no descriptor to move and no server.
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

static int64_t fork_once(void)
{
        int word[2];
        int64_t begin = now_ns(), end;
        pid_t pid;
        char byte;

        if (pipe(word) < 0)
                die("pipe");
        PyOS_BeforeFork();
        pid = fork();
        if (pid < 0)
                die("fork");
        if (pid == 0) {
                PyOS_AfterFork_Child();
                if (write(word[1], "", 1) != 1)
                        _exit(EXIT_FAILURE);
                for (;;)
                        pause();
        }
        PyOS_AfterFork_Parent();
        close(word[1]);
        if (read(word[0], &byte, 1) != 1)
                die("the child says nothing");
        end = now_ns();
        close(word[0]);
        kill(pid, SIGKILL);
        waitpid(pid, NULL, 0);
        return end - begin;
}

int main(int argc, char **argv)
{
        char byte;

        if (argc != 3) {
                fprintf(stderr, "usage: fork-floor DIRECTORY MODULE\n");
                return 2;
        }
        load(argv[1], argv[2]);
        while (read(STDIN_FILENO, &byte, 1) == 1) {
                printf("%" PRId64 "\n", fork_once());
                fflush(stdout);
        }
        return EXIT_SUCCESS;
}
