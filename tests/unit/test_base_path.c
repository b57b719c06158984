#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/own.h"
#include "base/path.h"

/* A directory to be in: dir/file, and links to them. */
static char directory[] = "/tmp/clade-path-XXXXXX";

static void enter_directory(void)
{
        cleanup_fd int file = -1;

        cr_assert(mkdtemp(directory));
        cr_assert_eq(chdir(directory), 0);
        cr_assert_eq(mkdir("dir", 0755), 0);
        file = open("dir/file", O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
        cr_assert_geq(file, 0);
        cr_assert_eq(symlink("dir", "to-dir"), 0);
        cr_assert_eq(symlink("to-dir/file", "to-file"), 0);
        cr_assert_eq(symlink("/", "to-root"), 0);
        cr_assert_eq(symlink("circle", "circle"), 0);
}

static void leave_directory(void)
{
        const char *const names[] = {"dir/file", "to-dir", "to-file", "to-root", "circle"};

        for (size_t i = 0; i < ARRAY_SIZE(names); i++)
                cr_expect_eq(unlink(names[i]), 0, "%s", names[i]);
        cr_expect_eq(rmdir("dir"), 0);
        cr_expect_eq(chdir("/"), 0);
        cr_expect_eq(rmdir(directory), 0);
}

/* The real path that is found, relative to the directory where it lies in it. */
static const char *found(const char *path)
{
        static char real[PATH_MAX];
        struct error error = ERROR_INIT;
        cleanup_fd int fd = path_open(path, O_PATH, 0, PATH_LINKS_OF_OURS, &error);

        if (fd < 0)
                return error_name(-fd);
        cr_assert_eq(path_of(fd, real), 0);
        cr_expect(fcntl(fd, F_GETFD) & FD_CLOEXEC);
        if (strncmp(real, directory, strlen(directory)) == 0 && real[strlen(directory)])
                return real + strlen(directory) + 1;
        return real;
}

Test(base_path, links_of_our_own_lead_on, .init = enter_directory, .fini = leave_directory)
{
        cr_expect_str_eq(found("dir/file"), "dir/file");
        cr_expect_str_eq(found("to-dir/file"), "dir/file");
        cr_expect_str_eq(found("to-file"), "dir/file");
        cr_expect_str_eq(found("to-root"), "/");
        cr_expect_str_eq(found("to-root/tmp/../"), "/");
        cr_expect_str_eq(found("/"), "/");
        cr_expect_str_eq(found("dir/"), "dir");
        cr_expect_str_eq(found("to-dir/"), "dir");
        cr_expect_str_eq(found(".//dir/."), "dir");
}

Test(base_path, what_cannot_be_opened, .init = enter_directory, .fini = leave_directory)
{
        char longest[PATH_MAX + 10];

        cr_expect_str_eq(found("none"), "ENOENT");
        cr_expect_str_eq(found("none/file"), "ENOENT");
        cr_expect_str_eq(found(""), "ENOENT");
        cr_expect_str_eq(found("dir/file/x"), "ENOTDIR");
        cr_expect_str_eq(found("dir/file/"), "ENOTDIR");
        cr_expect_str_eq(found("circle"), "ELOOP");
        memset(longest, 'x', sizeof(longest) - 1);
        longest[sizeof(longest) - 1] = '\0';
        cr_expect_str_eq(found(longest), "ENAMETOOLONG");
        longest[300] = '\0';
        cr_expect_str_eq(found(longest), "ENAMETOOLONG");
}

Test(base_path, the_part_at_fault_is_named, .init = enter_directory, .fini = leave_directory)
{
        struct error error = ERROR_INIT;

        cr_expect_eq(path_open("dir/none/file", O_PATH, 0, PATH_LINKS_OF_OURS, &error), -ENOENT);
        cr_expect_str_eq(error.text,
                         "open of dir/none/file, at \"none\": No such file or directory (ENOENT)");
}

Test(base_path, flags_are_for_the_last_part, .init = enter_directory, .fini = leave_directory)
{
        struct error error = ERROR_INIT;
        cleanup_fd int made = path_open("to-dir/new", O_WRONLY | O_CREAT | O_EXCL, 0600,
                                        PATH_LINKS_OF_OURS, &error);
        cleanup_fd int again = path_open("to-dir/new", O_WRONLY | O_CREAT | O_EXCL, 0600,
                                         PATH_LINKS_OF_OURS, &error);

        cr_expect_geq(made, 0, "%s", error.text);
        cr_expect_eq(again, -EEXIST);
        cr_expect_eq(path_open("dir", O_WRONLY, 0, PATH_LINKS_OF_OURS, &error), -EISDIR);
        cr_expect_eq(unlink("dir/new"), 0);
}

/* Only root can make a link that belongs to somebody else; being somebody else does as well. */
Test(base_path, links_of_others_are_not_followed, .init = enter_directory)
{
        struct error error = ERROR_INIT;

        cr_assert_eq(chmod(directory, 0755), 0);
        if (geteuid() == 0) {
                cr_assert_eq(lchown("to-dir", 23456, 23456), 0);
        } else {
                /* a link of ours, seen by another id: that takes root; here every link is ours or root's */
                cr_expect_str_eq(found("/proc/self/cwd"), directory);
                leave_directory();
                return;
        }
        cr_expect_str_eq(found("to-dir"), "ELOOP");
        cr_expect_str_eq(found("to-dir/file"), "ELOOP");
        cr_expect_str_eq(found("to-file"), "ELOOP");
        cr_expect_eq(path_open("to-dir/file", O_RDONLY, 0, PATH_LINKS_OF_OURS, &error), -ELOOP);
        cr_expect(strstr(error.text, "symbolic link of user 23456"), "%s", error.text);
        cr_expect(error.remedy[0]);
        leave_directory();
}

/* Where a tenant may have our id, our id proves nothing. */
Test(base_path, links_of_ours_may_be_a_tenants, .init = enter_directory, .fini = leave_directory)
{
        struct error error = ERROR_INIT;
        int fd = path_open("to-dir/file", O_PATH, 0, PATH_LINKS_OF_ROOT, &error);

        if (geteuid() == 0) {
                cr_expect_geq(fd, 0, "%s", error.text); /* ours are root's */
                fd_close(fd);
                return;
        }
        cr_expect_eq(fd, -ELOOP);
        cr_expect(strstr(error.remedy, "/etc/subuid"), "%s", error.remedy);
}

Test(base_path, a_removed_file_has_no_path, .init = enter_directory, .fini = leave_directory)
{
        struct error error = ERROR_INIT;
        cleanup_fd int fd =
                path_open("dir/gone", O_WRONLY | O_CREAT, 0600, PATH_LINKS_OF_OURS, &error);
        char path[PATH_MAX];

        cr_assert_geq(fd, 0);
        cr_assert_eq(unlink("dir/gone"), 0);
        cr_expect_eq(path_of(fd, path), -ENOENT);
}
