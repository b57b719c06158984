#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>
#include <sys/mount.h>

#include "runtime/compile/mounts.h"

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
        {PLAN_PROC, {NULL}, NOSUID | NODEV | NOEXEC},
        {PLAN_PROC, {"ro", "nosuid", "nodev"}, RDONLY | NOSUID | NODEV | NOEXEC},
};

Test(mount_options, attributes)
{
        for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
                struct plan_entry entry = mount_defaults(good[i].kind, "/x");
                struct error error = ERROR_INIT;

                cr_expect_eq(mount_options((char *const *)good[i].options, &entry, &error), 0,
                             "row %zu: %s", i, error.text);
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
        cr_assert_eq(mount_options(options, &entry, &error), 0, "%s", error.text);
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
        {PLAN_BIND, "rshared", "unknown option \"rshared\" for a mount of type bind", "nosuid"},
        {PLAN_BIND, "size=1m", "unknown option \"size\" for a mount of type bind", "rbind"},
        {PLAN_BIND, "noatime", "unknown option \"noatime\"", "ro, rw"},
        {PLAN_TMPFS, "dev", "unknown option \"dev\" for a mount of type tmpfs", "nr_inodes="},
        {PLAN_TMPFS, "uid=0", "unknown option \"uid\"", "mode="},
        {PLAN_PROC, "exec", "unknown option \"exec\" for a mount of type proc", "noexec"},
        {PLAN_PROC, "hidepid=2", "unknown option \"hidepid\"", "noexec"},
        {PLAN_BIND, "ro=1", "option \"ro\" takes no value", ""},
        {PLAN_TMPFS, "size", "option \"size\" needs a value", ""},
        {PLAN_TMPFS, "size=", "option \"size", ""},
        {PLAN_TMPFS, "size=0", "option \"size=0\": expected bytes", ""},
        {PLAN_TMPFS, "size=50%", "option \"size=50%\": expected bytes", ""},
        {PLAN_TMPFS, "size=-1", "option \"size=-1\": expected bytes", ""},
        {PLAN_TMPFS, "size=1mb", "option \"size=1mb\": expected bytes", ""},
        {PLAN_TMPFS, "size=18446744073709551616", "expected bytes", ""},
        {PLAN_TMPFS, "size=9999999999999g", "expected bytes", ""},
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

                cr_expect_eq(mount_options(options, &entry, &error), -EINVAL, "row %zu", i);
                cr_expect(strstr(error.text, bad[i].text), "row %zu: %s", i, error.text);
                cr_expect(strstr(error.remedy, bad[i].remedy), "row %zu: %s", i, error.remedy);
        }
}
