/* Rows 14 to 18, 20, 21, 24 and 50: files beyond those that are shown, and ways to them. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "probe.h"

#define DESCRIPTORS_LAST 256

static void visit_create(const struct mount_line *line, void *data)
{
        char path[600];
        struct stat st;

        if (strncmp(line->options, "ro", 2) != 0 || lstat(line->target, &st) < 0)
                return;
        if (!S_ISDIR(st.st_mode) && !S_ISREG(st.st_mode))
                return; /* /dev/null as a mask: what is written to it is not written */
        snprintf(path, sizeof(path), "%s%s", line->target, S_ISDIR(st.st_mode) ? "/intruder" : "");
        many_call(data, path, open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
}

static void try_create_everywhere(const struct probe *probe, const struct attempt *attempt,
                                  struct outcome *outcome)
{
        struct many many = {.done = false};

        (void)probe, (void)attempt;
        if (mounts_visit(visit_create, &many) < 0)
                outcome_call(outcome, -1);
        else
                many_tell(&many, outcome);
}

/* A path, or with `text` one in what the driver shows us, read-only, wherever that is. */
static bool find_path(const struct probe *probe, const struct attempt *attempt, char *path,
                      size_t room, struct outcome *outcome)
{
        char share[256];

        if (!attempt->text) {
                snprintf(path, room, "%s", attempt->path);
                return true;
        }
        if (!parameter(probe, "share", share, sizeof(share))) {
                outcome_set(outcome, "untold");
                return false;
        }
        snprintf(path, room, "%s/%s", share, attempt->text);
        return true;
}

static void try_create(const struct probe *probe, const struct attempt *attempt,
                       struct outcome *outcome)
{
        char path[512];
        int fd;

        if (!find_path(probe, attempt, path, sizeof(path), outcome))
                return;
        fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
        outcome_call(outcome, fd);
        if (fd >= 0)
                unlink(path);
}

static bool same(const struct stat *one, const struct stat *other)
{
        return one->st_dev == other->st_dev && one->st_ino == other->st_ino;
}

/* Whether `path` is the root. */
static void compare_root(struct outcome *outcome, const char *path)
{
        struct stat root, other;

        if (stat("/", &root) < 0 || stat(path, &other) < 0)
                outcome_call(outcome, -1);
        else
                outcome_set(outcome, same(&root, &other) ? "same" : "other");
}

static void try_up(const struct probe *probe, const struct attempt *attempt,
                   struct outcome *outcome)
{
        char path[64 * 3 + 64];

        (void)probe;
        snprintf(path, sizeof(path), "%s/", attempt->path);
        for (int i = 0; i < 64; i++)
                strcat(path, "../");
        compare_root(outcome, path);
}

static void try_root(const struct probe *probe, const struct attempt *attempt,
                     struct outcome *outcome)
{
        (void)probe;
        compare_root(outcome, attempt->path);
}

/* The kernel's own word: "(unreachable)" before it where the directory lies outside of the root. */
static void find_cwd(const struct probe *probe, const struct attempt *attempt,
                     struct outcome *outcome)
{
        char path[512];
        long n = syscall(SYS_getcwd, path, sizeof(path));

        (void)probe, (void)attempt;
        if (n < 0)
                outcome_call(outcome, n);
        else
                outcome_set(outcome, path[0] == '/' ? "reachable" : "unreachable");
}

static void find_descriptors(const struct probe *probe, const struct attempt *attempt,
                             struct outcome *outcome)
{
        (void)attempt;
        outcome_set(outcome, "%s", probe->descriptors);
}

static void find_directories(const struct probe *probe, const struct attempt *attempt,
                             struct outcome *outcome)
{
        (void)attempt;
        outcome_set(outcome, "%s", probe->directories);
}

static void try_chdir_descriptors(const struct probe *probe, const struct attempt *attempt,
                                  struct outcome *outcome)
{
        struct many many = {.done = false};

        (void)probe;
        for (int fd = 0; fd < DESCRIPTORS_LAST; fd++) {
                char path[64];

                snprintf(path, sizeof(path), "/proc/%s/fd/%d", attempt->path, fd);
                if (fcntl(fd, F_GETFD) >= 0)
                        many_call(&many, path, chdir(path));
        }
        many_tell(&many, outcome);
}

static void try_exec_descriptors(const struct probe *probe, const struct attempt *attempt,
                                 struct outcome *outcome)
{
        struct many many = {.done = false};

        (void)probe, (void)attempt;
        for (int fd = 0; fd < DESCRIPTORS_LAST; fd++) {
                char path[64];

                snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
                if (fcntl(fd, F_GETFD) >= 0)
                        many_call(&many, path, execl(path, path, "--ids", (char *)NULL));
        }
        many_tell(&many, outcome);
}

/* Whatever is above what a descriptor leads to. */
static void try_above_descriptors(const struct probe *probe, const struct attempt *attempt,
                                  struct outcome *outcome)
{
        struct many many = {.done = false};

        (void)probe, (void)attempt;
        for (int fd = 0; fd < DESCRIPTORS_LAST; fd++)
                if (fcntl(fd, F_GETFD) >= 0)
                        many_call(&many, "..", openat(fd, "..", O_PATH | O_CLOEXEC));
        many_tell(&many, outcome);
}

/* As "shocker" did: the inode of a root directory, through any descriptor of that file system. */
static void try_open_by_handle(const struct probe *probe, const struct attempt *attempt,
                               struct outcome *outcome)
{
        union {
                struct file_handle handle;
                char room[sizeof(struct file_handle) + 128];
        } box = {.handle = {.handle_bytes = 8, .handle_type = 1}};
        int mount_id, root = open(attempt->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

        (void)probe;
        box.handle.f_handle[0] = 2;
        if (attempt->number == 0) {
                box.handle.handle_bytes = 128;
                outcome_call(outcome,
                             name_to_handle_at(root, "", &box.handle, &mount_id, AT_EMPTY_PATH));
                return;
        }
        outcome_call(outcome, open_by_handle_at(root, &box.handle, O_RDONLY));
}

/* A set-uid program that the driver put there: it compares its own ids. */
static void try_set_uid(const struct probe *probe, const struct attempt *attempt,
                        struct outcome *outcome)
{
        char path[512];
        pid_t child;
        int status;

        if (!find_path(probe, attempt, path, sizeof(path), outcome))
                return;
        child = fork();
        if (child == 0) {
                execl(path, path, "--ids", (char *)NULL);
                _exit(errno == ENOENT ? 2 : 3);
        }
        if (child < 0 || waitpid(child, &status, 0) != child)
                outcome_call(outcome, -1);
        else if (WIFEXITED(status) && WEXITSTATUS(status) < 4)
                outcome_set(outcome, "%s",
                            ((const char *const[]){"unchanged", "changed", "ENOENT",
                                                   "EACCES"})[WEXITSTATUS(status)]);
        else
                outcome_set(outcome, "nothing-told");
}

/* Our own, where there is something that we can write to. */
static void try_own_set_uid(const struct probe *probe, const struct attempt *attempt,
                            struct outcome *outcome)
{
        int fd = open("/tmp/set-uid", O_WRONLY | O_CREAT | O_CLOEXEC, 0755);

        (void)probe, (void)attempt;
        if (fd < 0 || fchown(fd, 0, 0) < 0)
                outcome_call(outcome, -1);
        else
                outcome_call(outcome, fchmod(fd, 06755));
        unlink("/tmp/set-uid");
}

/* Writing to what is running: whoever can has the host's file. */
static void try_write_exe(const struct probe *probe, const struct attempt *attempt,
                          struct outcome *outcome)
{
        int fd = open(attempt->path, O_WRONLY | O_CLOEXEC);

        (void)probe;
        outcome_call(outcome, fd);
}

static void find_link(const struct probe *probe, const struct attempt *attempt,
                      struct outcome *outcome)
{
        char text[256] = "";

        (void)probe;
        if (readlink(attempt->path, text, sizeof(text) - 1) < 0)
                outcome_call(outcome, -1);
        else
                outcome_set(outcome, "link:%s", text);
}

static void find_text(const struct probe *probe, const struct attempt *attempt,
                      struct outcome *outcome)
{
        int fd = open(attempt->path, O_RDONLY | O_CLOEXEC);
        char text[256] = "";
        ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);

        (void)probe;
        if (n < 0) {
                outcome_call(outcome, -1);
                return;
        }
        for (ssize_t i = 0; i < n; i++)
                text[i] = text[i] > ' ' ? text[i] : '_';
        outcome_set(outcome, "text:%s", text);
}

/* What the driver has put on the host, told by its path there. */
static void try_host_file(const struct probe *probe, const struct attempt *attempt,
                          struct outcome *outcome)
{
        char path[512];

        if (!parameter(probe, attempt->path, path, sizeof(path))) {
                outcome_set(outcome, "untold");
                return;
        }
        outcome_call(outcome,
                     open(path, attempt->number ? O_WRONLY | O_CLOEXEC : O_RDONLY | O_CLOEXEC));
}

const struct attempt file_attempts[] = {
        {14, "create-root", try_create, "/intruder"},
        {14, "create-proc", try_create, "/proc/intruder"},
        {14, "create-dev", try_create, "/dev/intruder"},
        {14, "create-share", try_create, .text = "intruder"},
        {14, "create-etc", try_create, "/etc/intruder"},
        {14, "create-usr", try_create, "/usr/lib/intruder"},
        {14, "create-on-read-only-mounts", try_create_everywhere},
        {15, "up-from-root", try_up, "/"},
        {15, "up-from-proc", try_up, "/proc/self/root"},
        {15, "up-from-cwd", try_up, "/proc/self/cwd"},
        {15, "root-of-1", try_root, "/proc/1/root/."},
        {15, "cwd-of-1", try_up, "/proc/1/cwd"},
        {15, "cwd", find_cwd},
        {15, "host-file", try_host_file, "file"},
        {15, "host-file-write", try_host_file, "file", .number = 1},
        {16, "descriptors", find_descriptors},
        {16, "directories", find_directories},
        {17, "chdir-descriptors", try_chdir_descriptors, "self"},
        {17, "chdir-descriptors-of-1", try_chdir_descriptors, "1"},
        {17, "exec-descriptors", try_exec_descriptors},
        {17, "above-descriptors", try_above_descriptors},
        {18, "name_to_handle_at", try_open_by_handle, "/"},
        {18, "open_by_handle_at", try_open_by_handle, "/", .number = 1},
        {18, "open_by_handle_at-proc", try_open_by_handle, "/proc", .number = 1},
        {20, "set-uid-root", try_set_uid, .text = "set-uid-root"},
        {20, "set-uid-stranger", try_set_uid, .text = "set-uid-stranger"},
        {20, "set-uid-own", try_own_set_uid},
        {21, "exe-of-1-write", try_write_exe, "/proc/1/exe"},
        {21, "exe-write", try_write_exe, "/proc/self/exe"},
        {21, "exe-of-1-link", find_link, "/proc/1/exe"},
        {21, "exe-link", find_link, "/proc/self/exe"},
        {21, "maps-of-1", try_open, "/proc/1/maps"},
        {50, "environ-of-1", find_text, "/proc/1/environ"},
        {50, "cmdline-of-1", find_text, "/proc/1/cmdline"},
        {50, "auxv-of-1", try_open, "/proc/1/auxv"},
        {0},
};
