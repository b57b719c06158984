/* An application that tries what its filters are about, and says what it was answered. */
#include <fcntl.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ipc.h>
#include <sys/shm.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

#include "serve.h"

static void tell(struct answer *answer, const char *what, long result)
{
        answer_print(answer, "%s: %s\n", what, result < 0 ? strerrorname_np(errno) : "done");
}

static void *in_thread(void *argument)
{
        *(int *)argument = 1;
        return NULL;
}

static void try_thread(struct answer *answer)
{
        pthread_t thread;
        int ran = 0;
        int r = pthread_create(&thread, NULL, in_thread, &ran);

        if (r == 0)
                pthread_join(thread, NULL);
        errno = r;
        tell(answer, "thread", r || !ran ? -1 : 0);
}

static void try_fork(struct answer *answer)
{
        pid_t pid = fork();

        if (pid == 0)
                _exit(0);
        tell(answer, "fork", pid);
        if (pid > 0)
                waitpid(pid, NULL, 0);
}

static void try_calls(struct answer *answer)
{
        static char *const arguments[] = {(char *)"/no/such/program", NULL};
        struct utsname name;
        int pair[2];

        try_thread(answer);
        try_fork(answer);
        tell(answer, "socket", socket(AF_UNIX, SOCK_STREAM, 0));
        tell(answer, "pair", socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
        tell(answer, "exec", execve(arguments[0], arguments, arguments + 1));
        tell(answer, "memfd", memfd_create("x", 0));
        tell(answer, "file", open("/proc/self/status", 0));
        tell(answer, "uname", uname(&name));
        tell(answer, "prototype", kill(1, 0));
        tell(answer, "unknown", syscall(1000));
        tell(answer, "ptrace", syscall(SYS_ptrace, 0, 0, 0, 0));
}

/* Ways for bytes that were written to be executed. */
static void try_memory(struct answer *answer)
{
        void *both = mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC,
                          MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        void *first = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        int id, segment = -1;

        tell(answer, "both", both == MAP_FAILED ? -1 : 0);
        both = mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1,
                    0);
        tell(answer, "both again", both == MAP_FAILED ? -1 : 0);
        tell(answer, "executable afterwards", mprotect(first, 4096, PROT_READ | PROT_EXEC));
        tell(answer, "read-only afterwards", mprotect(first, 4096, PROT_READ));
        id = shmget(IPC_PRIVATE, 4096, 0700);
        if (id >= 0)
                segment = (intptr_t)shmat(id, NULL, SHM_EXEC) == -1 ? -1 : 0;
        tell(answer, "segment", segment);
        if (id >= 0)
                shmctl(id, IPC_RMID, NULL);
}

static void route(const struct request *request, struct answer *answer)
{
        if (strcmp(request->target, "/memory") == 0)
                try_memory(answer);
        else
                try_calls(answer);
}

int __attribute__((visibility("default"))) clade_main(const struct clade_native *native);

int clade_main(const struct clade_native *native)
{
        return serve(native, route);
}
