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

/* --- what is asked for, as words ------------------------------------------------------------ */

struct parameters {
        char numbers[3][32];
        struct plan_parameter list[3];
        size_t count;
};

static void tmpfs_parameters(uint64_t size, uint64_t inodes, uint32_t mode,
                             struct parameters *parameters)
{
        static const char *const keys[] = {"size", "nr_inodes", "mode"};

        snprintf(parameters->numbers[0], sizeof(parameters->numbers[0]), "%" PRIu64,
                 size ? size : MOUNT_TMPFS_SIZE);
        snprintf(parameters->numbers[1], sizeof(parameters->numbers[1]), "%" PRIu64,
                 inodes ? inodes : MOUNT_TMPFS_INODES);
        snprintf(parameters->numbers[2], sizeof(parameters->numbers[2]), "%o", mode);
        parameters->count = ARRAY_SIZE(keys);
        for (size_t i = 0; i < ARRAY_SIZE(keys); i++)
                parameters->list[i] =
                        (struct plan_parameter){(char *)keys[i], parameters->numbers[i]};
}

static int configure(int context, const char *type, const struct plan_parameter *list, size_t count,
                     struct error *error)
{
        for (size_t i = 0; i < count; i++)
                if (fsconfig(context, FSCONFIG_SET_STRING, list[i].key, list[i].value, 0) < 0)
                        return config_failed(context, type, list[i].key, error);
        return 0;
}

static void configure_describe(const struct plan_parameter *list, size_t count,
                               const struct isolation_report *report)
{
        for (size_t i = 0; i < count; i++)
                report_call(report, "fsconfig", "\"%s\", \"%s\"", list[i].key, list[i].value);
}

/* --- the mounts ----------------------------------------------------------------------------- */

static int mount_new(const char *type, const struct parameters *own,
                     const struct plan_parameter *list, size_t count, uint64_t attributes,
                     struct error *error)
{
        cleanup_fd int context = fsopen(type, FSOPEN_CLOEXEC);
        int r;

        if (context < 0) {
                error_set(error, errno, "fsopen of %s", type);
                return errno == ENODEV ? error_remedy(error,
                                                      "this kernel has no %s: remove the "
                                                      "mount",
                                                      type)
                                       : -error->code;
        }
        r = configure(context, type, own->list, own->count, error);
        if (r == 0)
                r = configure(context, type, list, count, error);
        return r < 0 ? r : context_mount(context, type, attributes, error);
}

static void describe_new(const char *type, const struct parameters *own,
                         const struct plan_parameter *list, size_t count, uint64_t attributes,
                         const struct isolation_report *report)
{
        char words[128];

        report_call(report, "fsopen", "\"%s\"", type);
        configure_describe(own->list, own->count, report);
        configure_describe(list, count, report);
        report_call(report, "fsconfig", "FSCONFIG_CMD_CREATE");
        report_call(report, "fsmount", "%s", report_attributes(attributes, words, sizeof(words)));
}

int mount_tmpfs(uint64_t size, uint64_t inodes, uint32_t mode, uint64_t attributes,
                struct error *error)
{
        struct parameters own = {.count = 0};

        tmpfs_parameters(size, inodes, mode, &own);
        return mount_new("tmpfs", &own, NULL, 0, attributes, error);
}

void mount_tmpfs_describe(uint64_t size, uint64_t inodes, uint32_t mode, uint64_t attributes,
                          const struct isolation_report *report)
{
        struct parameters own = {.count = 0};

        tmpfs_parameters(size, inodes, mode, &own);
        describe_new("tmpfs", &own, NULL, 0, attributes, report);
}

const char *mount_type(uint32_t kind)
{
        static const char *const types[PLAN_ENTRY_KINDS] = {
                [PLAN_TMPFS] = "tmpfs",
                [PLAN_PROC] = "proc",
                [PLAN_DEVPTS] = "devpts",
                [PLAN_MQUEUE] = "mqueue",
        };

        return kind < PLAN_ENTRY_KINDS ? types[kind] : NULL;
}

static void own_parameters(const struct plan_entry *entry, struct parameters *own)
{
        if (entry->kind == PLAN_TMPFS)
                tmpfs_parameters(entry->size, entry->inodes, entry->mode, own);
}

int mount_entry(const struct plan_entry *entry, struct error *error)
{
        struct parameters own = {.count = 0};
        int tree;

        own_parameters(entry, &own);
        tree = mount_new(mount_type(entry->kind), &own, entry->parameters, entry->parameter_count,
                         entry->attributes, error);
        if (tree == -EPERM && entry->kind == PLAN_PROC)
                error_remedy(error,
                             "something is mounted over a part of the outer /proc (containers "
                             "mask it), so the kernel refuses a fresh one: run clade where "
                             "/proc is whole, or with an unmasked /proc (Kubernetes: "
                             "procMount: Unmasked)");
        return tree;
}

void mount_entry_describe(const struct plan_entry *entry, const struct isolation_report *report)
{
        struct parameters own = {.count = 0};

        own_parameters(entry, &own);
        describe_new(mount_type(entry->kind), &own, entry->parameters, entry->parameter_count,
                     entry->attributes, report);
}
