/* Makes one system call of one process fail, somewhere below a program that it starts.
 *
 *     inject FILE list PROGRAM...             writes every call of the processes of interest into FILE
 *     inject FILE PROCESS NUMBER NTH ERRNO PROGRAM...
 *                                             answers ERRNO in place of the nth call of that number, and
 *                                             writes "injected" into FILE when it has
 *
 * Of interest are the program itself, which is process 0, and all that are born in other namespaces than
 * ours, numbered as they are born. Calls are counted from 1 in each, by their numbers: how often a loop
 * goes round changes nothing for the others. One line of FILE is one of
 *
 *     born PROCESS PARENT
 *     exec PROCESS TITLE
 *     call PROCESS NUMBER NTH
 *
 * It works by ptrace(2). The call is replaced by getpid(2), which any filter allows, and its answer by ours;
 * then every process is let go, so nothing else differs from an ordinary run. The exit status is the
 * program's.
 */
#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

#define PROCESSES 64
#define NUMBERS   1024 /* what lies above counts as one */
#define OPTIONS                                                                                    \
        (PTRACE_O_TRACESYSGOOD | PTRACE_O_EXITKILL | PTRACE_O_TRACECLONE | PTRACE_O_TRACEFORK |    \
         PTRACE_O_TRACEVFORK | PTRACE_O_TRACEEXEC)

struct process {
        pid_t pid;
        bool known;    /* its first stop has been seen */
        bool ours;     /* born in our namespaces: of no interest, but for the program itself */
        bool entered;  /* the next stop at a call is its end */
        bool replaced; /* ... and it is the one */
        unsigned number;
        unsigned calls[NUMBERS];
};

static struct process processes[PROCESSES];
static size_t process_count;
static unsigned born;
static FILE *file;
static bool list;
static unsigned wanted_process, wanted_number, wanted_nth;
static int wanted_errno;
static pid_t program;

static _Noreturn void fail(const char *what)
{
        fprintf(stderr, "inject: %s: %s\n", what, strerror(errno));
        exit(125);
}

static struct process *find(pid_t pid)
{
        for (size_t i = 0; i < process_count; i++)
                if (processes[i].pid == pid)
                        return &processes[i];
        if (process_count == PROCESSES) {
                errno = ENOSPC;
                fail("too many processes");
        }
        processes[process_count] = (struct process){.pid = pid};
        return &processes[process_count++];
}

static void forget(pid_t pid)
{
        for (size_t i = 0; i < process_count; i++)
                if (processes[i].pid == pid)
                        processes[i] = processes[--process_count];
}

static bool in_our_namespaces(pid_t pid)
{
        static const char *const kinds[] = {"user", "mnt"};

        for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
                char path[64], ours[64] = "", theirs[64] = "";

                snprintf(path, sizeof(path), "/proc/self/ns/%s", kinds[i]);
                if (readlink(path, ours, sizeof(ours) - 1) < 0)
                        return true;
                snprintf(path, sizeof(path), "/proc/%d/ns/%s", (int)pid, kinds[i]);
                if (readlink(path, theirs, sizeof(theirs) - 1) < 0 || strcmp(ours, theirs) != 0)
                        return false;
        }
        return true;
}

/* The fourth field of stat: proc(5). */
static pid_t parent_of(pid_t pid)
{
        char path[64];
        int parent = 0;
        FILE *in;

        snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
        in = fopen(path, "re");
        if (!in)
                return 0;
        if (fscanf(in, "%*d (%*[^)]) %*c %d", &parent) != 1)
                parent = 0;
        fclose(in);
        return parent;
}

static void introduce(struct process *process)
{
        process->known = true;
        process->ours = process->pid != program && in_our_namespaces(process->pid);
        if (process->ours || process->pid == program)
                return;
        process->number = ++born;
        if (list)
                fprintf(file, "born %u %u\n", process->number,
                        find(parent_of(process->pid))->number);
}

static void tell_title(const struct process *process)
{
        char path[64], title[128];
        size_t n;
        FILE *in;

        snprintf(path, sizeof(path), "/proc/%d/cmdline", (int)process->pid);
        in = fopen(path, "re");
        if (!in)
                return;
        n = fread(title, 1, sizeof(title) - 1, in);
        title[n] = '\0';
        fclose(in);
        fprintf(file, "exec %u %s\n", process->number, title);
}

/* What stops it may be a signal of somebody else's, which it shall have. */
static void let_go(const struct process *process, int status)
{
        bool signal = process->known && !(status >> 16) && WSTOPSIG(status) != (SIGTRAP | 0x80);

        ptrace(PTRACE_DETACH, process->pid, NULL, (unsigned long)(signal ? WSTOPSIG(status) : 0));
}

/* Those that stand; the others when they next do. */
static void let_all_go(void)
{
        for (size_t i = 0; i < process_count; i++)
                if (processes[i].known)
                        ptrace(PTRACE_DETACH, processes[i].pid, NULL, NULL);
}

/* The stops at the beginning and the end of a call. True when the work is done and all have been let go. */
static bool at_call(struct process *process)
{
        struct user_regs_struct registers;
        unsigned number;

        if (ptrace(PTRACE_GETREGS, process->pid, NULL, &registers) < 0)
                return false;
        if (process->entered) {
                process->entered = false;
                if (!process->replaced)
                        return false;
                registers.rax = (unsigned long long)-wanted_errno;
                if (ptrace(PTRACE_SETREGS, process->pid, NULL, &registers) < 0)
                        fail("PTRACE_SETREGS");
                return true;
        }
        process->entered = true;
        number = registers.orig_rax < NUMBERS ? (unsigned)registers.orig_rax : NUMBERS - 1;
        process->calls[number]++;
        if (list) {
                fprintf(file, "call %u %u %u\n", process->number, number, process->calls[number]);
                return false;
        }
        if (process->number != wanted_process || number != wanted_number ||
            process->calls[number] != wanted_nth)
                return false;
        fprintf(file, "injected\n");
        fflush(file);
        registers.orig_rax = SYS_getpid;
        if (ptrace(PTRACE_SETREGS, process->pid, NULL, &registers) < 0)
                fail("PTRACE_SETREGS");
        process->replaced = true;
        return false;
}

static void go_on(const struct process *process, int signal)
{
        bool watched = !process->ours && (list || process->number == wanted_process);

        ptrace(watched ? PTRACE_SYSCALL : PTRACE_CONT, process->pid, NULL, (unsigned long)signal);
}

/* True when all have been let go. */
static bool at_stop(struct process *process, int status)
{
        int signal = WSTOPSIG(status), event = status >> 16;

        if (!process->known) {
                introduce(process);
                signal = 0;
                /* Neither it nor its children can be of interest. */
                if (process->ours) {
                        pid_t pid = process->pid;

                        forget(pid);
                        ptrace(PTRACE_DETACH, pid, NULL, NULL);
                        return false;
                }
        } else if (signal == (SIGTRAP | 0x80)) {
                signal = 0;
                if (at_call(process)) {
                        let_all_go();
                        return true;
                }
        } else if (event == PTRACE_EVENT_EXEC) {
                signal = 0;
                if (list)
                        tell_title(process);
        } else if (event) {
                signal = 0;
        }
        go_on(process, signal);
        return false;
}

static int follow(void)
{
        bool tracing = true;
        int status;

        for (;;) {
                pid_t pid = waitpid(-1, &status, __WALL);

                if (pid < 0 && errno == EINTR)
                        continue;
                if (pid < 0)
                        fail("waitpid");
                if (WIFSTOPPED(status)) {
                        struct process *process = find(pid);

                        /* It was on its way, or born, when the others were let go. */
                        if (!tracing)
                                let_go(process, status);
                        else if (at_stop(process, status))
                                tracing = false;
                        continue;
                }
                forget(pid);
                if (pid == program)
                        return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
        }
}

int main(int argc, char **argv)
{
        int first = 3;
        sigset_t none;

        if (argc < 4 || (strcmp(argv[2], "list") != 0 && argc < 7)) {
                fprintf(stderr,
                        "usage: inject FILE (list | PROCESS NUMBER NTH ERRNO) PROGRAM...\n");
                return 125;
        }
        list = strcmp(argv[2], "list") == 0;
        if (!list) {
                wanted_process = (unsigned)strtoul(argv[2], NULL, 10);
                wanted_number = (unsigned)strtoul(argv[3], NULL, 10);
                wanted_nth = (unsigned)strtoul(argv[4], NULL, 10);
                wanted_errno = (int)strtol(argv[5], NULL, 10);
                first = 6;
        }
        file = fopen(argv[1], "we");
        if (!file)
                fail(argv[1]);
        program = fork();
        if (program < 0)
                fail("fork");
        if (program == 0) {
                ptrace(PTRACE_TRACEME, 0, NULL, NULL);
                raise(SIGSTOP);
                execv(argv[first], argv + first);
                fail(argv[first]);
        }
        sigemptyset(&none);
        sigprocmask(SIG_SETMASK, &none, NULL);
        if (waitpid(program, NULL, 0) < 0 || ptrace(PTRACE_SETOPTIONS, program, NULL, OPTIONS) < 0)
                fail("PTRACE_SETOPTIONS");
        find(program)->known = true;
        go_on(find(program), 0);
        return follow();
}
