/* Programs on the disk: found again, and never believed when something is wrong with them. */
#include <criterion/criterion.h>

#include <errno.h>
#include <fcntl.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/own.h"
#include "tests/unit/profile_fixture.h"

static struct seccomp_profile profile;
static struct seccomp_request request;
static char directory[64], path[128]; /* the path: of the one file that is there */

static void init(void)
{
        snprintf(directory, sizeof(directory), "/tmp/clade-cache-XXXXXX");
        cr_assert(mkdtemp(directory));
        profile = profile_own("default");
        request = (struct seccomp_request){.profile = &profile, .own_network = true};
}

/* How many files there are; the last one's path is kept. */
static unsigned files(void)
{
        cleanup_dir DIR *dir = opendir(directory);
        unsigned count = 0;

        cr_assert(dir);
        for (struct dirent *at = readdir(dir); at; at = readdir(dir))
                if (at->d_name[0] != '.') {
                        snprintf(path, sizeof(path), "%s/%s", directory, at->d_name);
                        count++;
                }
        return count;
}

static void finish(void)
{
        while (files() > 0)
                cr_assert_eq(unlink(path), 0);
        cr_assert_eq(rmdir(directory), 0);
        seccomp_profile_finish(&profile);
}

TestSuite(seccomp_cache, .init = init, .fini = finish);

static bool same(const struct plan_filter *a, const struct plan_filter *b)
{
        return strcmp(a->name, b->name) == 0 && strcmp(a->text, b->text) == 0 &&
               a->flags == b->flags && a->length == b->length &&
               memcmp(a->program, b->program, a->length * sizeof(*a->program)) == 0;
}

/* Asks a cache that was just opened; whether the set was found. It is the right one in any case. */
static bool ask(void)
{
        struct seccomp_cache disk = SECCOMP_CACHE_INIT, memory = SECCOMP_CACHE_INIT;
        struct error error = ERROR_INIT;
        const struct seccomp_set *set, *right;
        bool found;

        cr_assert_eq(seccomp_cache_open(&disk, directory), 0);
        set = seccomp_cache_get(&disk, &request, &error);
        right = seccomp_cache_get(&memory, &request, &error);
        cr_assert(set && right, "%s", error.text);
        cr_assert(same(&set->profile, &right->profile) && same(&set->guards, &right->guards) &&
                  same(&set->difference, &right->difference));
        cr_assert_eq(seccomp_cache_get(&disk, &request, &error), set, "asked for twice");
        cr_assert_eq(disk.made + disk.found, 1);
        found = disk.found == 1;
        seccomp_cache_finish(&disk);
        seccomp_cache_finish(&memory);
        return found;
}

Test(seccomp_cache, found_again)
{
        struct stat st;

        cr_expect_not(ask());
        cr_expect_eq(files(), 1);
        cr_assert_eq(stat(path, &st), 0);
        cr_expect_eq(st.st_mode & 07777, 0600);
        cr_expect(ask());
        cr_expect_eq(files(), 1);
}

Test(seccomp_cache, everything_that_matters_is_in_the_key)
{
        struct seccomp_profile strict = profile_own("strict");
        struct seccomp_profile asking = profile_from(
                "{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"syscalls\":[{\"names\":[\"mount\"],"
                "\"action\":\"SCMP_ACT_ERRNO\",\"excludes\":{\"caps\":[\"CAP_SYS_ADMIN\"]}}]}");

        cr_expect_not(ask());
        request.unix_clients = true;
        cr_expect_not(ask());
        request.tcp_confined = true;
        cr_expect_not(ask());
        request.own_network = false;
        cr_expect_not(ask());
        request.deny_write_execute = true;
        cr_expect_not(ask());
        request.fixed_cpus = true;
        cr_expect_not(ask());
        request.no_network_sockets = true;
        cr_expect_not(ask());
        request.no_unix_sockets = true;
        cr_expect_not(ask());
        request.worker = &strict;
        cr_expect_not(ask());
        request.capabilities = 1u << 21;
        cr_expect(ask(), "neither profile asks for capabilities");
        request.profile = &asking;
        cr_expect_not(ask());
        request.capabilities = 0;
        cr_expect_not(ask());
        asking.rules[0].action.data = ENOENT;
        cr_expect_not(ask());
        cr_expect(ask());
        seccomp_profile_finish(&strict);
        seccomp_profile_finish(&asking);
}

/* Every byte counts: those of the sum, the key, the programs, the texts. */
Test(seccomp_cache, a_changed_file_is_not_believed)
{
        struct stat st;

        cr_expect_not(ask());
        cr_assert_eq(files(), 1);
        cr_assert_eq(stat(path, &st), 0);
        for (off_t at = 0; at < st.st_size; at += 1 + st.st_size / 40) {
                cleanup_fd int fd = open(path, O_RDWR | O_CLOEXEC);
                char byte;

                cr_assert_eq(pread(fd, &byte, 1, at), 1);
                byte = (char)(byte ^ 0x10);
                cr_assert_eq(pwrite(fd, &byte, 1, at), 1);
                cr_expect_not(ask(), "byte %ld", (long)at);
                cr_expect(ask(), "it has been replaced");
        }
        for (off_t size = 0; size < st.st_size; size += 1 + st.st_size / 10) {
                cr_assert_eq(truncate(path, size), 0);
                cr_expect_not(ask(), "cut to %ld", (long)size);
        }
        cr_assert_eq(truncate(path, st.st_size + 8), 0);
        cr_expect_not(ask());
}

Test(seccomp_cache, a_file_of_others_is_not_believed)
{
        cr_expect_not(ask());
        cr_assert_eq(files(), 1);
        cr_assert_eq(chmod(path, 0620), 0);
        cr_expect_not(ask());
        cr_expect(ask());
        cr_assert_eq(chmod(path, 0602), 0);
        cr_expect_not(ask());
        if (geteuid() == 0) {
                cr_assert_eq(chown(path, 4711, 4711), 0);
                cr_expect_not(ask());
        }
        cr_assert_eq(unlink(path), 0);
        cr_assert_eq(symlink("/etc/passwd", path), 0);
        cr_expect_not(ask());
        cr_expect(ask(), "the link has been replaced");
        cr_assert_eq(unlink(path), 0);
        cr_assert_eq(mkfifo(path, 0600), 0);
        cr_expect_not(ask());
}

Test(seccomp_cache, a_directory_of_others_is_not_used)
{
        struct seccomp_cache cache = SECCOMP_CACHE_INIT;

        cr_assert_eq(chmod(directory, 0777), 0);
        cr_expect_eq(seccomp_cache_open(&cache, directory), -EPERM);
        cr_assert_eq(chmod(directory, 0700), 0);
        cr_expect_eq(seccomp_cache_open(&cache, "/proc/nowhere/seccomp"), -ENOENT);
        cr_expect_eq(cache.directory, -1);
}

/* What lies behind somebody else's link can be ours, and is not our cache for that. */
Test(seccomp_cache, a_link_of_others_is_not_followed)
{
        struct seccomp_cache cache = SECCOMP_CACHE_INIT;
        char link[96], below[128];

        snprintf(link, sizeof(link), "%s-link", directory);
        snprintf(below, sizeof(below), "%s/seccomp", link);
        cr_assert_eq(symlink(directory, link), 0);
        if (lchown(link, 65534, 65534) == 0)
                cr_expect_eq(seccomp_cache_open(&cache, below), -ELOOP);
        cr_expect_eq(cache.directory, -1);
        cr_expect_eq(files(), 0);
        cr_assert_eq(unlink(link), 0);
}

/* A file that may not grow is as good as a full disk: nothing is remembered, nothing is left. */
Test(seccomp_cache, a_full_disk_is_harmless)
{
        const struct rlimit small = {4096, RLIM_INFINITY}, large = {RLIM_INFINITY, RLIM_INFINITY};

        signal(SIGXFSZ, SIG_IGN);
        cr_assert_eq(setrlimit(RLIMIT_FSIZE, &small), 0);
        cr_expect_not(ask());
        cr_expect_eq(files(), 0);
        cr_assert_eq(setrlimit(RLIMIT_FSIZE, &large), 0);
        cr_expect_not(ask());
        cr_expect_eq(files(), 1);
        cr_expect(ask());
}

Test(seccomp_cache, it_does_not_grow_for_ever)
{
        char other[128];
        int fd;

        /* The oldest of all, and not ours. */
        snprintf(other, sizeof(other), "%s/notes", directory);
        fd = open(other, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
        cr_assert_geq(fd, 0);
        fd_close(fd);
        for (unsigned i = 0; i < 80; i++) {
                profile.rules[0].action.data = i; /* in the key, and otherwise nothing */
                cr_expect_not(ask());
        }
        cr_expect_eq(files(), 64 + 1);
        cr_expect_eq(access(other, F_OK), 0);
        cr_expect(ask(), "the youngest is there");
}

Test(seccomp_cache, what_the_kernel_would_not_take)
{
        static const struct {
                const char *what;
                struct sock_filter program[3];
                size_t length;
                bool valid;
        } rows[] = {
                {"a return", {{BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ALLOW}}, 1, true},
                {"nothing", {{0}}, 0, false},
                {"no return", {{BPF_LD | BPF_W | BPF_ABS, 0, 0, 0}}, 1, false},
                {"an action that is none", {{BPF_RET | BPF_K, 0, 0, 0x12340000}}, 1, false},
                {"notification", {{BPF_RET | BPF_K, 0, 0, SECCOMP_RET_USER_NOTIF}}, 1, false},
                {"a return of what is computed", {{BPF_RET | BPF_A, 0, 0, 0}}, 1, false},
                {"a load beyond",
                 {{BPF_LD | BPF_W | BPF_ABS, 0, 0, 64}, {BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ALLOW}},
                 2,
                 false},
                {"a load across",
                 {{BPF_LD | BPF_W | BPF_ABS, 0, 0, 2}, {BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ALLOW}},
                 2,
                 false},
                {"a jump",
                 {{BPF_JMP | BPF_JEQ | BPF_K, 0, 0, 7}, {BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ALLOW}},
                 2,
                 true},
                {"a jump beyond",
                 {{BPF_JMP | BPF_JEQ | BPF_K, 1, 0, 7}, {BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ALLOW}},
                 2,
                 false},
                {"a long jump beyond",
                 {{BPF_JMP | BPF_JA, 0, 0, UINT32_MAX}, {BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ALLOW}},
                 2,
                 false},
                {"an instruction of packets",
                 {{BPF_LD | BPF_B | BPF_ABS, 0, 0, 0}, {BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ALLOW}},
                 2,
                 false},
        };

        for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
                cr_expect_eq(seccomp_program_valid(rows[i].program, rows[i].length), rows[i].valid,
                             "%s", rows[i].what);
}
