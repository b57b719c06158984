#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>
#include <sys/mount.h>

#include "runtime/compile/mounts.h"

#define ATIME_OFF MOUNT_ATTR_NOATIME

#define RDONLY  MOUNT_ATTR_RDONLY
#define NOSUID  MOUNT_ATTR_NOSUID
#define NODEV   MOUNT_ATTR_NODEV
#define NOEXEC  MOUNT_ATTR_NOEXEC
#define OPTIONS 4

static const struct {
        enum plan_entry_kind kind;
        const char *options[OPTIONS];
        uint64_t attributes;
} good[] = {
        {PLAN_BIND, {NULL}, RDONLY | NOSUID | NODEV},
        {PLAN_BIND, {"ro"}, RDONLY | NOSUID | NODEV},
        {PLAN_BIND, {"rbind", "rprivate"}, RDONLY | NOSUID | NODEV},
        {PLAN_BIND, {"bind", "rw"}, NOSUID | NODEV},
        {PLAN_BIND, {"rw", "ro"}, RDONLY | NOSUID | NODEV},
        {PLAN_BIND, {"rw,noexec"}, NOSUID | NODEV | NOEXEC},
        {PLAN_BIND, {"rw", "dev", "suid"}, 0},
        {PLAN_BIND, {"nosymfollow"}, RDONLY | NOSUID | NODEV | MOUNT_ATTR_NOSYMFOLLOW},
        {PLAN_TMPFS, {NULL}, NOSUID | NODEV | NOEXEC},
        {PLAN_TMPFS, {"exec"}, NOSUID | NODEV},
        {PLAN_TMPFS, {"ro"}, RDONLY | NOSUID | NODEV | NOEXEC},
        {PLAN_TMPFS,
         {"nosuid", "strictatime", "mode=755"},
         NOSUID | NODEV | NOEXEC | MOUNT_ATTR_STRICTATIME},
        {PLAN_PROC, {NULL}, RDONLY | NOSUID | NODEV | NOEXEC},
        {PLAN_PROC, {"rw"}, NOSUID | NODEV | NOEXEC},
        {PLAN_PROC, {"ro", "nosuid", "nodev"}, RDONLY | NOSUID | NODEV | NOEXEC},
        {PLAN_DEVPTS, {"nosuid,noexec,newinstance", "gid=5"}, NOSUID | NOEXEC},
        {PLAN_MQUEUE, {"nosuid", "noexec", "nodev"}, NOSUID | NODEV | NOEXEC},
        /* OCI's recursive ones */
        {PLAN_BIND, {"rrw", "rro"}, RDONLY | NOSUID | NODEV},
        {PLAN_BIND, {"rrw"}, NOSUID | NODEV},
        {PLAN_BIND, {"rw,rdev,rsuid,rnoexec"}, NOEXEC},
        {PLAN_BIND, {"rnoatime"}, RDONLY | NOSUID | NODEV | ATIME_OFF},
        /* times of access: one of three */
        {PLAN_BIND, {"noatime"}, RDONLY | NOSUID | NODEV | ATIME_OFF},
        {PLAN_BIND, {"noatime", "strictatime"}, RDONLY | NOSUID | NODEV | MOUNT_ATTR_STRICTATIME},
        {PLAN_BIND, {"noatime", "relatime"}, RDONLY | NOSUID | NODEV},
        {PLAN_BIND, {"nodiratime", "defaults"}, RDONLY | NOSUID | NODEV | MOUNT_ATTR_NODIRATIME},
};

static struct arena arena;

static void teardown(void)
{
        arena_finish(&arena);
        arena = (struct arena){.chunks = NULL};
}

TestSuite(mount_options, .fini = teardown);

Test(mount_options, attributes)
{
        for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
                struct plan_entry entry = mount_defaults(good[i].kind, "/x");
                struct error error = ERROR_INIT;

                cr_expect_eq(mount_options(&arena, (char *const *)good[i].options, &entry, &error),
                             0, "row %zu: %s", i, error.text);
                cr_expect_eq(entry.attributes, good[i].attributes, "row %zu: %llx", i,
                             (unsigned long long)entry.attributes);
        }
}

Test(mount_options, tmpfs_numbers)
{
        char *options[] = {(char *)"size=64m,mode=0750", (char *)"nr_inodes=2k", NULL};
        struct plan_entry entry = mount_defaults(PLAN_TMPFS, "/x");
        struct error error = ERROR_INIT;

        cr_expect_gt(entry.size, 0, "a tmpfs without options is bounded");
        cr_expect_gt(entry.inodes, 0);
        cr_assert_eq(mount_options(&arena, options, &entry, &error), 0, "%s", error.text);
        cr_expect_eq(entry.size, 64u << 20);
        cr_expect_eq(entry.inodes, 2048);
        cr_expect_eq(entry.mode, 0750);
}

static const struct {
        enum plan_entry_kind kind;
        const char *option;
        const char *text;   /* in the error */
        const char *remedy; /* in the remedy */
} bad[] = {
        {PLAN_BIND, "rshared", "unknown option \"rshared\" for a mount of type bind",
         "no mount event"},
        {PLAN_BIND, "slave", "unknown option \"slave\"", "no mount event"},
        {PLAN_TMPFS, "idmap", "unknown option \"idmap\"", "known are"},
        {PLAN_BIND, "nonsense", "unknown option \"nonsense\"", "nosuid"},
        {PLAN_BIND, "r", "unknown option \"r\"", "nosuid"},
        {PLAN_BIND, "rbinds", "unknown option \"rbinds\"", "rbind"},
        {PLAN_BIND, "rrbind", "unknown option \"rrbind\"", "rbind"},
        {PLAN_BIND, "size=1m", "unknown option \"size\" for a mount of type bind", "rbind"},
        {PLAN_BIND, "hidepid=2", "unknown option \"hidepid\"", "rw, ro"},
        {PLAN_DEVPTS, "nodev", "unknown option \"nodev\" for a mount of type devpts", "ptmxmode="},
        {PLAN_DEVPTS, "gid=tty", "option \"gid=tty\": expected a number", ""},
        {PLAN_DEVPTS, "gid=4294967296", "option \"gid=4294967296\": expected a number", ""},
        {PLAN_DEVPTS, "ptmxmode=9", "option \"ptmxmode=9\": expected permission bits", ""},
        {PLAN_MQUEUE, "size=1m", "unknown option \"size\" for a mount of type mqueue", ""},
        {PLAN_TMPFS, "dev", "unknown option \"dev\" for a mount of type tmpfs", "nr_inodes="},
        {PLAN_TMPFS, "uid=0", "unknown option \"uid\"", "mode="},
        {PLAN_PROC, "exec", "unknown option \"exec\" for a mount of type proc", "noexec"},
        {PLAN_PROC, "hidepid=3", "option \"hidepid=3\": expected off, noaccess", ""},
        {PLAN_PROC, "subset=all", "option \"subset=all\": expected pid", ""},
        {PLAN_PROC, "gid=5", "unknown option \"gid\"", "hidepid="},
        {PLAN_BIND, "ro=1", "option \"ro\" takes no value", ""},
        {PLAN_TMPFS, "size", "option \"size\" needs a value", ""},
        {PLAN_TMPFS, "size=", "option \"size", ""},
        {PLAN_TMPFS, "size=0", "option \"size=0\": expected bytes", ""},
        {PLAN_TMPFS, "size=50%", "option \"size=50%\": expected bytes", ""},
        {PLAN_TMPFS, "size=-1", "option \"size=-1\": expected bytes", ""},
        {PLAN_TMPFS, "size=1mb", "option \"size=1mb\": expected bytes", ""},
        {PLAN_TMPFS, "size=18446744073709551616", "expected bytes", ""},
        {PLAN_TMPFS, "size=9999999999999g", "expected bytes", ""},
        {PLAN_TMPFS, "size=1025g", "option \"size=1025g\": expected bytes", ""},
        {PLAN_TMPFS, "nr_inodes=3g", "option \"nr_inodes=3g\": expected a number", ""},
        {PLAN_TMPFS, "nr_inodes=many", "option \"nr_inodes=many\": expected a number", ""},
        {PLAN_TMPFS, "mode=rwx", "option \"mode=rwx\": expected permission bits", ""},
        {PLAN_TMPFS, "mode=0999", "option \"mode=0999\": expected permission bits", ""},
        {PLAN_TMPFS, "mode=17777", "option \"mode=17777\": expected permission bits", ""},
};

Test(mount_options, refused)
{
        for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
                char *options[] = {(char *)bad[i].option, NULL};
                struct plan_entry entry = mount_defaults(bad[i].kind, "/x");
                struct error error = ERROR_INIT;

                cr_expect_eq(mount_options(&arena, options, &entry, &error), -EINVAL, "row %zu", i);
                cr_expect(strstr(error.text, bad[i].text), "row %zu: %s", i, error.text);
                cr_expect(strstr(error.remedy, bad[i].remedy), "row %zu: %s", i, error.remedy);
        }
}

static const char *parameter(const struct plan_entry *entry, const char *key)
{
        for (size_t i = 0; i < entry->parameter_count; i++)
                if (strcmp(entry->parameters[i].key, key) == 0)
                        return entry->parameters[i].value;
        return NULL;
}

Test(mount_options, parameters_are_copied_before_they_change)
{
        char *options[] = {(char *)"hidepid=invisible,subset=pid", NULL};
        char *terminals[] = {(char *)"gid=5", (char *)"mode=0600", NULL};
        struct plan_entry proc = mount_defaults(PLAN_PROC, "/proc");
        struct plan_entry devpts = mount_defaults(PLAN_DEVPTS, "/dev/pts");
        struct error error = ERROR_INIT;

        cr_expect_str_eq(parameter(&proc, "hidepid"), "ptraceable");
        cr_expect_null(parameter(&proc, "subset"));
        cr_assert_eq(mount_options(&arena, options, &proc, &error), 0, "%s", error.text);
        cr_expect_str_eq(parameter(&proc, "hidepid"), "invisible");
        cr_expect_str_eq(parameter(&proc, "subset"), "pid");
        cr_expect_eq(proc.parameter_count, 2);
        cr_assert_eq(mount_options(&arena, terminals, &devpts, &error), 0, "%s", error.text);
        cr_expect_str_eq(parameter(&devpts, "gid"), "5");
        cr_expect_str_eq(parameter(&devpts, "mode"), "0600");
        cr_expect_str_eq(parameter(&devpts, "ptmxmode"), "0666");
        proc = mount_defaults(PLAN_PROC, "/proc");
        cr_expect_str_eq(parameter(&proc, "hidepid"), "ptraceable");
        cr_expect_eq(proc.parameter_count, 1);
}

Test(mount_options, times_of_access_count_where_they_are_named)
{
        char *options[] = {(char *)"relatime", NULL};
        struct plan_entry entry = mount_defaults(PLAN_BIND, "/x");
        struct error error = ERROR_INIT;

        cr_expect_not(entry.access_times);
        cr_assert_eq(mount_options(&arena, options, &entry, &error), 0, "%s", error.text);
        cr_expect(entry.access_times);
        cr_expect(mount_options_name(options, "relatime"));
        cr_expect_not(mount_options_name(options, "bind"));
}
