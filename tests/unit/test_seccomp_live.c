/* The finished programs in a real kernel: a child installs what a worker has and tries things. */
#include <criterion/criterion.h>

#include <asm/byteorder.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/seccomp.h>
#include <netinet/in.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/own.h"
#include "isolation/seccomp/compiler.h"
#include "tests/unit/profile_fixture.h"

struct attempt {
        const char *what;
        int expected; /* errno; 0: it works */
        long call;
        unsigned long args[6];
};

static char scratch[64];

/* Each of these would answer differently without the filter (as root, in this process), or shows
 * that ordinary work goes on. */
static const struct attempt attempts[] = {
        {"unshare", EPERM, SYS_unshare, {CLONE_NEWUTS}},
        {"clone into a user namespace", EPERM, SYS_clone, {CLONE_NEWUSER | SIGCHLD}},
        {"clone3", ENOSYS, SYS_clone3, {0, 0}},
        {"open_tree", EPERM, SYS_open_tree, {(unsigned long)AT_FDCWD, (unsigned long)"/", 1}},
        {"mount", EPERM, SYS_mount, {0, (unsigned long)"/", 0, 0, 0}},
        {"an unknown number", ENOSYS, 1000, {0}},
        {"the largest number", ENOSYS, 0x7fffffff, {0}},
        {"bpf", EPERM, SYS_bpf, {0}},
        {"keyctl", EPERM, SYS_keyctl, {0, (unsigned long)-3, 0}},
        {"vsock", EAFNOSUPPORT, SYS_socket, {40, SOCK_STREAM, 0}},
        {"vsock, high bits", EAFNOSUPPORT, SYS_socket, {0x100000028, SOCK_STREAM, 0}},
        {"sctp", EPERM, SYS_socket, {AF_INET, SOCK_STREAM, IPPROTO_SCTP}},
        {"connect", EPERM, SYS_connect, {(unsigned long)-1, 0, 0}},
        {"typing into the terminal", EPERM, SYS_ioctl, {0, 0x100000000 | TIOCSTI, 0}},
        {"interfaces", EPERM, SYS_ioctl, {0, 0x8912, 0}},
        {"fast open", EPERM, SYS_sendto, {(unsigned long)-1, 0, 0, MSG_FASTOPEN}},
        {"weak layout", EPERM, SYS_personality, {ADDR_NO_RANDOMIZE}},
        {"the personality", 0, SYS_personality, {0xffffffff}},
        {"untie", EPERM, SYS_prctl, {PR_SET_PDEATHSIG, 0}},
        {"tie", 0, SYS_prctl, {PR_SET_PDEATHSIG, SIGKILL}},
        {"signal 0 to pid 1", EPERM, SYS_kill, {1, 0}},
        {"signal 0 to oneself", 0, SYS_kill, {0, 0}},
        {"pidfd of pid 1", EPERM, SYS_pidfd_open, {1, 0}},
        {"limits of pid 1", EPERM, SYS_prlimit64, {1, RLIMIT_CORE, (unsigned long)scratch, 0}},
        {"a device", EPERM, SYS_mknodat, {(unsigned long)AT_FDCWD, (unsigned long)"", S_IFCHR, 0}},
        {"a pipe, as far as the path",
         ENOENT,
         SYS_mknodat,
         {(unsigned long)AT_FDCWD, (unsigned long)"", S_IFIFO, 0}},
        {"a socket", 0, SYS_socket, {AF_INET, SOCK_STREAM, 0}},
        {"routes", 0, SYS_socket, {AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, 0}},
        {"a memfd", 0, SYS_memfd_create, {(unsigned long)"x", 0}},
};

static int install(const struct plan_filter *filter)
{
        struct sock_fprog program = {
                .len = (unsigned short)filter->length,
                .filter = filter->program,
        };

        return (int)syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program);
}

static void *thread(void *argument)
{
        return argument;
}

/* In the child. Returns the number of attempts that went wrong; says which on stderr. */
static int attempt_all(void)
{
        pthread_t other;
        int wrong = 0, status;
        pid_t pid;

        for (size_t i = 0; i < ARRAY_SIZE(attempts); i++) {
                const struct attempt *at = &attempts[i];
                long r;

                errno = 0;
                r = syscall(at->call, at->args[0], at->args[1], at->args[2], at->args[3],
                            at->args[4], at->args[5]);
                if ((r >= 0 ? 0 : errno) == at->expected)
                        continue;
                fprintf(stderr, "%s: %s, not %s\n", at->what, r >= 0 ? "works" : strerror(errno),
                        strerror(at->expected));
                wrong++;
        }
        /* libc's own way to a thread and a process: clone3 first, then what is allowed. */
        if (pthread_create(&other, NULL, thread, NULL) != 0 || pthread_join(other, NULL) != 0)
                wrong++;
        pid = fork();
        if (pid == 0)
                _exit(7);
        if (pid < 0 || waitpid(pid, &status, 0) != pid || WEXITSTATUS(status) != 7)
                wrong++;
        return wrong;
}

/* Forks a child under all three filters of a request, has it run `body`, and returns its wait status. */
static int under(struct seccomp_request request, int (*body)(void))
{
        struct seccomp_profile profile = profile_own("default");
        struct plan_filter filters[3];
        struct error error = ERROR_INIT;
        int status;
        pid_t pid;

        request.profile = &profile;
        cr_assert_eq(seccomp_compile_profile(&profile, 0, &filters[0], &error), 0, "%s",
                     error.text);
        cr_assert_eq(seccomp_compile_guards(&request, &filters[1], &error), 0, "%s", error.text);
        cr_assert_eq(seccomp_compile_difference(&request, &filters[2], &error), 0, "%s",
                     error.text);
        pid = fork();
        if (pid == 0) {
                if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
                        _exit(100);
                for (size_t i = 0; i < ARRAY_SIZE(filters); i++)
                        if (install(&filters[i]) < 0)
                                _exit(101);
                _exit(body());
        }
        cr_assert_gt(pid, 0);
        cr_assert_eq(waitpid(pid, &status, 0), pid);
        for (size_t i = 0; i < ARRAY_SIZE(filters); i++)
                seccomp_filter_finish(&filters[i]);
        seccomp_profile_finish(&profile);
        return status;
}

static int under_filters(int (*body)(void))
{
        return under((struct seccomp_request){.own_network = true}, body);
}

Test(seccomp_live, answers_of_the_kernel)
{
        int status = under_filters(attempt_all);

        cr_assert(WIFEXITED(status), "ended by signal %d", WTERMSIG(status));
        cr_expect_eq(WEXITSTATUS(status), 0, "%d went wrong", WEXITSTATUS(status));
}

/* What stands in for PR_SET_MDWE on kernels before 6.3: code is still loaded from files. */
static int written_and_executed(void)
{
        void *both = mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC,
                          MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        int wrong = both != MAP_FAILED || errno != EACCES;
        void *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        pthread_t other;

        wrong += page == MAP_FAILED;
        wrong += mprotect(page, 4096, PROT_READ | PROT_EXEC) == 0 || errno != EACCES;
        wrong += mprotect(page, 4096, PROT_READ) != 0;
        wrong += dlopen("libresolv.so.2", RTLD_NOW) == NULL;
        if (pthread_create(&other, NULL, thread, NULL) != 0 || pthread_join(other, NULL) != 0)
                wrong++;
        return wrong;
}

Test(seccomp_live, a_filter_keeps_memory_from_being_executed)
{
        int status =
                under((struct seccomp_request){.deny_write_execute = true}, written_and_executed);

        cr_assert(WIFEXITED(status), "ended by signal %d", WTERMSIG(status));
        cr_expect_eq(WEXITSTATUS(status), 0, "%d went wrong", WEXITSTATUS(status));
}

static int serve_only(void)
{
        static char *const arguments[] = {(char *)"/bin/true", NULL};
        pthread_t other;
        int wrong = fork() >= 0 || errno != EPERM;

        wrong += socket(AF_UNIX, SOCK_STREAM, 0) >= 0 || errno != EPERM;
        wrong += execve("/bin/true", arguments, arguments + 1) == 0 || errno != EPERM;
        wrong += syscall(1000) >= 0 || errno != ENOSYS;
        if (pthread_create(&other, NULL, thread, NULL) != 0 || pthread_join(other, NULL) != 0)
                wrong++;
        return wrong;
}

Test(seccomp_live, strict)
{
        struct seccomp_profile strict = profile_own("strict");
        int status = under((struct seccomp_request){.worker = &strict}, serve_only);

        cr_assert(WIFEXITED(status), "ended by signal %d", WTERMSIG(status));
        cr_expect_eq(WEXITSTATUS(status), 0, "%d went wrong", WEXITSTATUS(status));
        seccomp_profile_finish(&strict);
}

union address {
        struct sockaddr generic;
        struct sockaddr_in inet;
};

/* Of the loopback interface; the kernel chooses a port. */
static const union address loopback = {
        .inet = {.sin_family = AF_INET, .sin_addr.s_addr = __constant_htonl(INADDR_LOOPBACK)},
};

static int bind_it(int fd)
{
        return bind(fd, &loopback.generic, sizeof(loopback)) < 0 ? errno : 0;
}

/* A connection that was accepted here and reset by its client. */
static int reset_connection(void)
{
        const struct linger at_once = {.l_onoff = 1};
        cleanup_fd int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        int client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        union address address;
        socklen_t length = sizeof(address);
        int accepted;
        char byte;

        cr_assert_eq(bind_it(listener), 0);
        cr_assert_eq(listen(listener, 1), 0);
        cr_assert_eq(getsockname(listener, &address.generic, &length), 0);
        cr_assert_eq(connect(client, &address.generic, length), 0);
        accepted = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
        cr_assert_geq(accepted, 0);
        cr_assert_eq(setsockopt(client, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once)), 0);
        close(client);
        cr_assert_eq(read(accepted, &byte, 1), -1);
        cr_assert_eq(errno, ECONNRESET);
        return accepted;
}

static int reset_fd;

static int bind_the_reset_one(void)
{
        return bind_it(reset_fd);
}

/* It is of the network namespace that it was accepted in, whatever the worker's own is. */
Test(seccomp_live, a_reset_connection_takes_no_port)
{
        cleanup_fd int unguarded = reset_connection();
        cleanup_fd int guarded = reset_connection();
        int status;

        cr_assert_eq(bind_it(unguarded), 0, "without the filter this is possible");
        reset_fd = guarded;
        status = under_filters(bind_the_reset_one);
        cr_assert(WIFEXITED(status));
        cr_expect_eq(WEXITSTATUS(status), EPERM);
}

#ifdef __x86_64__
static int getpid_by_int_0x80(void)
{
        long r = 20;

        __asm__ volatile("int $0x80" : "+a"(r) : : "memory", "r8", "r9", "r10", "r11");
        return 102; /* it came back */
}

/* A kernel without IA32 emulation has no such calls at all: a general protection fault. */
Test(seccomp_live, a_32_bit_call_ends_the_process)
{
        int status = under_filters(getpid_by_int_0x80);

        cr_assert(WIFSIGNALED(status), "exited with %d", WEXITSTATUS(status));
        cr_expect(WTERMSIG(status) == SIGSYS || WTERMSIG(status) == SIGSEGV);
}
#endif
