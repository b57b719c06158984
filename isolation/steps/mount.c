#include "isolation/steps/mount.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/mount.h>
#include <unistd.h>

#include "base/own.h"

/* The kernel tells in words what it did not like; they are read from the context itself. */
static int config_failed(int context, const char *what, const char *key, struct error *error)
{
        int code = errno;
        char words[256];
        ssize_t n = read(context, words, sizeof(words) - 1);

        if (n > 2 && words[1] == ' ') {
                words[n] = '\0';
                return error_set(error, code, "fsconfig of %s, %s (the kernel says: %s)", what, key,
                                 words + 2);
        }
        return error_set(error, code, "fsconfig of %s, %s", what, key);
}

static int context_mount(int context, const char *what, uint64_t attributes, struct error *error)
{
        int tree;

        if (fsconfig(context, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0)
                return config_failed(context, what, "create", error);
        tree = fsmount(context, FSMOUNT_CLOEXEC, (unsigned)attributes);
        if (tree < 0)
                return error_set(error, errno, "fsmount of %s", what);
        return tree;
}

int mount_tmpfs(uint64_t size, uint64_t inodes, uint32_t mode, uint64_t attributes,
                struct error *error)
{
        cleanup_fd int context = fsopen("tmpfs", FSOPEN_CLOEXEC);
        char values[3][32];
        const char *const keys[] = {"size", "nr_inodes", "mode"};

        if (context < 0)
                return error_set(error, errno, "fsopen of tmpfs");
        snprintf(values[0], sizeof(values[0]), "%" PRIu64, size ? size : MOUNT_TMPFS_SIZE);
        snprintf(values[1], sizeof(values[1]), "%" PRIu64, inodes ? inodes : MOUNT_TMPFS_INODES);
        snprintf(values[2], sizeof(values[2]), "%o", mode);
        for (size_t i = 0; i < ARRAY_SIZE(keys); i++)
                if (fsconfig(context, FSCONFIG_SET_STRING, keys[i], values[i], 0) < 0)
                        return config_failed(context, "tmpfs", keys[i], error);
        return context_mount(context, "tmpfs", attributes, error);
}

int mount_proc(uint64_t attributes, struct error *error)
{
        cleanup_fd int context = fsopen("proc", FSOPEN_CLOEXEC);
        int tree;

        if (context < 0)
                return error_set(error, errno, "fsopen of proc");
        tree = context_mount(context, "proc", attributes, error);
        if (tree == -EPERM)
                error_remedy(error,
                             "something is mounted over a part of the outer /proc (containers "
                             "mask it), so the kernel refuses a fresh one: run clade where "
                             "/proc is whole, or with an unmasked /proc (Kubernetes: "
                             "procMount: Unmasked)");
        return tree;
}

void mount_tmpfs_describe(uint64_t size, uint64_t inodes, uint32_t mode, uint64_t attributes,
                          const struct isolation_report *report)
{
        char words[128];

        report_call(report, "fsopen", "\"tmpfs\"");
        report_call(report, "fsconfig", "\"size\", \"%" PRIu64 "\"",
                    size ? size : MOUNT_TMPFS_SIZE);
        report_call(report, "fsconfig", "\"nr_inodes\", \"%" PRIu64 "\"",
                    inodes ? inodes : MOUNT_TMPFS_INODES);
        report_call(report, "fsconfig", "\"mode\", \"%o\"", mode);
        report_call(report, "fsconfig", "FSCONFIG_CMD_CREATE");
        report_call(report, "fsmount", "%s", report_attributes(attributes, words, sizeof(words)));
}

void mount_proc_describe(uint64_t attributes, const struct isolation_report *report)
{
        char words[128];

        report_call(report, "fsopen", "\"proc\"");
        report_call(report, "fsconfig", "FSCONFIG_CMD_CREATE");
        report_call(report, "fsmount", "%s", report_attributes(attributes, words, sizeof(words)));
}
