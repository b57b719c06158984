/* Sets a stage for clade, and becomes it: stage OPTION... -- COMMAND. What the options take away is what lesser hosts do
 * not have, so that each level of the ladder can be met on one machine.
 *
 *   --session-key NAME   a session keyring of its own with a key of that name
 *   --masked-proc        a mount over a part of /proc, as containers have it
 *   --no-namespaces      no new namespace can be made: EPERM, as in a pod
 *   --no-landlock        the calls are not there: ENOSYS
 *   --user UID           who it is from then on, without groups
 */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/keyctl.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#define NAMESPACES                                                                                 \
        (CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER |             \
         CLONE_NEWPID | CLONE_NEWNET)
#define LANDLOCK_FIRST 444
#define LANDLOCK_LAST  446

/* Our own architecture is all there is: nobody tries another one before clade's own filter is on. */
#define LOAD(member)       BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, member))
#define ANSWER(code)       BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (code))
#define ALLOW              BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)
#define IS(value, yes, no) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (value), (yes), (no))

static _Noreturn void fail(const char *what)
{
        fprintf(stderr, "stage: %s: %s\n", what, strerror(errno));
        exit(125);
}

static void install(const struct sock_filter *program, size_t length)
{
        struct sock_fprog filter = {(unsigned short)length, (struct sock_filter *)program};

        if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
            prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) < 0)
                fail("seccomp");
}

static void refuse_namespaces(void)
{
        static const struct sock_filter program[] = {
                LOAD(nr),
                IS(SYS_clone3, 9, 0),  /* to ENOSYS */
                IS(SYS_unshare, 7, 0), /* to EPERM */
                IS(SYS_setns, 6, 0),
                IS(SYS_mount, 5, 0),
                IS(SYS_pivot_root, 4, 0),
                IS(SYS_clone, 0, 2),
                LOAD(args[0]),
                BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, NAMESPACES, 1, 0),
                ALLOW,
                ANSWER(EPERM),
                ANSWER(ENOSYS),
        };

        install(program, sizeof(program) / sizeof(program[0]));
}

static void refuse_landlock(void)
{
        static const struct sock_filter program[] = {
                LOAD(nr),
                BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, LANDLOCK_FIRST, 0, 1),
                BPF_JUMP(BPF_JMP | BPF_JGT | BPF_K, LANDLOCK_LAST, 0, 1),
                ALLOW,
                ANSWER(ENOSYS),
        };

        install(program, sizeof(program) / sizeof(program[0]));
}

static void take_session(const char *key)
{
        if (syscall(SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, "escape") < 0 ||
            syscall(SYS_add_key, "user", key, "secret", 6UL, KEY_SPEC_SESSION_KEYRING) < 0)
                fail("a session keyring");
}

static void write_to(const char *path, const char *text)
{
        int fd = open(path, O_WRONLY | O_CLOEXEC);

        if (fd < 0 || write(fd, text, strlen(text)) < 0)
                fail(path);
        close(fd);
}

/* Somebody else needs a user namespace to mount anything; the exec takes the capabilities away again. */
static void enter_own_namespace(void)
{
        unsigned uid = geteuid(), gid = getegid();
        char text[64];

        if (unshare(CLONE_NEWUSER) < 0)
                fail("a user namespace");
        snprintf(text, sizeof(text), "%u %u 1", uid, uid);
        write_to("/proc/self/uid_map", text);
        write_to("/proc/self/setgroups", "deny");
        snprintf(text, sizeof(text), "%u %u 1", gid, gid);
        write_to("/proc/self/gid_map", text);
}

static void mask_proc(void)
{
        const char *part = access("/proc/acpi", F_OK) == 0 ? "/proc/acpi" : "/proc/fs";

        if (geteuid() != 0)
                enter_own_namespace();
        if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
            mount("tmpfs", part, "tmpfs", MS_RDONLY, "size=0") < 0)
                fail("a mount over a part of /proc");
}

static void become(const char *user)
{
        unsigned id = (unsigned)strtoul(user, NULL, 10);

        if (setgroups(0, NULL) < 0 || setresgid(id, id, id) < 0 || setresuid(id, id, id) < 0)
                fail("becoming somebody else");
}

int main(int argc, char **argv)
{
        int i;

        for (i = 1; i < argc && strcmp(argv[i], "--") != 0; i++) {
                if (strcmp(argv[i], "--session-key") == 0 && i + 1 < argc)
                        take_session(argv[++i]);
                else if (strcmp(argv[i], "--masked-proc") == 0)
                        mask_proc();
                else if (strcmp(argv[i], "--no-namespaces") == 0)
                        refuse_namespaces();
                else if (strcmp(argv[i], "--no-landlock") == 0)
                        refuse_landlock();
                else if (strcmp(argv[i], "--user") == 0 && i + 1 < argc)
                        become(argv[++i]);
                else
                        break;
        }
        if (i + 1 >= argc || strcmp(argv[i], "--") != 0) {
                fprintf(stderr, "usage: stage OPTION... -- COMMAND\n");
                return 125;
        }
        execvp(argv[i + 1], argv + i + 1);
        fail(argv[i + 1]);
}
