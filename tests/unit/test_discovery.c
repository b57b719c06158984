/* Discovery with the real clade-discovery and real modules, most of them bad
 * (tests/integration/modules): each costs itself and nothing else, and is named with what to do. Runs as
 * whoever runs it, and, where that is root, as an ordinary user too. */
#include <criterion/criterion.h>
#include <dirent.h>
#include <errno.h>
#include <grp.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/own.h"
#include "runtime/catalogue/discover.h"

#define DEADLINE_MS 3000
#define NOTICES_MAX 32
#define ORDINARY    54321 /* an id that nobody has */

struct notice {
        char name[64]; /* of the file, without the directory and the suffix */
        bool serious;
        struct error error;
};

struct notices {
        struct notice list[NOTICES_MAX];
        size_t count;
};

static void take_notice(void *context, const char *path, bool serious, const struct error *error)
{
        struct notices *notices = context;
        struct notice *notice = &notices->list[notices->count++];
        const char *name = strrchr(path, '/') + 1;

        cr_assert(notices->count < NOTICES_MAX);
        snprintf(notice->name, sizeof(notice->name), "%.*s", (int)strcspn(name, "."), name);
        notice->serious = serious;
        notice->error = *error;
}

static const struct notice *notice_of(const struct notices *notices, const char *name)
{
        for (size_t i = 0; i < notices->count; i++)
                if (strcmp(notices->list[i].name, name) == 0)
                        return &notices->list[i];
        return NULL;
}

static int discover_with(const char *glob, int deadline_ms, struct catalogue *catalogue,
                         struct notices *notices, struct error *error)
{
        struct discover discover = {
                .glob = glob,
                .executable = DISCOVERY,
                .deadline_ms = deadline_ms,
                .notice = take_notice,
                .context = notices,
        };

        notices->count = 0;
        catalogue_init(catalogue);
        return discover_modules(&discover, catalogue, error);
}

static void discover(const char *glob, struct catalogue *catalogue, struct notices *notices)
{
        struct error error = ERROR_INIT;

        cr_assert_eq(discover_with(glob, DEADLINE_MS, catalogue, notices, &error), 0, "%s (%s)",
                     error.text, error.remedy);
}

static const struct catalogue_module *find(const struct catalogue *catalogue, const char *type,
                                           const struct notices *notices)
{
        struct error error = ERROR_INIT;
        const struct catalogue_module *module = catalogue_find(catalogue, type, &error);

        cr_assert_not_null(module, "%s%s%s", error.text, notices->count ? "; noticed: " : "",
                           notices->count ? notices->list[0].error.text : "");
        return module;
}

static size_t count_children(void)
{
        cleanup_file FILE *file = fopen("/proc/thread-self/children", "re");
        size_t count = 0;
        int letter;

        /* Each pid has a blank behind it (proc(5)). */
        cr_assert_not_null(file);
        while ((letter = getc(file)) != EOF)
                count += letter == ' ';
        return count;
}

static size_t count_descriptors(void)
{
        cleanup_dir DIR *dir = opendir("/proc/self/fd");
        size_t count = 0;

        cr_assert_not_null(dir);
        while (readdir(dir))
                count++;
        return count;
}

static long elapsed_ms(const struct timespec *since)
{
        struct timespec now;

        clock_gettime(CLOCK_MONOTONIC, &now);
        return (now.tv_sec - since->tv_sec) * 1000 + (now.tv_nsec - since->tv_nsec) / 1000000;
}

/* Each bad module, how serious, and what is said. */
static const struct {
        const char *name;
        bool serious;
        const char *says;
} bad_modules[] = {
        {"abort", true,
         "died of SIGABRT (Aborted) while the module was loaded and described itself; "
         "its last words: \"the flux capacitor is missing\""},
        {"absurd", true, "option \"Not ?[31mfine\" cannot be used"},
        {"api", false, "it was built for module API 3, this clade has 2"},
#ifdef __SANITIZE_ADDRESS__
        {"crash", true, "exited with status 1 while the module was loaded"}, /* by ASan's handler */
#else
        {"crash", true, "died of SIGSEGV (Segmentation fault) while the module was loaded"},
#endif
        {"endless", true, "type is too long"},
        {"exits", true, "exited with status 7"},
        {"fails", true, "describe: looking for tree 7: No such file or directory (ENOENT)"},
        {"flood", true, "clade-discovery sent"},
        {"hang", true, "it was not done after 3000 ms, and was killed"},
        {"nosymbol", true, "it has no symbol \"clade_module\""},
        {"size", false, "its struct clade_module has"},
        {"whole-c", false, "type whole of version 1.9 is there already, from "},
};

static void check_all(void)
{
        size_t descriptors = count_descriptors();
        struct catalogue catalogue;
        struct notices notices;
        struct timespec before;

        clock_gettime(CLOCK_MONOTONIC, &before);
        discover(FIXTURES "/*.clade.so", &catalogue, &notices);
        /* One deadline for all of them, whatever hangs. */
        cr_expect(elapsed_ms(&before) < DEADLINE_MS + 2000, "took %ld ms", elapsed_ms(&before));

        for (size_t i = 0; i < ARRAY_SIZE(bad_modules); i++) {
                const struct notice *notice = notice_of(&notices, bad_modules[i].name);

                cr_assert_not_null(notice, "%s came through", bad_modules[i].name);
                cr_expect_eq(notice->serious, bad_modules[i].serious, "%s", notice->name);
                cr_expect_not_null(strstr(notice->error.text, bad_modules[i].says),
                                   "%s says \"%s\", not \"%s\"", notice->name, notice->error.text,
                                   bad_modules[i].says);
                cr_expect_neq(notice->error.code, 0);
        }
        for (size_t i = 0; i < notices.count; i++)
                cr_expect(notices.list[i].error.remedy[0], "%s has no remedy: %s",
                          notices.list[i].name, notices.list[i].error.text);
        cr_expect_eq(notices.count, ARRAY_SIZE(bad_modules));

        cr_expect_eq(catalogue.count, 3);
        cr_expect_str_eq(find(&catalogue, "whole", &notices)->version, "1.10");
        cr_expect_str_eq(find(&catalogue, "whole 1.9", &notices)->version, "1.9");
        cr_expect_str_eq(find(&catalogue, "prisoner", &notices)->type, "prisoner");

        catalogue_finish(&catalogue);
        cr_expect_eq(count_descriptors(), descriptors, "descriptors are left open");
        cr_expect_eq(count_children(), 0, "processes are left");
}

Test(discovery, costs_only_the_bad_ones, .timeout = 60)
{
        check_all();
}

/* From root to an ordinary user for the rest of this test's process. */
static void become_ordinary(void)
{
        if (geteuid() != 0)
                cr_skip_test("the whole run is an ordinary user's");
        cr_assert_eq(setgroups(0, NULL), 0);
        cr_assert_eq(setresgid(ORDINARY, ORDINARY, ORDINARY), 0);
        cr_assert_eq(setresuid(ORDINARY, ORDINARY, ORDINARY), 0);
        /* A change of ids makes a process undumpable, and the files of its children root's. */
        cr_assert_eq(prctl(PR_SET_DUMPABLE, 1), 0);
        if (access(DISCOVERY, R_OK | X_OK) < 0)
                cr_skip_test("an ordinary user cannot reach %s", DISCOVERY);
}

Test(discovery, costs_only_the_bad_ones_of_an_ordinary_user, .timeout = 60)
{
        become_ordinary();
        check_all();
}

Test(discovery, takes_in_all_that_a_module_says)
{
        const struct catalogue_module *module;
        struct catalogue catalogue;
        struct notices notices;

        discover(FIXTURES "/whole-[ab].clade.so", &catalogue, &notices);
        cr_assert_eq(notices.count, 0, "%s", notices.list[0].error.text);
        module = find(&catalogue, "entire", &notices);
        cr_expect_str_eq(module->type, "whole");
        cr_expect_str_eq(module->path, FIXTURES "/whole-b.clade.so");
        cr_expect(module->fd >= 0);
        cr_expect_str_eq(module->aliases[0], "complete");
        cr_expect_str_eq(module->aliases[1], "entire");
        cr_expect_null(module->aliases[2]);

        cr_expect(module->counts_requests);

        cr_assert_eq(module->option_count, 5);
        cr_expect_str_eq(module->options[0].name, "path");
        cr_expect_eq(module->options[0].type, CLADE_PATH);
        cr_expect(module->options[0].required);
        cr_expect_str_eq(module->options[0].help, "where the naïve thing is");
        cr_expect_null(module->options[0].choices);
        cr_expect_eq(module->options[1].minimum, -1);
        cr_expect_eq(module->options[1].maximum, 64);
        cr_expect_not(module->options[1].required);
        cr_expect_str_eq(module->options[2].choices, "slow|fast");
        cr_expect_eq(module->options[3].type, CLADE_PATHS);
        cr_expect_eq(module->options[4].type, CLADE_TARGETS);
        cr_expect_str_eq(module->options[4].choices, "entry|prefix");

        cr_assert_eq(module->mount_count, 3);
        cr_expect_str_eq(module->mounts[0].source, "/usr/lib");
        cr_expect_str_eq(module->mounts[0].target, "/usr/lib");
        cr_expect_str_eq(module->mounts[1].target, "/etc/inside");
        cr_expect(module->mounts[1].optional);
        cr_expect_str_eq(module->mounts[2].source, "/opt/found at run time");
        catalogue_finish(&catalogue);
}

Test(discovery, finds_the_modules_of_this_build)
{
        struct catalogue catalogue;
        struct notices notices;

        discover(MODULES "/*/*.clade.so", &catalogue, &notices);
        cr_assert_eq(notices.count, 0, "%s", notices.list[0].error.text);
        for (size_t i = 0; i < catalogue.count; i++)
                cr_expect(catalogue.modules[i]->option_count > 0, "%s", catalogue.modules[i]->type);
        cr_expect(catalogue.count >= 1);
        catalogue_finish(&catalogue);
}

/* Whether this host lets us make the namespaces of the ladder's first step: tried, not guessed. */
static bool host_has_namespaces(void)
{
        int flags = CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWIPC |
                    CLONE_NEWUTS;
        pid_t pid = (pid_t)syscall(SYS_clone, flags | SIGCHLD, 0, 0, 0, 0);
        int status;

        if (pid == 0)
                _exit(0);
        return pid > 0 && waitpid(pid, &status, 0) == pid;
}

static void check_where_it_runs(void)
{
        bool namespaces = host_has_namespaces();
        const struct catalogue_module *module;
        struct catalogue catalogue;
        struct notices notices;

        discover(FIXTURES "/prisoner.clade.so", &catalogue, &notices);
        module = find(&catalogue, "prisoner", &notices);
        if (namespaces)
                cr_expect_str_eq(module->version, "1.65534");
        else
                cr_expect_str_neq(module->version, "1.65534");
        catalogue_finish(&catalogue);
}

Test(discovery, imprisons_a_module_in_namespaces)
{
        check_where_it_runs();
}

Test(discovery, imprisons_a_module_of_an_ordinary_user_in_namespaces)
{
        become_ordinary();
        check_where_it_runs();
}

/* --- the lower steps of the ladder ------------------------------------------------------------ */

static bool write_file(const char *path, const char *text)
{
        cleanup_file FILE *file = fopen(path, "we");

        return file && fputs(text, file) >= 0 && fflush(file) == 0;
}

/* In a process of its own, where no user namespace can be made, which is how a host that refuses them
 * looks from inside: discovers the prisoner and exits with 0 when it ran with the uid that was
 * expected, and not as pid 1. */
static _Noreturn void discover_without_namespaces(const char *uid)
{
        const struct catalogue_module *module;
        struct error error = ERROR_INIT;
        struct catalogue catalogue;
        struct notices notices;

        if (!write_file("/proc/sys/user/max_user_namespaces", "0"))
                _exit(12);
        if (discover_with(FIXTURES "/prisoner.clade.so", DEADLINE_MS, &catalogue, &notices,
                          &error) < 0) {
                fprintf(stderr, "%s (%s)\n", error.text, error.remedy);
                _exit(13);
        }
        if (notices.count > 0)
                fprintf(stderr, "%s (%s)\n", notices.list[0].error.text,
                        notices.list[0].error.remedy);
        module = catalogue_find(&catalogue, "prisoner", &error);
        if (module)
                fprintf(stderr, "the prisoner was %s; expected PID.%s\n", module->version, uid);
        if (!module)
                _exit(14);
        if (strncmp(module->version, "1.", 2) == 0)
                _exit(15);
        _exit(strcmp(strchr(module->version, '.') + 1, uid) == 0 ? 0 : 16);
}

/* Gives the child its ids, in a user namespace of its own, and lets it go on. */
static void map_ids(pid_t pid, unsigned inside, unsigned count)
{
        char path[64], map[64];

        if (geteuid() != 0) {
                snprintf(path, sizeof(path), "/proc/%d/setgroups", pid);
                cr_assert(write_file(path, "deny"));
        }
        snprintf(map, sizeof(map), "%u %u %u\n", inside, geteuid(), count);
        snprintf(path, sizeof(path), "/proc/%d/uid_map", pid);
        cr_assert(write_file(path, map), "%s: %s", path, strerror(errno));
        snprintf(map, sizeof(map), "%u %u %u\n", inside, getegid(), count);
        snprintf(path, sizeof(path), "/proc/%d/gid_map", pid);
        cr_assert(write_file(path, map), "%s: %s", path, strerror(errno));
}

static void check_without_namespaces(unsigned inside, unsigned count, const char *uid)
{
        int unshared[2], mapped[2], status;
        char byte = 0;
        pid_t pid;

        cr_assert(pipe(unshared) == 0 && pipe(mapped) == 0);
        pid = fork();
        cr_assert(pid >= 0);
        if (pid == 0) {
                close(mapped[1]);
                byte = unshare(CLONE_NEWUSER) == 0;
                if (write(unshared[1], &byte, 1) != 1 || read(mapped[0], &byte, 1) != 1 || !byte)
                        _exit(1);
                discover_without_namespaces(uid);
        }
        cr_assert_eq(read(unshared[0], &byte, 1), 1);
        if (byte)
                map_ids(pid, inside, count);
        cr_assert_eq(write(mapped[1], &byte, 1), 1);
        cr_assert_eq(waitpid(pid, &status, 0), pid);
        if (!byte)
                cr_skip_test("this host refuses user namespaces: the others have tested it");
        cr_expect_eq(status, 0, "wait status 0x%x", status);
}

Test(discovery, works_where_root_can_make_no_namespaces)
{
        if (geteuid() != 0)
                cr_skip_test("needs root, and the tests run as user %u", geteuid());
        check_without_namespaces(0, 65535, "65534");
}

Test(discovery, works_where_there_is_no_other_id_either)
{
        check_without_namespaces(0, 1, "0");
}

Test(discovery, works_where_an_ordinary_user_can_make_no_namespaces)
{
        if (geteuid() == 0)
                become_ordinary();
        check_without_namespaces(1234, 1, "1234");
}

/* --- what is not a module's fault ----------------------------------------------------------------- */

Test(discovery, finds_nothing_where_there_is_nothing)
{
        struct catalogue catalogue;
        struct notices notices;

        discover("/nowhere/at-all/*.clade.so", &catalogue, &notices);
        cr_expect_eq(catalogue.count, 0);
        cr_expect_eq(notices.count, 0);
}

Test(discovery, skips_what_is_no_file)
{
        struct catalogue catalogue;
        struct notices notices;
        char path[] = "/tmp/clade-discovery-XXXXXX";
        char name[64];

        cr_assert_not_null(mkdtemp(path));
        snprintf(name, sizeof(name), "%s/fifo.clade.so", path);
        cr_assert_eq(mkfifo(name, 0600), 0);
        discover(name, &catalogue, &notices);
        unlink(name);
        rmdir(path);
        cr_assert_eq(notices.count, 1);
        cr_expect_str_eq(notices.list[0].error.text, "it is not a regular file");
        cr_expect(notices.list[0].serious);
}

Test(discovery, fails_as_a_whole_without_its_program)
{
        struct discover discover = {.glob = FIXTURES "/*.clade.so",
                                    .executable = "/nowhere/clade-discovery",
                                    .deadline_ms = DEADLINE_MS};
        struct error error = ERROR_INIT;
        struct catalogue catalogue;

        catalogue_init(&catalogue);
        cr_expect_eq(discover_modules(&discover, &catalogue, &error), -ENOENT);
        cr_expect_str_eq(error.text, "discovery of modules: opening /nowhere/clade-discovery: No "
                                     "such file or directory (ENOENT)");
        cr_expect(error.remedy[0]);
}

/* Something else that is no clade-discovery: it says nothing. */
Test(discovery, fails_as_a_whole_with_another_program)
{
        struct discover discover = {.glob = FIXTURES "/whole-a.clade.so",
                                    .executable = "/bin/true",
                                    .deadline_ms = DEADLINE_MS};
        struct error error = ERROR_INIT;
        struct catalogue catalogue;

        catalogue_init(&catalogue);
        cr_expect_lt(discover_modules(&discover, &catalogue, &error), 0);
        cr_expect_not_null(strstr(error.text, "exited with status 0 while it locked itself in"),
                           "%s", error.text);
        cr_expect_eq(catalogue.count, 0);
        cr_expect_eq(count_children(), 0);
}
