#include <criterion/criterion.h>
#include <dirent.h>
#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/own.h"
#include "compile_suite.h"

/* Templates that are wrong; `remedy` and `text` must be in what is said about them. */
static const struct {
        const char *json;
        const char *text;
} bad[] = {
        {"{", "template.json:1:"},
        {"{\"entries\": [], \"entries\": []}", "template.json:1:"},
        {"[]", "/: expected an object"},
        {"{}", "/entries: expected an array"},
        {"{\"entries\": [], \"nonsense\": 1}", "/nonsense: unknown key"},
        {"{\"entries\": [], \"include\": 1}", "/include: expected the name"},
        {"{\"entries\": [], \"include\": \"../up\"}", "\"../up\" is no name of a rootfs template"},
        {"{\"entries\": [], \"include\": \"absent\"}", "/absent/template.json: No such file"},
        {"{\"entries\": [], \"include\": \"bad\"}", "more than 4 templates in a row"},
        {"{\"entries\": [1]}", "/entries/0: expected an object with one of the keys"},
        {"{\"entries\": [{}]}", "/entries/0: expected an object with one of the keys"},
        {"{\"entries\": [{\"directory\": 1}]}", "/entries/0: directory: expected a string"},
        {"{\"entries\": [{\"directory\": \"/a\", \"tmpfs\": \"/a\"}]}",
         "/entries/0: \"directory\" and \"tmpfs\" in one entry"},
        {"{\"entries\": [{\"directory\": \"/a\", \"color\": 1}]}",
         "/entries/0: unknown key \"color\""},
        {"{\"entries\": [{\"directory\": \"/a\", \"content\": \"\"}]}",
         "/entries/0: a directory has no \"content\""},
        {"{\"entries\": [{\"directory\": \"/a\", \"mode\": 493}]}",
         "/entries/0: mode: expected permission bits"},
        {"{\"entries\": [{\"directory\": \"/a\", \"mode\": \"rwx\"}]}", "mode: \"rwx\" is not"},
        {"{\"entries\": [{\"directory\": \"/a\", \"mode\": \"0o755\"}]}", "mode: \"0o755\" is not"},
        {"{\"entries\": [{\"directory\": \"/a\", \"network\": \"some\"}]}",
         "network: expected \"host\" or \"none\""},
        {"{\"entries\": [{\"file\": \"/a\"}]}", "/entries/0: a file needs \"content\""},
        {"{\"entries\": [{\"file\": \"/a\", \"content\": \"${home}\"}]}",
         "/entries/0: /a: content: unknown variable \"${home}\""},
        {"{\"entries\": [{\"file\": \"/a\", \"content\": \"${uid\"}]}",
         "content: unknown variable \"${uid\""},
        {"{\"entries\": [{\"symlink\": \"/a\", \"target\": \"\"}]}",
         "target: expected where the symlink leads"},
        {"{\"entries\": [{\"directory\": \"a\"}]}", "/entries/0: a: \"a\" is no target"},
        {"{\"entries\": [{\"directory\": \"/\"}]}", "\"/\" is no target"},
        {"{\"entries\": [{\"directory\": \"/a/../../b\"}]}", "\"/a/../../b\" is no target"},
        {"{\"entries\": [{\"directory\": \"/a/\"}]}", "\"/a/\" is no target"},
        {"{\"entries\": [{\"directory\": \"/a\"}, {\"directory\": \"/a\"}]}",
         "/entries/1: /a: /a: File exists"},
        {"{\"entries\": [{\"directory\": \"/a/b\"}, {\"file\": \"/a\", \"content\": \"\"}]}",
         "/entries/1: /a: /a: File exists"},
        {"{\"entries\": [{\"tmpfs\": \"/a\"}, {\"tmpfs\": \"/a\"}]}",
         "/entries/1: /a: two mounts have the target /a"},
        {"{\"entries\": [{\"tmpfs\": \"/a\", \"options\": [\"size=no\"]}]}",
         "/entries/0: /a: options: option \"size=no\""},
        {"{\"entries\": [{\"tmpfs\": \"/a\", \"options\": [1]}]}", "options/0: expected a string"},
        {"{\"entries\": [{\"bind\": \"/usr\", \"options\": [\"idmap=33\"]}]}",
         "is said by its configuration"},
        {"{\"entries\": [{\"file\": \"/a\", \"content\": \"\"}, {\"directory\": \"/a/b\"}]}",
         "/entries/1: /a/b: /a, on the way to the target /a/b: Not a directory"},
        {"{\"entries\": [{\"file\": \"/a\", \"content\": \"\"}, {\"tmpfs\": \"/a\"}]}",
         "a directory cannot be mounted on the file /a"},
        {"{\"entries\": [{\"symlink\": \"/a\", \"target\": \"/b\"}, {\"symlink\": \"/b\", "
         "\"target\": \"a\"}, {\"tmpfs\": \"/a/c\"}]}",
         "Too many levels of symbolic links"},
        {"{\"entries\": [{\"proc\": \"/proc\"}, {\"directory\": \"/proc/1\"}]}",
         "the target /proc/1 lies in /proc"},
        {"{\"entries\": [{\"bind\": \"/absent-here\"}]}",
         "/entries/0: /absent-here: open of /absent-here: No such file"},
        {"{\"entries\": [{\"bind\": \"/a\", \"source\": \"usr\"}]}",
         "the path \"usr\" is not absolute"},
        {"{\"entries\": [{\"bind\": \"/a\", \"source\": \"/usr/../etc\"}]}", "has a \"..\" part"},
        {"{\"entries\": [{\"bind\": \"/usr\"}, {\"directory\": \"/usr/absent-here\"}]}",
         "the target /usr/absent-here cannot be made: /usr/absent-here does not exist on the host"},
        {"{\"entries\": [{\"bind\": \"/usr\"}, {\"tmpfs\": \"/usr/absent-here/b\"}]}",
         "/usr/absent-here does not exist on the host"},
        {"{\"entries\": [{\"directory\": \"/a\"}, {\"bind\": \"/a\", \"source\": "
         "\"/etc/passwd\"}]}",
         "cannot be mounted on the directory /a"},
        {"{\"entries\": [{\"device\": \"/dev/null\"}]}", "a device needs \"major\""},
        {"{\"entries\": [{\"device\": \"/dev/null\", \"major\": 1, \"minor\": 5}]}",
         "/dev/null is not the character device 1:5 that the template declares"},
        {"{\"entries\": [{\"device\": \"/etc/passwd\", \"major\": 0, \"minor\": 0}]}",
         "/etc/passwd is not the character device 0:0"},
        {"{\"entries\": [{\"library\": \"../libc.so.6\"}]}", "\"../libc.so.6\" is no library"},
        {"{\"entries\": [{\"library\": \"libabsent.so.9\"}]}", "library libabsent.so.9: No such"},
        {"{\"entries\": [{\"mirror\": \"/absent-here\"}]}",
         "readlink of /absent-here: No such file"},
};

TestSuite(template, .init = setup, .fini = teardown);

Test(template, refused)
{
        char file[128];

        fixture_template(&fixture, "bad", "");
        snprintf(file, sizeof(file), "templates/bad/template.json");
        fixture.application.isolation.rootfs = (char *)"bad";
        for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
                fixture_file(&fixture, file, bad[i].json);
                cr_expect_lt(fixture_compile(&fixture), 0, "row %zu: %s", i, bad[i].json);
                cr_expect(strstr(fixture.error.text, bad[i].text), "row %zu: %s", i,
                          fixture.error.text);
                cr_expect(
                        strstr(fixture.error.text,
                               "configuration /applications/a/isolation/rootfs: rootfs template "),
                        "row %zu: %s", i, fixture.error.text);
        }
}

Test(template, optional_things_may_be_missing)
{
        fixture_template(&fixture, "sparse",
                         "{\"entries\": ["
                         "{\"bind\": \"/absent-here\", \"optional\": true},"
                         "{\"mirror\": \"/absent-here\", \"optional\": true},"
                         "{\"mirror\": \"/absent-*\", \"optional\": true},"
                         "{\"library\": \"libabsent.so.9\", \"optional\": true},"
                         "{\"directory\": \"/absent-here\", \"as_on_host\": true},"
                         "{\"device\": \"/dev/absent-here\", \"major\": 9, \"minor\": 9, "
                         "\"optional\": true}]}");
        fixture.application.isolation.rootfs = (char *)"sparse";
        must_compile();
        cr_expect_eq(fixture_plan(&fixture)->entry_count, 0);
}

Test(template, content_names_the_application)
{
        fixture_template(&fixture, "named",
                         "{\"entries\": [{\"file\": \"/x\", \"mode\": \"0400\", \"content\": "
                         "\"$ ${application} ${user}:${group} ${uid}:${gid} $${uid}\"}]}");
        fixture.application.isolation.rootfs = (char *)"named";
        must_compile();
        cr_expect_str_eq(fixture_entry(&fixture, "/x")->content, "$ a app:crew 1000:1000 $1000");
        cr_expect_eq(fixture_entry(&fixture, "/x")->mode, 0400);
}

Test(template, parents_are_made_once_and_in_order)
{
        const char *const targets[] = {"/a", "/a/b",   "/a/b/c",  "/a/b/d",
                                       "/l", "/a/b/e", "/a/b/e/f"};
        const struct plan *plan;

        fixture_template(&fixture, "deep",
                         "{\"entries\": [{\"tmpfs\": \"/a/b/c\"}, {\"file\": \"/a/b/d\", "
                         "\"content\": \"\"}, {\"symlink\": \"/l\", \"target\": \"../a/b\"}, "
                         "{\"tmpfs\": \"/l/e/f\"}]}");
        fixture.application.isolation.rootfs = (char *)"deep";
        must_compile();
        plan = fixture_plan(&fixture);
        cr_assert_eq(plan->entry_count, 7);
        for (size_t i = 0; i < 7; i++)
                cr_expect_str_eq(plan->entries[i].target, targets[i]);
        cr_expect_eq(plan->entries[0].kind, PLAN_DIRECTORY);
        cr_expect_eq(plan->entries[5].kind, PLAN_DIRECTORY);
}

Test(template, devices_are_usable_and_nothing_else_is)
{
        const struct plan_entry *null;

        fixture.application.isolation.rootfs = (char *)"base";
        must_compile();
        null = fixture_entry(&fixture, "/dev/null");
        cr_assert(null);
        cr_expect_eq(null->attributes, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC);
        cr_expect_eq(fixture_source(&fixture, null)->type, S_IFCHR);
        cr_expect_neq(fixture_source(&fixture, null)->special, 0);
        cr_expect_eq(fixture_entry(&fixture, "/tmp")->mode, 01777);
        cr_expect_eq(fixture_entry(&fixture, "/tmp")->size, 64u << 20);
}

/* Every source of a real template must be what it was when it was promised. */
static void check_sources(void)
{
        const struct plan *plan = fixture_plan(&fixture);
        size_t binds = 0;

        for (size_t i = 0; i < plan->source_count; i++) {
                struct stat st;

                cr_assert_eq(lstat(plan->sources[i].path, &st), 0);
                cr_expect_eq(st.st_ino, plan->sources[i].inode);
                cr_expect_eq(st.st_dev, plan->sources[i].device);
                cr_expect_not(plan->sources[i].readable);
        }
        /* A tree can be attached only once: each bind has a source of its own. */
        for (size_t i = 0; i < plan->entry_count; i++) {
                cr_expect(plan_target_valid(plan->entries[i].target));
                if (plan->entries[i].kind == PLAN_BIND)
                        cr_expect_eq(plan->entries[i].source, binds++);
        }
        cr_expect_eq(binds, plan->source_count);
}

Test(template, minimal_has_libc_and_no_shell)
{
        const struct plan_entry *libc = NULL;
        const struct plan *plan;
        char *passwd;

        must_compile();
        check_sources();
        plan = fixture_plan(&fixture);
        for (size_t i = 0; i < plan->entry_count; i++) {
                const char *name = strrchr(plan->entries[i].target, '/') + 1;

                if (strcmp(name, "libc.so.6") == 0)
                        libc = &plan->entries[i];
                cr_expect_str_neq(name, "sh");
                if (plan->entries[i].kind == PLAN_BIND)
                        cr_expect(plan->sources[plan->entries[i].source].type != S_IFDIR,
                                  "%s is a whole directory", plan->entries[i].target);
        }
        cr_assert(libc);
        cr_expect_eq(libc->attributes, MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV);
        passwd = fixture_entry(&fixture, "/etc/passwd")->content;
        cr_expect(strstr(passwd, "\napp:x:1000:1000:a:/:"), "%s", passwd);
        cr_expect_str_eq(fixture_entry(&fixture, "/etc/resolv.conf")->content, "");
        cr_expect_null(fixture_entry(&fixture, "/etc/ld.so.cache"));
}

Test(template, host_shows_usr_and_follows_its_layout)
{
        const struct plan_entry *bin;
        struct stat st;

        fixture.application.isolation.rootfs = (char *)"host";
        must_compile();
        check_sources();
        cr_expect_str_eq(fixture_source(&fixture, fixture_entry(&fixture, "/usr"))->path, "/usr");
        bin = fixture_entry(&fixture, "/bin");
        cr_assert_eq(lstat("/bin", &st), 0);
        cr_assert(bin);
        cr_expect_eq(bin->kind, S_ISLNK(st.st_mode) ? PLAN_SYMLINK : PLAN_BIND);
        cr_expect_null(fixture_entry(&fixture, "/etc/shadow"));
        cr_expect_null(fixture_entry(&fixture, "/home"));
}

Test(template, host_network_gets_the_hosts_resolver)
{
        cr_assert_eq(access("/etc/resolv.conf", F_OK), 0, "this host has no /etc/resolv.conf");
        fixture.application.isolation.network = CONFIG_NETWORK_HOST;
        must_compile();
        cr_expect_eq(fixture_entry(&fixture, "/etc/resolv.conf")->kind, PLAN_BIND);
}

Test(template, no_proc_without_a_pid_namespace)
{
        fixture.application.isolation.namespaces &= ~(uint64_t)CLONE_NEWPID;
        must_compile();
        cr_expect_null(fixture_entry(&fixture, "/proc"));
        cr_expect(strstr(fixture.notices, "a: there is no /proc"), "%s", fixture.notices);
}

Test(template, unknown_names)
{
        fixture.application.isolation.rootfs = (char *)"absent";
        cr_expect_eq(fixture_compile(&fixture), -ENOENT);
        cr_expect(strstr(fixture.error.text, "/absent/template.json"), "%s", fixture.error.text);
        cr_expect(strstr(fixture.error.remedy, "minimal"), "%s", fixture.error.remedy);
        fixture.application.isolation.rootfs = (char *)"../minimal";
        cr_expect_eq(fixture_compile(&fixture), -EINVAL);
        fixture.application.isolation.rootfs = (char *)"/absent-here";
        cr_expect_eq(fixture_compile(&fixture), -ENOENT);
        cr_expect(strstr(fixture.error.text, "rootfs /absent-here"), "%s", fixture.error.text);
        fixture.application.isolation.rootfs = (char *)"/";
        cr_expect_eq(fixture_compile(&fixture), -EINVAL);
        cr_expect(strstr(fixture.error.text, "the host's own root"), "%s", fixture.error.text);
}

Test(template, own_template_by_path)
{
        char path[PATH_MAX];

        fixture_template(&fixture, "mine",
                         "{\"description\": \"x\", \"include\": \"base\", "
                         "\"entries\": [{\"directory\": \"/mine\", \"mode\": \"0700\"}]}");
        snprintf(path, sizeof(path), "%s/mine/template.json", fixture.templates);
        fixture.application.isolation.rootfs = path;
        must_compile();
        cr_expect_eq(fixture_entry(&fixture, "/mine")->mode, 0700);
        cr_expect(fixture_entry(&fixture, "/dev/null"));
}

/* A tenant's directory may be a root, and have a template.json: which must not show them the host's files. */
Test(template, what_a_tenant_wrote_is_no_template)
{
        char path[PATH_MAX], file[PATH_MAX + 16];

        fixture_template(&fixture, "mine", "{\"include\": \"base\", \"entries\": []}");
        snprintf(path, sizeof(path), "%s/mine", fixture.templates);
        snprintf(file, sizeof(file), "%s/template.json", path);
        fixture.application.isolation.rootfs = path;
        if (geteuid() == 0)
                cr_expect_eq(fixture_compile(&fixture), 0, "%s", fixture.error.text);
        cr_assert_eq(chmod(file, 0666), 0);
        cr_expect_eq(fixture_compile(&fixture), -EPERM, "%s", fixture.error.text);
        cr_expect(strstr(fixture.error.text, "may be written by others"), "%s", fixture.error.text);
        cr_expect(strstr(fixture.error.remedy, file), "%s", fixture.error.remedy);
        cr_assert_eq(chmod(file, 0644), 0);
        cr_assert_eq(chmod(path, 0777), 0);
        cr_expect_eq(fixture_compile(&fixture), -EPERM, "%s", fixture.error.text);
        cr_assert_eq(chmod(path, 0755), 0);
        if (geteuid() == 0) {
                cr_assert_eq(chown(path, 62345, 62345), 0);
                cr_expect_eq(fixture_compile(&fixture), -EPERM, "%s", fixture.error.text);
        }
        /* A link to a template of ours is a link of theirs; a fifo is not waited for. */
        cr_assert_eq(unlink(file), 0);
        cr_assert_eq(mkfifo(file, 0644), 0);
        cr_expect_lt(fixture_compile(&fixture), 0);
        /* Said in so many words it is one, whoever owns the directory. */
        cr_assert_eq(unlink(file), 0);
        fixture_file(&fixture, "templates/mine/template.json",
                     "{\"include\": \"base\", \"entries\": []}");
        fixture.application.isolation.rootfs = file;
        cr_expect_eq(fixture_compile(&fixture), 0, "%s", fixture.error.text);
}

Test(template, the_administrators_own_beside_ours)
{
        char more[PATH_MAX];

        snprintf(more, sizeof(more), "%s", fixture_path(&fixture, "more"));
        fixture_directory(&fixture, "more");
        fixture_directory(&fixture, "more/special");
        fixture_file(&fixture, "more/special/template.json",
                     "{\"include\": \"base\", \"entries\": [{\"directory\": \"/special\"}]}");
        fixture.config.settings.templates = more;
        fixture.application.isolation.rootfs = (char *)"special";
        must_compile();
        cr_expect(fixture_entry(&fixture, "/special"));
        fixture.application.isolation.rootfs = (char *)"base";
        cr_expect_eq(fixture_compile(&fixture), 0, "%s", fixture.error.text);
        fixture_directory(&fixture, "more/base");
        fixture_file(&fixture, "more/base/template.json", "{\"entries\": []}");
        cr_expect_eq(fixture_compile(&fixture), -EEXIST, "%s", fixture.error.text);
        cr_expect(strstr(fixture.error.text, "there are two rootfs templates \"base\""), "%s",
                  fixture.error.text);
}

/* A directory that is itself a root: what it has is shown read-only, its links stay links, and what lies
 * where we put our own is not shown. */
Test(template, directory_as_root)
{
        char path[PATH_MAX];

        fixture_directory(&fixture, "image");
        fixture_directory(&fixture, "image/usr");
        fixture_directory(&fixture, "image/dev");
        fixture_directory(&fixture, "image/srv");
        fixture_file(&fixture, "image/hello", "hello\n");
        fixture_file(&fixture, "image/dev/evil", "");
        cr_assert_eq(symlink("/etc/../../../etc", fixture_path(&fixture, "image/lib")), 0);
        snprintf(path, sizeof(path), "%s", fixture_path(&fixture, "image"));
        fixture.application.isolation.rootfs = path;
        must_compile();
        cr_expect_eq(fixture_source(&fixture, fixture_entry(&fixture, "/usr"))->type, S_IFDIR);
        cr_expect_eq(fixture_source(&fixture, fixture_entry(&fixture, "/hello"))->type, S_IFREG);
        cr_expect(fixture_entry(&fixture, "/hello")->attributes & MOUNT_ATTR_RDONLY);
        cr_expect_eq(fixture_entry(&fixture, "/lib")->kind, PLAN_SYMLINK);
        cr_expect_eq(fixture_entry(&fixture, "/dev")->kind, PLAN_DIRECTORY);
        cr_expect(fixture_entry(&fixture, "/dev/null"));
        cr_expect_null(fixture_entry(&fixture, "/dev/evil"));
        /* Nothing can be made in it. */
        fixture.application.working_directory = fixture.directory;
        cr_expect_eq(fixture_compile(&fixture), 0, "%s", fixture.error.text);
        fixture.application.working_directory = (char *)"/srv/absent-here";
        cr_expect_eq(fixture_compile(&fixture), -ENOENT, "%s", fixture.error.text);
}
