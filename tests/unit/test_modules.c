/* The modules external and native, with the test in the place of the prototype: real shared objects, real
 * listeners, real programs. What a worker is told and what a person reads when it cannot start. */
#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/error.h"
#include "base/own.h"
#include "clade/module.h"

struct clade_failure {
        struct error error;
};

/* What a worker leaves behind for the test, in memory that both see. */
struct outcome {
        struct clade_failure failure;
        int result;
        bool ready;
};

static int host_fail(struct clade_failure *failure, int code, const char *remedy,
                     const char *format, ...) __attribute__((format(printf, 4, 5)));

static int host_fail(struct clade_failure *failure, int code, const char *remedy,
                     const char *format, ...)
{
        char text[ERROR_TEXT_SIZE];
        va_list args;

        va_start(args, format);
        vsnprintf(text, sizeof(text), format, args);
        va_end(args);
        error_set(&failure->error, code, "%s", text);
        if (remedy)
                error_remedy(&failure->error, "%s", remedy);
        return -code;
}

static const struct clade_host host = {.fail = host_fail};

#define LISTENERS_MAX 2

struct stage {
        const struct clade_module *module;
        struct clade_application application;
        struct outcome *outcome;
        int listeners[LISTENERS_MAX]; /* in the test */
        uint16_t ports[LISTENERS_MAX];
        int output; /* where the worker's stdout can be read */
        pid_t pid;
};

static void stage_init(struct stage *stage, const char *module, const struct clade_value *values,
                       size_t count)
{
        void *library = dlopen(module, RTLD_NOW | RTLD_LOCAL);

        cr_assert_not_null(library, "%s", dlerror());
        *stage = (struct stage){.output = -1, .listeners = {-1, -1}};
        stage->module = dlsym(library, CLADE_MODULE_SYMBOL);
        cr_assert_not_null(stage->module);
        stage->outcome = mmap(NULL, sizeof(*stage->outcome), PROT_READ | PROT_WRITE,
                              MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        cr_assert_neq(stage->outcome, MAP_FAILED);
        stage->application = (struct clade_application){
                .host = &host,
                .failure = &stage->outcome->failure,
                .name = "tested",
                .values = values,
                .value_count = count,
                .slots = 8,
                .capacity = stage->module->flags & CLADE_COUNTS_REQUESTS ? 1 : 0,
        };
}

static void stage_listen(struct stage *stage, const char *const *addresses, size_t count)
{
        stage->application.listeners = addresses;
        stage->application.listener_count = count;
        for (size_t i = 0; i < count; i++) {
                struct sockaddr_in address = {.sin_family = AF_INET,
                                              .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
                socklen_t size = sizeof(address);
                int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

                cr_assert(fd >= 0 && bind(fd, (void *)&address, size) == 0 && listen(fd, 8) == 0 &&
                          getsockname(fd, (void *)&address, &size) == 0);
                stage->listeners[i] = fd;
                stage->ports[i] = ntohs(address.sin_port);
        }
}

static void worker_ready(struct clade_worker *worker)
{
        struct outcome *outcome = (struct outcome *)worker->failure; /* its first member */

        outcome->ready = true;
}

static _Noreturn void worker(struct stage *stage, int output)
{
        static const int numbers[LISTENERS_MAX] = {3, 4};
        struct clade_worker self = {
                .application = &stage->application,
                .failure = &stage->outcome->failure,
                .slot = 5,
                .serial = 7,
                .listeners = numbers,
                .ready = worker_ready,
        };

        dup2(output, 1);
        fd_arrange(stage->listeners, LISTENERS_MAX, 3);
        for (size_t i = 0; i < stage->application.listener_count; i++)
                fd_cloexec(3 + (int)i, true);
        stage->outcome->result = stage->module->start(&self);
        _exit(stage->outcome->result < 0 ? 99 : stage->outcome->result);
}

/* setup and preload here, start in a process of its own. */
static int stage_prepare(struct stage *stage)
{
        int r = 0;

        if (stage->module->setup)
                r = stage->module->setup(&stage->application);
        if (r == 0 && stage->module->preload)
                r = stage->module->preload(&stage->application);
        return r;
}

static void stage_start(struct stage *stage)
{
        int fds[2];

        cr_assert_eq(pipe2(fds, O_CLOEXEC), 0);
        stage->pid = fork();
        cr_assert(stage->pid >= 0);
        if (stage->pid == 0)
                worker(stage, fds[1]);
        close(fds[1]);
        stage->output = fds[0];
}

static int stage_wait(struct stage *stage)
{
        int status;

        cr_assert_eq(waitpid(stage->pid, &status, 0), stage->pid);
        cr_assert(WIFEXITED(status), "wait status 0x%x", status);
        return WEXITSTATUS(status);
}

/* Everything that the worker wrote. */
static void stage_read(struct stage *stage, char *text, size_t size)
{
        ssize_t n = fd_read_full(stage->output, text, size - 1);

        cr_assert(n >= 0);
        text[n] = '\0';
}

/* --- external ---------------------------------------------------------------------------------- */

static void external_init(struct stage *stage, struct clade_value *values, const char *executable,
                          const char *const *arguments)
{
        values[0] = (struct clade_value){
                .name = "executable", .type = CLADE_PATH, .string = executable};
        values[1] = (struct clade_value){
                .name = "arguments", .type = CLADE_STRINGS, .strings = arguments};
        stage_init(stage, EXTERNAL, values, arguments ? 2 : 1);
}

Test(external, hands_over_listeners_by_the_convention)
{
        static const char *const arguments[] = {
                "-c",
                "echo \"$0 $LISTEN_FDS $LISTEN_FDNAMES $KEPT $((LISTEN_PID == $$)) $#\";"
                "ls -l /proc/self/fd | grep -c socket",
                "zero",
                NULL,
        };
        static const char *const addresses[] = {"127.0.0.1:8080", "unix:/run/tést"};
        struct clade_value values[2];
        struct stage stage;
        char text[256];

        external_init(&stage, values, "/bin/sh", arguments);
        stage_listen(&stage, addresses, 2);
        setenv("KEPT", "kept", 1);
        cr_assert_eq(stage_prepare(&stage), 0);
        cr_expect_eq(stage.application.ready, CLADE_READY_EXEC);
        stage_start(&stage);
        stage_read(&stage, text, sizeof(text));
        cr_expect_str_eq(text, "zero 2 127.0.0.1_8080:unix_/run/t__st kept 1 0\n2\n");
        cr_expect_eq(stage_wait(&stage), 0);
}

Test(external, says_nothing_of_listeners_where_there_are_none)
{
        static const char *const arguments[] = {"-c", "env | grep -c LISTEN_; exit 3", NULL};
        struct clade_value values[2];
        struct stage stage;
        char text[64];

        external_init(&stage, values, "/bin/sh", arguments);
        setenv("LISTEN_FDS", "9", 1);
        cr_assert_eq(stage_prepare(&stage), 0);
        stage_start(&stage);
        stage_read(&stage, text, sizeof(text));
        cr_expect_str_eq(text, "0\n");
        cr_expect_eq(stage_wait(&stage), 3);
}

Test(external, is_ready_when_the_configuration_says)
{
        struct clade_value values[] = {
                {.name = "executable", .type = CLADE_PATH, .string = "/bin/true"},
                {.name = "ready", .type = CLADE_STRING, .string = "notify"},
        };
        struct stage stage;

        stage_init(&stage, EXTERNAL, values, 2);
        cr_assert_eq(stage_prepare(&stage), 0);
        cr_expect_eq(stage.application.ready, CLADE_READY_NOTIFY);
        values[1].string = "exec";
        cr_assert_eq(stage_prepare(&stage), 0);
        cr_expect_eq(stage.application.ready, CLADE_READY_EXEC);
}

static void write_program(const char *path, const char *content, mode_t mode)
{
        FILE *file = fopen(path, "we");

        cr_assert_not_null(file);
        cr_assert(fputs(content, file) >= 0);
        fclose(file);
        cr_assert_eq(chmod(path, mode), 0);
}

static void cannot_run(const char *executable, int code, const char *says)
{
        struct clade_value values[2];
        struct stage stage;

        external_init(&stage, values, executable, NULL);
        cr_assert_eq(stage_prepare(&stage), 0);
        stage_start(&stage);
        cr_expect_eq(stage_wait(&stage), 99, "%s ran", executable);
        cr_expect_eq(stage.outcome->result, -code, "%s: %d", executable, stage.outcome->result);
        cr_expect_not_null(strstr(stage.outcome->failure.error.text, says),
                           "\"%s\" is not in \"%s\"", says, stage.outcome->failure.error.text);
        cr_expect(stage.outcome->failure.error.remedy[0], "no remedy: %s",
                  stage.outcome->failure.error.text);
}

Test(external, explains_why_a_program_does_not_run)
{
        char directory[] = "/tmp/clade-external-XXXXXX";
        char path[64];

        cr_assert_not_null(mkdtemp(directory));
        snprintf(path, sizeof(path), "%s/program", directory);

        cannot_run(path, ENOENT, "the program is not there");
        cannot_run(directory, EACCES, "it is not a file");
        write_program(path, "#! /no/such/interpreter -x\n", 0755);
        cannot_run(path, ENOENT, "its interpreter /no/such/interpreter is not inside this root");
        write_program(path, "nothing that runs\n", 0755);
        cannot_run(path, ENOEXEC, "neither a program nor a script");
        write_program(path, "#!/bin/sh\n", 0644);
        cannot_run(path, EACCES, "its mode 0644 does not let uid");
        write_program(path, "#!/proc/self/status\n", 0755);
        cannot_run(path, EACCES, "its interpreter /proc/self/status may not be executed");

        unlink(path);
        rmdir(directory);
}

/* A program for this machine whose loader is not there, made from one that has it. */
Test(external, names_a_loader_that_is_missing)
{
        char directory[] = "/tmp/clade-external-XXXXXX";
        char path[64], command[512];

        cr_assert_not_null(mkdtemp(directory));
        snprintf(path, sizeof(path), "%s/program", directory);
        snprintf(command, sizeof(command),
                 "sed 's,/lib64/ld-linux-x86-64,/nope4/ld-linux-x86-64,;"
                 "s,/lib/ld-linux-aarch64,/nop/ld-linux-aarch64,' /bin/true > %s && chmod 755 %s",
                 path, path);
        cr_assert_eq(system(command), 0);
        cannot_run(path, ENOENT, "its loader /nop");
        unlink(path);
        rmdir(directory);
}

/* --- native ------------------------------------------------------------------------------------- */

Test(native, serves_from_its_entry_point)
{
        static const char *const addresses[] = {"127.0.0.1:0", "127.0.0.1:1"};
        const struct clade_value values[] = {
                {.name = "library", .type = CLADE_PATH, .string = HELLO},
        };
        static const char request[] = "GET / HTTP/1.0\r\n\r\n";
        struct stage stage;
        char text[1024], expected[128];

        stage_init(&stage, NATIVE, values, 1);
        stage_listen(&stage, addresses, 2);
        cr_assert_eq(stage_prepare(&stage), 0, "%s", stage.outcome->failure.error.text);
        cr_expect_eq(stage.application.ready, CLADE_READY_CALLED);
        stage_start(&stage);
        for (size_t i = 0; i < 2; i++) {
                struct sockaddr_in address = {.sin_family = AF_INET,
                                              .sin_port = htons(stage.ports[i]),
                                              .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
                cleanup_fd int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
                ssize_t n;

                cr_assert_eq(connect(fd, (void *)&address, sizeof(address)), 0);
                cr_assert_eq(fd_write_full(fd, request, sizeof(request) - 1), 0);
                n = fd_read_full(fd, text, sizeof(text) - 1);
                cr_assert(n > 0);
                text[n] = '\0';
                snprintf(expected, sizeof(expected),
                         "Hello from tested, worker 5, pid %d, loaded at ", stage.pid);
                cr_expect_not_null(strstr(text, expected), "%s", text);
        }
        cr_expect(stage.outcome->ready);
        cr_expect_eq(kill(stage.pid, SIGTERM), 0);
        cr_expect_eq(stage_wait(&stage), 0);
}

static void cannot_load(const struct clade_value *values, size_t count, const char *says)
{
        struct stage stage;

        stage_init(&stage, NATIVE, values, count);
        cr_expect_lt(stage_prepare(&stage), 0, "\"%s\" was not said", says);
        cr_expect_not_null(strstr(stage.outcome->failure.error.text, says),
                           "\"%s\" is not in \"%s\"", says, stage.outcome->failure.error.text);
        cr_expect(stage.outcome->failure.error.remedy[0], "no remedy: %s",
                  stage.outcome->failure.error.text);
}

Test(native, explains_why_a_library_does_not_load)
{
        struct clade_value values[] = {
                {.name = "library", .type = CLADE_PATH, .string = "/no/such.so"},
                {.name = "symbol", .type = CLADE_STRING, .string = "no_such_function"},
        };

        cannot_load(values, 1,
                    "dlopen of /no/such.so: /no/such.so: cannot open shared object file");
        values[0].string = FIXTURES "/nosymbol.clade.so";
        cannot_load(values, 1, "/nosymbol.clade.so has no function \"clade_main\"");
        values[0].string = HELLO;
        cannot_load(values, 2, "/hello.so has no function \"no_such_function\"");
        values[1] = (struct clade_value){
                .name = "preload", .type = CLADE_STRING, .string = "no_such_preload"};
        cannot_load(values, 2, "/hello.so has no function \"no_such_preload\"");
}

/* A name in the library that is no preload function and answers non-zero when it is called as one. */
Test(native, refuses_the_start_when_preload_does)
{
        const struct clade_value values[] = {
                {.name = "library", .type = CLADE_PATH, .string = FIXTURES "/entry.so"},
                {.name = "preload", .type = CLADE_STRING, .string = "refusing_preload"},
        };
        struct stage stage;

        stage_init(&stage, NATIVE, values, 2);
        cr_expect_lt(stage_prepare(&stage), 0);
        cr_expect_not_null(strstr(stage.outcome->failure.error.text, "refusing_preload in "));
        cr_expect_not_null(strstr(stage.outcome->failure.error.text, " returned 7"));
}

/* The status is what exit(3) would make of it: no negative number passes for an error of ours. */
Test(native, returns_a_status)
{
        const struct clade_value values[] = {
                {.name = "library", .type = CLADE_PATH, .string = FIXTURES "/entry.so"},
                {.name = "symbol", .type = CLADE_STRING, .string = "negative_main"},
        };
        struct stage stage;

        stage_init(&stage, NATIVE, values, 2);
        cr_assert_eq(stage_prepare(&stage), 0, "%s", stage.outcome->failure.error.text);
        stage_start(&stage);
        cr_expect_eq(stage_wait(&stage), 255);
        cr_expect_eq(stage.outcome->result, 255);
}
