#include "attempts.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/kcmp.h>
#include <linux/sched.h>
#include <net/if.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

/* A call's result: negative is refused, as by the kernel or by a library function. */
static void tell(struct answer *answer, const char *what, long result)
{
        answer_print(answer, "%s: %s\n", what, result < 0 ? strerrorname_np(errno) : "done");
}

void attempt_clone3(struct answer *answer)
{
        struct clone_args plain = {.exit_signal = SIGCHLD};
        struct clone_args namespace = {.flags = 0x10000000 /* CLONE_NEWUSER */};
        long pid = syscall(SYS_clone3, &plain, sizeof(plain));

        if (pid == 0)
                _exit(0);
        tell(answer, "plain", pid);
        pid = syscall(SYS_clone3, &namespace, sizeof(namespace));
        if (pid == 0)
                _exit(0);
        tell(answer, "user namespace", pid);
        tell(answer, "nothing", syscall(SYS_clone3, NULL, 0));
}

/* A field of a line of mountinfo, counted from 0, into `field`. */
static void mount_field(const char *line, unsigned number, char *field, size_t room)
{
        while (number-- > 0) {
                line += strcspn(line, " \n");
                line += *line == ' ';
        }
        snprintf(field, room, "%.*s", (int)strcspn(line, " \n"), line);
}

void attempt_files(struct answer *answer)
{
        struct answer mounts = {.text = NULL};
        const char *line;

        if (answer_file(&mounts, "/proc/self/mountinfo") < 0 || !mounts.text) {
                answer_print(answer, "no mountinfo\n");
                return;
        }
        for (line = mounts.text; *line;) {
                char target[512], options[512], path[600];
                struct stat st;

                mount_field(line, 4, target, sizeof(target));
                mount_field(line, 5, options, sizeof(options));
                line += strcspn(line, "\n");
                line += *line == '\n';
                if (strncmp(options, "ro", 2) != 0 || lstat(target, &st) < 0)
                        continue;
                if (S_ISDIR(st.st_mode))
                        snprintf(path, sizeof(path), "%s/intruder", target);
                else
                        snprintf(path, sizeof(path), "%s", target);
                tell(answer, target, open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
        }
}

void attempt_root(struct answer *answer)
{
        char up[64 * 3 + 2] = "/", path[512];
        struct stat root, other;
        ssize_t n;

        for (int i = 0; i < 64; i++)
                strcat(up, "../");
        stat("/", &root);
        answer_print(answer, "up: %s\n",
                     stat(up, &other) == 0 && other.st_ino == root.st_ino &&
                                     other.st_dev == root.st_dev
                             ? "same"
                             : "other");
        if (stat("/proc/1/root/.", &other) < 0)
                answer_print(answer, "init: %s\n", strerrorname_np(errno));
        else
                answer_print(answer, "init: %s\n",
                             other.st_ino == root.st_ino && other.st_dev == root.st_dev ? "same"
                                                                                        : "other");
        n = syscall(SYS_getcwd, path, sizeof(path));
        answer_print(answer, "cwd: %s\n", n > 0 ? path : "none");
}

static void peek_memory(struct answer *answer, pid_t pid)
{
        char path[64], byte[1];
        struct iovec here = {byte, 1};
        struct iovec there = {(void *)&attempt_peek, 1}; /* a clone has it at the same place */

        tell(answer, "process_vm_readv", process_vm_readv(pid, &here, 1, &there, 1, 0));
        tell(answer, "process_vm_writev", process_vm_writev(pid, &here, 1, &there, 1, 0));
        snprintf(path, sizeof(path), "/proc/%d/mem", (int)pid);
        tell(answer, "mem", open(path, O_RDWR | O_CLOEXEC));
        snprintf(path, sizeof(path), "/proc/%d/environ", (int)pid);
        tell(answer, "environ", open(path, O_RDONLY | O_CLOEXEC));
        snprintf(path, sizeof(path), "/proc/%d/maps", (int)pid);
        tell(answer, "maps", open(path, O_RDONLY | O_CLOEXEC));
}

void attempt_peek(struct answer *answer, pid_t pid)
{
        long pidfd = syscall(SYS_pidfd_open, pid, 0);
        char path[64], target[256];

        tell(answer, "attach", ptrace(PTRACE_ATTACH, pid, NULL, NULL));
        tell(answer, "seize", ptrace(PTRACE_SEIZE, pid, NULL, NULL));
        peek_memory(answer, pid);
        tell(answer, "kcmp", syscall(SYS_kcmp, getpid(), pid, KCMP_FILE, 0, 0));
        for (int fd = 0; fd < 10; fd++) {
                snprintf(path, sizeof(path), "/proc/%d/fd/%d", (int)pid, fd);
                tell(answer, path, readlink(path, target, sizeof(target)));
        }
        if (pidfd < 0)
                return;
        for (int fd = 0; fd < 10; fd++) {
                snprintf(path, sizeof(path), "pidfd_getfd %d", fd);
                tell(answer, path, syscall(SYS_pidfd_getfd, pidfd, fd, 0));
        }
        close((int)pidfd);
}

/* SIGCONT harms nobody who gets it. */
void attempt_signals(struct answer *answer, pid_t pid)
{
        siginfo_t info = {.si_code = SI_QUEUE};
        long pidfd = syscall(SYS_pidfd_open, pid, 0);

        tell(answer, "kill", kill(pid, SIGCONT));
        tell(answer, "kill 0", kill(pid, 0));
        tell(answer, "tkill", syscall(SYS_tkill, pid, SIGCONT));
        tell(answer, "tgkill", syscall(SYS_tgkill, pid, pid, SIGCONT));
        info.si_signo = SIGCONT;
        tell(answer, "rt_sigqueueinfo", syscall(SYS_rt_sigqueueinfo, pid, SIGCONT, &info));
        tell(answer, "rt_tgsigqueueinfo", syscall(SYS_rt_tgsigqueueinfo, pid, pid, SIGCONT, &info));
        tell(answer, "everybody", kill(-1, SIGCONT));
        if (pidfd < 0)
                return;
        tell(answer, "pidfd_send_signal", syscall(SYS_pidfd_send_signal, pidfd, SIGCONT, NULL, 0));
        close((int)pidfd);
}

static void try_socket(struct answer *answer, const char *name, int fd)
{
        struct sockaddr none = {.sa_family = AF_UNSPEC};
        struct sockaddr_in loopback = {
                .sin_family = AF_INET,
                .sin_port = htons(22),
                .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
        };
        struct ifconf list = {.ifc_len = 0};
        struct ifreq interface = {.ifr_name = "lo"};
        const unsigned long requests[] = {SIOCGIFFLAGS, SIOCGIFADDR,  SIOCGIFHWADDR,
                                          SIOCGIFINDEX, SIOCSIFFLAGS, SIOCSIFADDR};
        struct iovec word = {(char[]){'x'}, 1};
        struct msghdr message = {
                .msg_name = &loopback,
                .msg_namelen = sizeof(loopback),
                .msg_iov = &word,
                .msg_iovlen = 1,
        };
        struct mmsghdr messages = {.msg_hdr = message};
        char what[64];

        snprintf(what, sizeof(what), "%s disconnect", name);
        tell(answer, what, connect(fd, &none, sizeof(none)));
        snprintf(what, sizeof(what), "%s connect", name);
        tell(answer, what, connect(fd, (void *)&loopback, sizeof(loopback)));
        snprintf(what, sizeof(what), "%s sendto fastopen", name);
        tell(answer, what,
             sendto(fd, "x", 1, MSG_FASTOPEN | MSG_NOSIGNAL, (void *)&loopback, sizeof(loopback)));
        snprintf(what, sizeof(what), "%s sendmsg fastopen", name);
        tell(answer, what, sendmsg(fd, &message, MSG_FASTOPEN | MSG_NOSIGNAL));
        snprintf(what, sizeof(what), "%s sendmmsg fastopen", name);
        tell(answer, what, sendmmsg(fd, &messages, 1, MSG_FASTOPEN | MSG_NOSIGNAL));
        snprintf(what, sizeof(what), "%s SIOCGIFCONF", name);
        tell(answer, what, ioctl(fd, SIOCGIFCONF, &list));
        for (size_t i = 0; i < sizeof(requests) / sizeof(requests[0]); i++) {
                snprintf(what, sizeof(what), "%s ioctl 0x%lx", name, requests[i]);
                tell(answer, what, ioctl(fd, requests[i], &interface));
        }
}

/* The inherited listener and a connection that came over it belong to the host's network namespace. */
void attempt_sockets(struct answer *answer, const struct request *request)
{
        try_socket(answer, "listener", request->listener);
        try_socket(answer, "connection", request->connection);
}
