/* Running attempts, each in a child of its own, since some of them wreck who makes them. */
#include "probe.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define TIMEOUT_MS       10000
#define DESCRIPTORS_LAST 1024

static const struct attempt *const tables[] = {
        namespace_attempts, mount_attempts,  file_attempts,   device_attempts, identity_attempts,
        process_attempts,   kernel_attempts, socket_attempts, memory_attempts, resource_attempts,
};

void outcome_set(struct outcome *outcome, const char *format, ...)
{
        va_list args;

        va_start(args, format);
        vsnprintf(outcome->text, sizeof(outcome->text), format, args);
        va_end(args);
}

void outcome_call(struct outcome *outcome, long result)
{
        const char *name = result < 0 ? strerrorname_np(errno) : "done";

        outcome_set(outcome, "%s", name ? name : "strange-errno");
}

void many_call(struct many *many, const char *what, long result)
{
        const char *name = result < 0 ? strerrorname_np(errno) : NULL;
        char parts[OUTCOME_MAX + 2], wanted[64];

        if (many->done)
                return;
        if (result >= 0) {
                many->done = true;
                outcome_set(&many->outcome, "done:%s", what);
                return;
        }
        name = name ? name : "strange-errno";
        snprintf(parts, sizeof(parts), "+%s+", many->outcome.text);
        snprintf(wanted, sizeof(wanted), "+%s+", name);
        if (strstr(parts, wanted))
                return;
        snprintf(parts, sizeof(parts), "%s%s%s", many->outcome.text,
                 many->outcome.text[0] ? "+" : "", name);
        snprintf(many->outcome.text, sizeof(many->outcome.text), "%s", parts);
}

void many_tell(const struct many *many, struct outcome *outcome)
{
        outcome_set(outcome, "%s", many->outcome.text[0] ? many->outcome.text : "none");
}

bool parameter(const struct probe *probe, const char *name, char *value, size_t room)
{
        size_t length = strlen(name);

        value[0] = '\0';
        for (const char *at = probe->parameters; *at;) {
                size_t word = strcspn(at, " \n");

                if (word > length && strncmp(at, name, length) == 0 && at[length] == '=') {
                        snprintf(value, room, "%.*s", (int)(word - length - 1), at + length + 1);
                        return true;
                }
                at += word;
                at += strspn(at, " \n");
        }
        return false;
}

long parameter_number(const struct probe *probe, const char *name)
{
        char value[32];

        return parameter(probe, name, value, sizeof(value)) ? strtol(value, NULL, 10) : 0;
}

static void list_add(char *list, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void list_add(char *list, const char *format, ...)
{
        size_t length = strlen(list);
        va_list args;

        if (length > 0 && length < OUTCOME_MAX - 1)
                list[length++] = ',';
        va_start(args, format);
        vsnprintf(list + length, OUTCOME_MAX - length, format, args);
        va_end(args);
}

void probe_begin(struct probe *probe, size_t listener_count)
{
        int last = 2 + (int)listener_count;

        *probe = (struct probe){
                .listener = listener_count > 0 ? 3 : -1,
                .connection = -1,
                .listener_count = listener_count,
                .session = getsid(0),
                .self = getpid(),
        };
        for (int fd = 0; fd < DESCRIPTORS_LAST; fd++) {
                char link[64], target[128] = "?";
                struct stat st;

                if (fstat(fd, &st) < 0)
                        continue;
                snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
                if (readlink(link, target, sizeof(target) - 1) < 0)
                        snprintf(target, sizeof(target), "?");
                for (char *c = target; *c; c++)
                        *c = *c == ' ' ? '_' : *c;
                if (fd > last)
                        list_add(probe->descriptors, "%d=%s", fd, target);
                if (S_ISDIR(st.st_mode))
                        list_add(probe->directories, "%d=%s", fd, target);
        }
        if (!probe->descriptors[0])
                list_add(probe->descriptors, "none");
        if (!probe->directories[0])
                list_add(probe->directories, "none");
}

static long now_ms(void)
{
        struct timespec now;

        clock_gettime(CLOCK_MONOTONIC, &now);
        return now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* The child's status, or -1 when it had to be killed. */
static int wait_for(pid_t child)
{
        long deadline = now_ms() + TIMEOUT_MS;
        struct timespec nap = {.tv_nsec = 20000};
        int status;

        while (waitpid(child, &status, WNOHANG) != child) {
                if (now_ms() > deadline) {
                        kill(child, SIGKILL);
                        waitpid(child, &status, 0);
                        return -1;
                }
                nanosleep(&nap, NULL);
                nap.tv_nsec = nap.tv_nsec < 2000000 ? nap.tv_nsec * 2 : nap.tv_nsec;
        }
        return status;
}

/* In a child; what it tells lies in memory that both have. */
static void run_apart(const struct probe *probe, const struct attempt *attempt,
                      struct outcome *shared)
{
        pid_t child = fork();
        int status;

        if (child < 0) {
                attempt->run(probe, attempt, shared);
                return;
        }
        if (child == 0) {
                attempt->run(probe, attempt, shared);
                _exit(0);
        }
        status = wait_for(child);
        if (status == -1)
                outcome_set(shared, "timeout");
        else if (WIFSIGNALED(status))
                outcome_set(shared, "SIG%s", sigabbrev_np(WTERMSIG(status)));
        else if (!shared->text[0])
                outcome_set(shared, "nothing-told:%d", WEXITSTATUS(status));
}

static bool listed(const struct probe *probe, const char *parameter_name, const char *name)
{
        char names[512], list[520], word[80];

        parameter(probe, parameter_name, names, sizeof(names));
        snprintf(list, sizeof(list), ",%s,", names);
        snprintf(word, sizeof(word), ",%s,", name);
        return strstr(list, word) != NULL;
}

/* Those of row 0 only when they are asked for by name. */
static bool wanted(const struct probe *probe, const struct attempt *attempt)
{
        char names[512];

        if (listed(probe, "skip", attempt->name))
                return false;
        if (parameter(probe, "names", names, sizeof(names)))
                return listed(probe, "names", attempt->name);
        return attempt->row != 0;
}

static void tell(int out, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void tell(int out, const char *format, ...)
{
        char line[OUTCOME_MAX + 128];
        va_list args;
        int n;

        va_start(args, format);
        n = vsnprintf(line, sizeof(line) - 1, format, args);
        va_end(args);
        for (int i = 0; i < n - 1; i++)
                line[i] = line[i] == '\n' ? '_' : line[i];
        for (const char *at = line; n > 0;) {
                ssize_t written = write(out, at, (size_t)n);

                if (written < 0)
                        return;
                at += written;
                n -= (int)written;
        }
}

void probe_run(struct probe *probe, int out)
{
        struct outcome *outcome = mmap(NULL, sizeof(*outcome), PROT_READ | PROT_WRITE,
                                       MAP_SHARED | MAP_ANONYMOUS, -1, 0);

        if (outcome == MAP_FAILED) {
                tell(out, "no memory to share\n");
                return;
        }
        for (size_t i = 0; i < sizeof(tables) / sizeof(tables[0]); i++)
                for (const struct attempt *attempt = tables[i]; attempt->name; attempt++) {
                        if (!wanted(probe, attempt))
                                continue;
                        outcome->text[0] = '\0';
                        errno = 0;
                        if (attempt->direct)
                                attempt->run(probe, attempt, outcome);
                        else
                                run_apart(probe, attempt, outcome);
                        tell(out, "%u %s %s\n", attempt->row, attempt->name, outcome->text);
                }
        tell(out, "end\n");
        munmap(outcome, sizeof(*outcome));
}

int probe_serve(struct probe *probe)
{
        /* What one client does to its connection is over with it. */
        signal(SIGPIPE, SIG_IGN);
        for (;;) {
                size_t length = 0;
                ssize_t n = 0;

                probe->connection = accept4(probe->listener, NULL, NULL, SOCK_CLOEXEC);
                if (probe->connection < 0 && (errno == EINVAL || errno == EBADF))
                        return 3; /* it has been shut down */
                if (probe->connection < 0) {
                        usleep(1000);
                        continue;
                }
                while (length < sizeof(probe->parameters) - 1 &&
                       (n = read(probe->connection, probe->parameters + length, 1)) == 1 &&
                       probe->parameters[length] != '\n')
                        length++;
                probe->parameters[length] = '\0';
                if (n == 1)
                        probe_run(probe, probe->connection);
                close(probe->connection);
        }
}

/* --- runners -------------------------------------------------------------------------------------- */

void try_syscall(const struct probe *probe, const struct attempt *attempt, struct outcome *outcome)
{
        (void)probe;
        outcome_call(outcome, syscall(attempt->number, attempt->arguments[0], attempt->arguments[1],
                                      attempt->arguments[2], attempt->arguments[3], 0, 0));
}

void try_write(const struct probe *probe, const struct attempt *attempt, struct outcome *outcome)
{
        int fd = open(attempt->path, O_WRONLY | O_CLOEXEC);

        (void)probe;
        if (fd >= 0 && attempt->text)
                outcome_call(outcome, write(fd, attempt->text, strlen(attempt->text)));
        else
                outcome_call(outcome, fd);
}

void try_open(const struct probe *probe, const struct attempt *attempt, struct outcome *outcome)
{
        (void)probe;
        outcome_call(outcome, open(attempt->path, O_RDONLY | O_NONBLOCK | O_CLOEXEC));
}

void try_read(const struct probe *probe, const struct attempt *attempt, struct outcome *outcome)
{
        int fd = open(attempt->path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
        char byte;
        ssize_t n = fd < 0 ? -1 : read(fd, &byte, 1);

        (void)probe;
        if (n == 0)
                outcome_set(outcome, "empty");
        else
                outcome_call(outcome, n);
}
