/* Rows 7 to 13, and 25: mounts, and what changes of the tree that is seen. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "probe.h"

/* linux/mount.h and sys/mount.h do not go together everywhere; the numbers are the same on all machines. */
#define SET_STRING        1 /* FSCONFIG_SET_STRING */
#define CLONE_TREE        1 /* OPEN_TREE_CLONE */
#define MOVE_EMPTY_SOURCE 4 /* MOVE_MOUNT_F_EMPTY_PATH */

static void try_mount(const struct probe *probe, const struct attempt *attempt,
                      struct outcome *outcome)
{
        const char *source = attempt->path ? attempt->path : "none";
        const char *target = access("/tmp", F_OK) == 0 ? "/tmp" : "/";

        (void)probe;
        outcome_call(outcome, mount(source, target, attempt->path ? NULL : attempt->name + 6,
                                    (unsigned long)attempt->number, attempt->text));
}

static void visit_remount(const struct mount_line *line, void *data)
{
        if (strncmp(line->options, "ro", 2) == 0)
                many_call(data, line->target,
                          mount(NULL, line->target, NULL, MS_REMOUNT | MS_BIND, NULL));
}

static void visit_umount(const struct mount_line *line, void *data)
{
        many_call(data, line->target, umount2(line->target, MNT_DETACH));
}

static void visit_umount_mask(const struct mount_line *line, void *data)
{
        if (strncmp(line->target, "/proc/", 6) == 0 || strncmp(line->target, "/sys/", 5) == 0)
                many_call(data, line->target, umount2(line->target, 0));
}

static void visit_shared(const struct mount_line *line, void *data)
{
        if (line->optional[0])
                many_call(data, line->target, 0);
}

/* Whether it can be written, whoever we are: the mount's own word, not the files' modes. */
static void visit_cgroup(const struct mount_line *line, void *data)
{
        char path[600];

        if (strncmp(line->type, "cgroup", 6) != 0)
                return;
        if (strncmp(line->options, "rw", 2) == 0)
                many_call(data, line->target, 0);
        snprintf(path, sizeof(path), "%s/intruder", line->target);
        many_call(data, path, mkdir(path, 0700));
}

static void visit(struct outcome *outcome, void (*function)(const struct mount_line *, void *))
{
        struct many many = {.done = false};

        if (mounts_visit(function, &many) < 0)
                outcome_call(outcome, -1);
        else
                many_tell(&many, outcome);
}

static void try_remounts(const struct probe *probe, const struct attempt *attempt,
                         struct outcome *outcome)
{
        (void)probe, (void)attempt;
        visit(outcome, visit_remount);
}

static void try_umounts(const struct probe *probe, const struct attempt *attempt,
                        struct outcome *outcome)
{
        (void)probe, (void)attempt;
        visit(outcome, visit_umount);
}

static void try_umount_masks(const struct probe *probe, const struct attempt *attempt,
                             struct outcome *outcome)
{
        (void)probe, (void)attempt;
        visit(outcome, visit_umount_mask);
}

static void find_shared(const struct probe *probe, const struct attempt *attempt,
                        struct outcome *outcome)
{
        (void)probe, (void)attempt;
        visit(outcome, visit_shared);
}

static void find_cgroups(const struct probe *probe, const struct attempt *attempt,
                         struct outcome *outcome)
{
        (void)probe, (void)attempt;
        visit(outcome, visit_cgroup);
}

static void try_umount(const struct probe *probe, const struct attempt *attempt,
                       struct outcome *outcome)
{
        (void)probe;
        outcome_call(outcome, umount2(attempt->path, (int)attempt->number));
}

static void try_remount(const struct probe *probe, const struct attempt *attempt,
                        struct outcome *outcome)
{
        (void)probe;
        outcome_call(outcome,
                     mount(NULL, attempt->path, NULL, (unsigned long)attempt->number, NULL));
}

static void try_fsopen(const struct probe *probe, const struct attempt *attempt,
                       struct outcome *outcome)
{
        (void)probe;
        outcome_call(outcome, syscall(SYS_fsopen, attempt->path, 0));
}

/* CVE-2022-0185 took a parameter longer than a page. Without fsopen there is nothing to configure: so an
 * answer of the kernel about the descriptor means that the call itself is let through. */
static void try_fsconfig(const struct probe *probe, const struct attempt *attempt,
                         struct outcome *outcome)
{
        static char value[4096];
        long context = syscall(SYS_fsopen, "tmpfs", 0);
        struct many many = {.done = false};

        (void)probe, (void)attempt;
        memset(value, 'A', sizeof(value) - 1);
        for (int i = 0; i < 4; i++)
                many_call(&many, "fsconfig",
                          syscall(SYS_fsconfig, context, SET_STRING, "size", value, 0));
        many_tell(&many, outcome);
}

static void try_tree(const struct probe *probe, const struct attempt *attempt,
                     struct outcome *outcome)
{
        long tree = syscall(SYS_open_tree, AT_FDCWD, "/", attempt->number);

        (void)probe;
        outcome_call(outcome, tree);
}

static void try_move(const struct probe *probe, const struct attempt *attempt,
                     struct outcome *outcome)
{
        (void)probe, (void)attempt;
        outcome_call(outcome, syscall(SYS_move_mount, AT_FDCWD, "/proc", AT_FDCWD, "/tmp", 0));
}

static void try_move_descriptor(const struct probe *probe, const struct attempt *attempt,
                                struct outcome *outcome)
{
        long tree = syscall(SYS_open_tree, AT_FDCWD, "/", CLONE_TREE);

        (void)probe, (void)attempt;
        outcome_call(outcome,
                     syscall(SYS_move_mount, tree, "", AT_FDCWD, "/tmp", MOVE_EMPTY_SOURCE));
}

static void try_setattr(const struct probe *probe, const struct attempt *attempt,
                        struct outcome *outcome)
{
        uint64_t attributes[4] = {0, 1 /* MOUNT_ATTR_RDONLY */, 0, 0}; /* set, clear, ... */

        (void)probe;
        outcome_call(outcome, syscall(SYS_mount_setattr, AT_FDCWD, "/", attempt->number, attributes,
                                      sizeof(attributes)));
}

static void try_pivot(const struct probe *probe, const struct attempt *attempt,
                      struct outcome *outcome)
{
        (void)probe;
        outcome_call(outcome, syscall(SYS_pivot_root, attempt->path, attempt->path));
}

static void try_chroot(const struct probe *probe, const struct attempt *attempt,
                       struct outcome *outcome)
{
        (void)probe;
        outcome_call(outcome, chroot(attempt->path));
}

const struct attempt mount_attempts[] = {
        {7, "mount-tmpfs", try_mount},
        {7, "mount-proc", try_mount},
        {7, "mount-sysfs", try_mount},
        {7, "mount-cgroup", try_mount},
        {7, "mount-cgroup2", try_mount},
        {7, "mount-overlay", try_mount, .text = "lowerdir=/proc,upperdir=/tmp,workdir=/tmp"},
        {7, "mount-mqueue", try_mount},
        {7, "mount-devpts", try_mount},
        {7, "bind", try_mount, "/proc", .number = MS_BIND},
        {7, "rbind", try_mount, "/", .number = MS_BIND | MS_REC},
        {7, "move", try_mount, "/proc", .number = MS_MOVE},
        {8, "remount-root", try_remount, "/", .number = MS_REMOUNT},
        {8, "remount-root-bind", try_remount, "/", .number = MS_REMOUNT | MS_BIND},
        {8, "remount-read-only-mounts", try_remounts},
        {9, "umount-proc", try_umount, "/proc", .number = MNT_DETACH},
        {9, "umount-null", try_umount, "/dev/null", .number = MNT_DETACH},
        {9, "umount-root", try_umount, "/", .number = MNT_DETACH},
        {9, "umount-masks", try_umount_masks},
        {9, "umount-every", try_umounts},
        {10, "make-shared", try_remount, "/", .number = MS_SHARED | MS_REC},
        {10, "shared-mounts", find_shared},
        {11, "fsopen-tmpfs", try_fsopen, "tmpfs"},
        {11, "fsopen-proc", try_fsopen, "proc"},
        {11, "fsopen-ext4", try_fsopen, "ext4"},
        {11, "fsconfig-overflow", try_fsconfig},
        {11, "fspick", try_syscall, .number = SYS_fspick, .arguments = {AT_FDCWD, (long)"/", 0}},
        {11, "fsmount", try_syscall, .number = SYS_fsmount, .arguments = {-1, 0, 0}},
        {12, "open_tree-clone", try_tree, .number = CLONE_TREE},
        {12, "open_tree-clone-recursive", try_tree,
         .number = CLONE_TREE | 0x8000 /* AT_RECURSIVE */},
        {12, "move_mount", try_move},
        {12, "move_mount-descriptor", try_move_descriptor},
        {12, "mount_setattr", try_setattr, .number = 0},
        {12, "mount_setattr-recursive", try_setattr, .number = 0x8000 /* AT_RECURSIVE */},
        {13, "pivot_root", try_pivot, "/"},
        {13, "pivot_root-tmp", try_pivot, "/tmp"},
        {13, "chroot-root", try_chroot, "/"},
        {13, "chroot-tmp", try_chroot, "/tmp"},
        {25, "cgroup-mounts", find_cgroups},
        {25, "release_agent", try_write, "/sys/fs/cgroup/release_agent"},
        {25, "cgroup-procs", try_write, "/sys/fs/cgroup/cgroup.procs", "0"},
        {25, "cgroup-procs-parent", try_write, "/sys/fs/cgroup/../cgroup.procs", "0"},
        {25, "cgroup-unified", try_write, "/sys/fs/cgroup/unified/cgroup.procs", "0"},
        {0},
};

/* --- mountinfo -------------------------------------------------------------------------------------- */

static void copy_field(char *field, size_t room, const char *from, size_t length)
{
        snprintf(field, room, "%.*s", (int)length, from);
}

/* ID PARENT DEVICE ROOT TARGET OPTIONS [OPTIONAL...] - TYPE SOURCE SUPER */
static void parse_line(const char *text, struct mount_line *line)
{
        memset(line, 0, sizeof(*line));
        for (int number = 0; *text; number++) {
                size_t length = strcspn(text, " ");

                if (number == 4)
                        copy_field(line->target, sizeof(line->target), text, length);
                else if (number == 5)
                        copy_field(line->options, sizeof(line->options), text, length);
                else if (number > 5 && length == 1 && *text == '-')
                        break;
                else if (number > 5)
                        copy_field(line->optional, sizeof(line->optional), text, length);
                text += length;
                text += strspn(text, " ");
        }
        text += strspn(text, "- ");
        copy_field(line->type, sizeof(line->type), text, strcspn(text, " \n"));
}

int mounts_visit(void (*function)(const struct mount_line *line, void *data), void *data)
{
        FILE *file = fopen("/proc/self/mountinfo", "re");
        char text[4096];

        if (!file)
                return -1;
        while (fgets(text, sizeof(text), file)) {
                struct mount_line line;

                parse_line(text, &line);
                function(&line, data);
        }
        fclose(file);
        return 0;
}
