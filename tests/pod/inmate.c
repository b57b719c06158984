/* An application for restricted pods: tries what the level `confine` must refuse, and prints one line for each
 * attempt, "NAME OUTCOME": 0 or the name of an errno. Arguments are "KIND=VALUE" for what only the test knows. */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

static void tell(const char *name, const char *value, long result)
{
        printf("%s%s%s %s\n", name, value ? ":" : "", value ? value : "",
               result < 0 ? strerrorname_np(errno) : "0");
        fflush(stdout);
}

static long open_close(const char *path, int flags)
{
        int fd = open(path, flags | O_CLOEXEC, 0600);

        if (fd >= 0)
                close(fd);
        return fd;
}

static long run(const char *path)
{
        int pair[2], code = 0;
        pid_t pid;

        if (pipe2(pair, O_CLOEXEC) < 0)
                return -1;
        pid = fork();
        if (pid == 0) {
                execl(path, path, NULL);
                code = errno;
                _exit(write(pair[1], &code, sizeof(code)) < 0);
        }
        close(pair[1]);
        if (pid < 0 || read(pair[0], &code, sizeof(code)) != sizeof(code))
                code = 0;
        close(pair[0]);
        errno = code;
        return code ? -1 : 0;
}

static long abstract(const char *name, int type, int connected)
{
        union {
                struct sockaddr any;
                struct sockaddr_un name;
        } address = {.name = {.sun_family = AF_UNIX}};
        socklen_t length = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + strlen(name));
        int fd = socket(AF_UNIX, type | SOCK_CLOEXEC, 0);
        long r;

        if (fd < 0)
                return -1;
        strncpy(address.name.sun_path + 1, name, sizeof(address.name.sun_path) - 2);
        r = connected ? connect(fd, &address.any, length)
                      : sendto(fd, "x", 1, 0, &address.any, length);
        close(fd);
        return r;
}

static long tcp(const char *port)
{
        union {
                struct sockaddr any;
                struct sockaddr_in inet;
        } address = {.inet = {.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(port))}};
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        long r;

        if (fd < 0)
                return -1;
        address.inet.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        r = connect(fd, &address.any, sizeof(address.inet));
        close(fd);
        return r;
}

static void with_value(const char *kind, const char *value)
{
        if (strcmp(kind, "read") == 0)
                tell(kind, value, open_close(value, O_RDONLY));
        else if (strcmp(kind, "write") == 0)
                tell(kind, value, open_close(value, O_WRONLY | O_CREAT));
        else if (strcmp(kind, "exec") == 0)
                tell(kind, value, run(value));
        else if (strcmp(kind, "tcp") == 0)
                tell(kind, NULL, tcp(value));
        else if (strcmp(kind, "stream") == 0)
                tell(kind, NULL, abstract(value, SOCK_STREAM, 1));
        else if (strcmp(kind, "datagram") == 0)
                tell(kind, NULL, abstract(value, SOCK_DGRAM, 0));
        else
                printf("%s unknown\n", kind);
}

static void tell_status(const char *key)
{
        FILE *file = fopen("/proc/self/status", "re");
        char line[256];

        while (file && fgets(line, sizeof(line), file))
                if (strncmp(line, key, strlen(key)) == 0 && line[strlen(key)] == ':')
                        printf("status:%s %s", key, line + strlen(key) + 2);
        if (file)
                fclose(file);
}

int main(int argc, char **argv)
{
        for (int i = 1; i < argc; i++) {
                char *value = strchr(argv[i], '=');

                if (!value)
                        continue;
                *value = '\0';
                with_value(argv[i], value + 1);
        }
        tell("list", "/", open_close("/", O_RDONLY | O_DIRECTORY));
        tell("read", "/proc/1/environ", open_close("/proc/1/environ", O_RDONLY));
        tell("write", "/proc/1/mem", open_close("/proc/1/mem", O_WRONLY));
        tell("kill", "1", kill(1, 0));
        tell("kill", "parent", kill(getppid(), 0));
        tell("ptrace", "1", ptrace(PTRACE_SEIZE, 1, 0, 0));
        tell("socket", "udp", socket(AF_INET, SOCK_DGRAM, 0));
        tell("socket", "netlink", socket(AF_NETLINK, SOCK_RAW, 0));
        tell("unshare", "user", unshare(CLONE_NEWUSER));
        tell("mount", NULL, mount("none", "/tmp", "tmpfs", 0, NULL));
        tell("clone3", NULL, syscall(SYS_clone3, NULL, 0));
        tell("setuid", "0", setuid(0));
        tell_status("NoNewPrivs");
        tell_status("Seccomp");
        tell_status("CapEff");
        puts("done -");
        fflush(stdout);
        for (;;)
                pause();
}
