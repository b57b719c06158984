/* Tries, from its constructor on, what a module may not do in discovery, and is a good module only if
 * all of it was refused. Its version tells where it ran: "PID.UID". */
#include <clade/module.h>

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

static char breaches[512];

static void breach(const char *what)
{
        size_t used = strlen(breaches);

        snprintf(breaches + used, sizeof(breaches) - used, "%s%s", used ? ", " : "", what);
}

#define REFUSED(call)                                                                              \
        do {                                                                                       \
                if ((call) >= 0)                                                                   \
                        breach(#call);                                                             \
        } while (0)

static void look_at_status(void)
{
        char line[256];
        FILE *status = fopen("/proc/self/status", "re");

        if (!status) {
                breach("no /proc/self/status");
                return;
        }
        while (fgets(line, sizeof(line), status)) {
                line[strcspn(line, "\n")] = '\0';
                if (strncmp(line, "Cap", 3) == 0 && !strstr(line, "\t0000000000000000") &&
                    strncmp(line, "CapBnd", 6) != 0)
                        breach(line);
                if (strncmp(line, "NoNewPrivs:", 11) == 0 && !strchr(line, '1'))
                        breach(line);
                if (strncmp(line, "Seccomp:", 8) == 0 && !strchr(line, '2'))
                        breach(line);
        }
        fclose(status);
}

static void look_at_descriptors(void)
{
        for (int fd = 5; fd < 256; fd++)
                if (fcntl(fd, F_GETFD) >= 0)
                        breach("a descriptor above 4");
}

static __attribute__((constructor)) void try_everything(void)
{
        struct rlimit more = {1000, 1000};
        char *arguments[] = {NULL};

        REFUSED(socket(AF_INET, SOCK_STREAM, 0));
        REFUSED(socket(AF_UNIX, SOCK_STREAM, 0));
        REFUSED(sendto(3, "x", 1, 0, NULL, 0));
        REFUSED(open("/tmp/clade-prisoner", O_WRONLY | O_CREAT, 0600));
        REFUSED(open("/dev/null", O_RDWR));
        REFUSED(syscall(SYS_openat2, AT_FDCWD, "/dev/null", NULL, 0));
        REFUSED(mkdir("/tmp/clade-prisoner", 0700));
        REFUSED(chmod("/proc/self/fd/4", 0777));
        REFUSED(fork());
        REFUSED(syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0));
        REFUSED(syscall(SYS_clone3, NULL, 0));
        REFUSED(execve("/bin/true", arguments, environ));
        REFUSED(unshare(CLONE_NEWUSER));
        REFUSED(mount("none", "/tmp", "tmpfs", 0, NULL));
        REFUSED(kill(-1, 0));
        REFUSED(kill(getppid() ? getppid() : 2, 0));
        REFUSED(ptrace(PTRACE_TRACEME, 0, NULL, NULL));
        REFUSED(prctl(PR_SET_PDEATHSIG, 0));
        REFUSED(setrlimit(RLIMIT_NOFILE, &more));
        REFUSED(syscall(SYS_bpf, 0, NULL, 0));
        REFUSED(syscall(450 + 100));
        if (environ[0])
                breach("an environment");
        look_at_status();
        look_at_descriptors();
}

static int start(struct clade_worker *worker)
{
        (void)worker;
        return 0;
}

static int describe(struct clade_description *description)
{
        char version[32];

        if (breaches[0])
                return description->host->fail(description->failure, EINVAL, NULL,
                                               "not refused: %s", breaches);
        snprintf(version, sizeof(version), "%d.%u", getpid(), geteuid());
        return description->version(description, version);
}

const struct clade_module clade_module = {
        CLADE_MODULE_HEADER,  .type = "prisoner", .version = "1",
        .describe = describe, .start = start,
};
