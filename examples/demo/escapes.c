#include "examples/demo/escapes.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <linux/io_uring.h>
#include <linux/keyctl.h>
#include <linux/sched.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/personality.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

#define PATIENCE_MS 1000 /* for each attempt; none of them has a reason to take long */

/* An attempt returns 0 when it got what it wanted, or the errno that refused it. It runs in a child that
 * is thrown away, so nothing needs to be undone. */
struct escape {
        const char *call; /* as a reader of strace would write it */
        const char *why;  /* what it would be good for */
        int (*attempt)(int connection);
};

static int refusal(long result)
{
        return result < 0 ? errno : 0;
}

static int user_namespace(int connection)
{
        (void)connection;
        return refusal(unshare(CLONE_NEWUSER));
}

static int hidden_clone(int connection)
{
        struct clone_args arguments = {.exit_signal = SIGCHLD};
        long r = syscall(SYS_clone3, &arguments, sizeof(arguments));

        (void)connection;
        if (r == 0)
                _exit(0);
        return refusal(r);
}

static int mount_tmpfs(int connection)
{
        (void)connection;
        return refusal(mount("none", "/tmp", "tmpfs", 0, NULL));
}

static int remount_root(int connection)
{
        (void)connection;
        return refusal(mount(NULL, "/", NULL, MS_REMOUNT | MS_BIND, NULL));
}

static int write_root(int connection)
{
        (void)connection;
        return refusal(open("/escape", O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
}

static int change_root(int connection)
{
        (void)connection;
        return refusal(chroot("/tmp"));
}

static int join_namespace(int connection)
{
        int fd = open("/proc/1/ns/net", O_RDONLY | O_CLOEXEC);

        (void)connection;
        return fd < 0 ? errno : refusal(setns(fd, CLONE_NEWNET));
}

static int make_disk(int connection)
{
        (void)connection;
        return refusal(mknod("/tmp/sda", S_IFBLK | 0600, makedev(8, 0)));
}

static int open_memory(int connection)
{
        (void)connection;
        return refusal(open("/dev/mem", O_RDONLY | O_CLOEXEC));
}

static int open_shadow(int connection)
{
        (void)connection;
        return refusal(open("/etc/shadow", O_RDONLY | O_CLOEXEC));
}

static int write_core_pattern(int connection)
{
        (void)connection;
        return refusal(open("/proc/sys/kernel/core_pattern", O_WRONLY | O_CLOEXEC));
}

static int trace_prototype(int connection)
{
        (void)connection;
        return refusal(ptrace(PTRACE_SEIZE, 1, NULL, NULL));
}

static int read_environment(int connection)
{
        (void)connection;
        return refusal(open("/proc/1/environ", O_RDONLY | O_CLOEXEC));
}

/* Signal 0 asks for permission and does no harm. */
static int signal_prototype(int connection)
{
        (void)connection;
        return refusal(kill(1, 0));
}

/* A process that is neither pid 1 nor this worker nor its child that is running here. */
static int signal_neighbour(int connection)
{
        DIR *proc = opendir("/proc");
        struct dirent *entry;
        int code = proc ? ESRCH : errno;

        (void)connection;
        while (proc && (entry = readdir(proc))) {
                pid_t pid = (pid_t)strtol(entry->d_name, NULL, 10);

                if (pid > 1 && pid != getpid() && pid != getppid()) {
                        code = refusal(kill(pid, 0));
                        break;
                }
        }
        if (proc)
                closedir(proc);
        return code;
}

static int become_root(int connection)
{
        (void)connection;
        return refusal(setuid(0));
}

static int load_bpf(int connection)
{
        union bpf_attr attributes = {
                .map_type = BPF_MAP_TYPE_ARRAY,
                .key_size = 4,
                .value_size = 4,
                .max_entries = 1,
        };

        (void)connection;
        return refusal(syscall(SYS_bpf, BPF_MAP_CREATE, &attributes, sizeof(attributes)));
}

static int make_ring(int connection)
{
        struct io_uring_params parameters = {.flags = 0};

        (void)connection;
        return refusal(syscall(SYS_io_uring_setup, 4, &parameters));
}

static int find_keyring(int connection)
{
        (void)connection;
        return refusal(syscall(SYS_keyctl, KEYCTL_GET_KEYRING_ID, KEY_SPEC_SESSION_KEYRING, 1));
}

static int connect_host(int connection)
{
        union {
                struct sockaddr any;
                struct sockaddr_in in;
        } address = {
                .in =
                        {
                                .sin_family = AF_INET,
                                .sin_port = htons(22),
                                .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
                        },
        };
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

        (void)connection;
        if (fd < 0)
                return errno;
        return refusal(connect(fd, &address.any, sizeof(address.in)));
}

static int list_interfaces(int connection)
{
        struct ifreq requests[16];
        struct ifconf list = {.ifc_len = sizeof(requests), .ifc_req = requests};

        return refusal(ioctl(connection, SIOCGIFCONF, &list));
}

static int raw_socket(int connection)
{
        (void)connection;
        return refusal(socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_ICMP));
}

static int type_into_terminal(int connection)
{
        (void)connection;
        return refusal(ioctl(STDIN_FILENO, TIOCSTI, "x"));
}

static int fixed_layout(int connection)
{
        (void)connection;
        return refusal(personality(ADDR_NO_RANDOMIZE));
}

static int raise_limit(int connection)
{
        struct rlimit limit;

        (void)connection;
        if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
                return errno;
        limit.rlim_max++;
        return refusal(setrlimit(RLIMIT_NOFILE, &limit));
}

static int call_of_tomorrow(int connection)
{
        (void)connection;
        return refusal(syscall(1000));
}

static const struct escape escapes[] = {
        {"unshare(CLONE_NEWUSER)",
         "A namespace of one's own gives all capabilities in it, and reaches kernel code that is "
         "otherwise out of reach.",
         user_namespace},
        {"clone3(...)",
         "Its flags lie in memory where a filter cannot see them. \"Not there\" makes the C "
         "library "
         "fall back to clone, which can be filtered.",
         hidden_clone},
        {"mount(\"tmpfs\", \"/tmp\")", "Who can mount can cover what others rely on.", mount_tmpfs},
        {"mount(\"/\", MS_REMOUNT)", "Making a read-only root writable again.", remount_root},
        {"open(\"/escape\", O_CREAT)", "The root is read-only: nothing can be planted in it.",
         write_root},
        {"chroot(\"/tmp\")", "The oldest way of leading a set-uid program astray.", change_root},
        {"setns(\"/proc/1/ns/net\")", "Into a namespace that somebody else holds.", join_namespace},
        {"mknod(\"/tmp/sda\", S_IFBLK)", "A device node is the disk itself.", make_disk},
        {"open(\"/dev/mem\")", "The machine's memory as a file.", open_memory},
        {"open(\"/etc/shadow\")", "The host's password hashes, which are no part of this root.",
         open_shadow},
        {"open(\"/proc/sys/kernel/core_pattern\", O_WRONLY)",
         "Names a program that the host runs as root at the next crash.", write_core_pattern},
        {"setuid(0)", "Root's number means nobody here, so nobody can become it.", become_root},
        {"ptrace(PTRACE_SEIZE, 1)",
         "The prototype has the same id as its workers. Without a lock they could rewrite it.",
         trace_prototype},
        {"open(\"/proc/1/environ\")", "The same, by way of /proc.", read_environment},
        {"kill(1, 0)", "May this worker signal its prototype?", signal_prototype},
        {"kill(NEIGHBOUR, 0)", "May it signal the worker beside it?", signal_neighbour},
        {"bpf(BPF_MAP_CREATE)", "A compiler inside the kernel, with a history of holes.", load_bpf},
        {"io_uring_setup(4)", "Makes system calls that no filter gets to see.", make_ring},
        {"keyctl(KEY_SPEC_SESSION_KEYRING)",
         "Keyrings have no namespace: this one could be the host's.", find_keyring},
        {"connect(127.0.0.1:22)", "Services on the host's loopback trust who gets there.",
         connect_host},
        {"ioctl(CONNECTION, SIOCGIFCONF)",
         "The connection that you came by belongs to the host's network, and could list it.",
         list_interfaces},
        {"socket(SOCK_RAW)", "Packets of any shape, from any address.", raw_socket},
        {"ioctl(0, TIOCSTI)", "Types a command into the terminal that clade was started from.",
         type_into_terminal},
        {"personality(ADDR_NO_RANDOMIZE)", "Makes the next exploit's addresses predictable.",
         fixed_layout},
        {"setrlimit(RLIMIT_NOFILE, more)", "A limit that one can raise is no limit.", raise_limit},
        {"syscall(1000)",
         "A call that is not invented yet. ENOSYS, not EPERM: programs know how to live without.",
         call_of_tomorrow},
};

/* Whether the child said something in time: its errno, or -1. */
static int listen_to(int fd)
{
        struct pollfd waiting = {.fd = fd, .events = POLLIN};
        int code = -1;

        if (poll(&waiting, 1, PATIENCE_MS) != 1 || read(fd, &code, sizeof(code)) != sizeof(code))
                return -1;
        return code;
}

static void attempt(struct json *json, const struct escape *escape, int connection)
{
        int ends[2], code = -1, status = 0;
        const char *error = NULL;
        pid_t child;

        if (pipe2(ends, O_CLOEXEC) < 0)
                return json_text(json, "trouble", strerror(errno));
        child = fork();
        if (child == 0) {
                code = escape->attempt(connection);
                _exit(write(ends[1], &code, sizeof(code)) == sizeof(code) ? 0 : 1);
        }
        close(ends[1]);
        if (child < 0)
                json_text(json, "trouble", strerror(errno));
        else
                code = listen_to(ends[0]);
        close(ends[0]);
        if (child > 0) {
                kill(child, SIGKILL); /* it has said what it had to say */
                waitpid(child, &status, 0);
        }
        if (code > 0)
                error = strerrorname_np(code);
        if (code >= 0) {
                json_text(json, "errno", code ? (error ? error : "E?") : NULL);
                json_text(json, "text", code ? strerror(code) : NULL);
        } else if (child > 0) {
                /* By the filter, with SIGSYS; or by us, when it took too long. */
                json_text(json, "signal",
                          WIFSIGNALED(status) ? sigabbrev_np(WTERMSIG(status)) : NULL);
        }
}

void escapes_report(struct json *json, int connection)
{
        json_open(json, "escapes", '[');
        for (size_t i = 0; i < sizeof(escapes) / sizeof(escapes[0]); i++) {
                json_open(json, NULL, '{');
                json_text(json, "call", escapes[i].call);
                json_text(json, "why", escapes[i].why);
                attempt(json, &escapes[i], connection);
                json_close(json, '}');
        }
        json_close(json, ']');
}
