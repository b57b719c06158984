#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <sys/wait.h>

#include "ids_fixture.h"
#include "runtime/compile/id_registry.h"

#define SIZE 10u

/* As if the host had nobody: what it has is in tests of its own. */
static const struct id_taken nobody;

/* One range through a registry of its own, as each call of ids_assign does. */
static int assign(struct fixture *fixture, size_t index, bool remember, uint32_t *ret_id,
                  struct error *error)
{
        const struct id_ranges ranges = {
                {FIRST, FIRST}, fixture->config.settings.id_count, SIZE, {1, 2}};
        const char *names[8];
        struct id_key key = {fixture->file, fixture->names[index], names, 8, NULL, 0, 0};
        struct id_registry registry;
        uint32_t first[ID_KINDS];
        int r;

        for (size_t i = 0; i < ARRAY_SIZE(names); i++)
                names[i] = fixture->names[i];
        r = id_registry_open(&registry, fixture->state, remember, error);
        if (r == 0)
                r = id_registry_assign(&registry, &ranges, &key, &nobody, first, error);
        if (r == 0) {
                cr_expect_eq(first[ID_USERS], first[ID_GROUPS]);
                *ret_id = first[ID_USERS];
        }
        id_registry_finish(&registry);
        return r;
}

static void expect_id(struct fixture *fixture, size_t index, uint32_t expected)
{
        struct error error = ERROR_INIT;
        uint32_t id = 0;

        cr_expect_eq(assign(fixture, index, true, &id, &error), 0, "%s", error.text);
        cr_expect_eq(id, expected, "application %zu got %u", index, id);
}

static void expect_refused(struct fixture *fixture, int code, const char *text)
{
        struct error error = ERROR_INIT;
        uint32_t id = 77;

        cr_expect_eq(assign(fixture, 0, true, &id, &error), -code, "%s", error.text);
        cr_expect(strstr(error.text, text), "%s", error.text);
        cr_expect_neq(error.remedy[0], '\0');
        cr_expect_eq(id, 77);
}

Test(id_registry, stable_and_distinct)
{
        struct fixture fixture;
        char expected[512];
        struct stat st;

        fixture_init(&fixture);
        expect_id(&fixture, 3, FIRST);
        expect_id(&fixture, 1, FIRST + 10);
        expect_id(&fixture, 3, FIRST);
        snprintf(expected, sizeof(expected), "%u\t%u\t10\t%s\tapp3\n%u\t%u\t10\t%s\tapp1\n", FIRST,
                 FIRST, fixture.file, FIRST + 10, FIRST + 10, fixture.file);
        cr_expect_str_eq(read_text(fixture.ids), expected);
        cr_assert_eq(stat(fixture.ids, &st), 0);
        cr_expect_eq(st.st_mode, S_IFREG | 0600);
        cr_assert_eq(stat(fixture.state, &st), 0);
        cr_expect_eq(st.st_mode & (S_IFMT | 0022), S_IFDIR);
        fixture_finish(&fixture);
}

Test(id_registry, another_file_is_another_application)
{
        struct fixture fixture;

        fixture_init(&fixture);
        expect_id(&fixture, 0, FIRST);
        strcat(fixture.file, ".other");
        expect_id(&fixture, 0, FIRST + 10);
        fixture_finish(&fixture);
}

Test(id_registry, odd_names_survive)
{
        struct fixture fixture;

        fixture_init(&fixture);
        snprintf(fixture.names[0], sizeof(fixture.names[0]), "a\tb\\n\nc");
        snprintf(fixture.names[1], sizeof(fixture.names[1]), "a\tb\\n\nd");
        expect_id(&fixture, 0, FIRST);
        expect_id(&fixture, 1, FIRST + 10);
        expect_id(&fixture, 0, FIRST);
        fixture_finish(&fixture);
}

/* Root, daemon and bin have the first ids of every Debian and Fedora. */
Test(id_registry, ids_of_accounts_are_passed_over)
{
        struct fixture fixture;
        struct error error = ERROR_INIT;
        const struct id_ranges few = {{1, 1}, 1, 3, {0, 0}};
        const struct id_ranges last = {{UINT32_MAX - 10, UINT32_MAX - 10}, 1, 10, {0, 0}};
        uint32_t first[ID_KINDS];
        struct id_registry registry;
        struct id_taken taken;
        struct id_key key;

        fixture_init(&fixture);
        key = (struct id_key){fixture.file, "a", (const char *const[]){"a", "b"}, 2, NULL, 0};
        cr_assert_eq(id_taken_load(&taken, false, &error), 0, "%s", error.text);
        cr_assert_eq(id_registry_open(&registry, fixture.state, true, &error), 0, "%s", error.text);
        cr_assert(getpwuid(1));
        cr_expect_eq(id_registry_assign(&registry, &few, &key, &taken, first, &error), -ENOSPC);
        cr_expect_eq(id_registry_assign(&registry, &few, &key, &nobody, first, &error), -ENOSPC,
                     "the application's own id is asked for, listed or not");
        cr_expect_eq(id_registry_assign(&registry, &last, &key, &taken, first, &error), 0);
        cr_expect_eq(first[ID_GROUPS], UINT32_MAX - 10);
        key.application = "b";
        cr_expect_eq(id_registry_assign(&registry, &last, &key, &taken, first, &error), -ENOSPC);
        id_registry_finish(&registry);
        id_taken_finish(&taken);
        fixture_finish(&fixture);
}

Test(id_registry, an_id_that_became_an_account_is_refused)
{
        struct fixture fixture;
        struct error error = ERROR_INIT;
        const struct id_ranges ranges = {{1, 100000}, 1, 10, {5, 5}};
        uint32_t first[ID_KINDS];
        struct id_registry registry;
        struct id_taken taken;
        struct id_key key;
        char line[256];

        fixture_init(&fixture);
        cr_assert_eq(mkdir(fixture.state, 0755), 0);
        snprintf(line, sizeof(line), "1\t100000\t10\t%s\ta\n", fixture.file);
        write_file(fixture.ids, line);
        key = (struct id_key){fixture.file, "a", NULL, 0, NULL, 0};
        cr_assert_eq(id_taken_load(&taken, false, &error), 0, "%s", error.text);
        cr_assert_eq(id_registry_open(&registry, fixture.state, true, &error), 0, "%s", error.text);
        cr_expect_eq(id_registry_assign(&registry, &ranges, &key, &taken, first, &error), -EEXIST);
        cr_expect(strstr(error.text, "of the ids 1 to 10"), "%s", error.text);
        cr_expect(strstr(error.text, "the user "), "%s", error.text);
        cr_expect(error.remedy[0]);
        id_registry_finish(&registry);
        id_taken_finish(&taken);
        fixture_finish(&fixture);
}

/* Busy: what the host has, what others have, what the configuration claims; each blocks all ranges that it
 * touches, of users as of groups. */
static const struct {
        const char *what;
        const char *lines; /* of the registry */
        struct id_owner user, group;
        struct id_claim claim;
        uint32_t expected; /* from FIRST on; 99: there is none */
} busy[] = {
        {"nothing", "", {0}, {0}, {0}, 0},
        {"the last id of the first", "", {FIRST + 9, 1, ""}, {0}, {0}, 10},
        {"a group in the first", "", {0}, {FIRST, 1, ""}, {0}, 10},
        {"ids across two", "", {FIRST + 9, 2, ""}, {0}, {0}, 20},
        {"from before to within", "", {FIRST - 5, 6, ""}, {0}, {0}, 10},
        {"just before", "", {FIRST - 5, 5, ""}, {0}, {0}, 0},
        {"all", "", {1, UINT32_MAX - 2, ""}, {0}, {0}, 99},
        {"a claim", "", {0}, {0}, {ID_GROUPS, FIRST + 3, 1}, 10},
        {"another's range", "1879048190\t-\t3\t/x\ty\n", {0}, {0}, {0}, 10},
        {"another's groups", "-\t1879048192\t11\t/x\ty\n", {0}, {0}, {0}, 20},
        {"several",
         "1879048192\t1879048192\t10\t/x\ty\n",
         {FIRST + 12, 1, ""},
         {0},
         {ID_USERS, FIRST + 25, 1},
         30},
        {"all four", "1879048192\t-\t30\t/etc/passwd\ty\n", {FIRST + 39, 1, ""}, {0}, {0}, 99},
};

Test(id_registry, whatever_touches_a_range_takes_it)
{
        const struct id_ranges ranges = {{FIRST, FIRST}, 4, SIZE, {0, 0}};
        struct fixture fixture;

        fixture_init(&fixture);
        cr_assert_eq(mkdir(fixture.state, 0755), 0);
        for (size_t i = 0; i < ARRAY_SIZE(busy); i++) {
                struct id_owner user = busy[i].user, group = busy[i].group;
                const struct id_taken taken = {
                        {{&user, user.count > 0, 0}, {&group, group.count > 0, 0}}};
                struct id_key key = {fixture.file,           "a", NULL, 0, &busy[i].claim,
                                     busy[i].claim.count > 0};
                struct error error = ERROR_INIT;
                uint32_t first[ID_KINDS] = {FIRST + 99};
                struct id_registry registry;

                write_file(fixture.ids, busy[i].lines);
                cr_assert_eq(id_registry_open(&registry, fixture.state, true, &error), 0, "%s",
                             error.text);
                id_registry_assign(&registry, &ranges, &key, &taken, first, &error);
                cr_expect_eq(first[ID_USERS] - FIRST, busy[i].expected, "%s: %u, not %u",
                             busy[i].what, first[ID_USERS] - FIRST, busy[i].expected);
                id_registry_finish(&registry);
        }
        fixture_finish(&fixture);
}

static int claim(struct fixture *fixture, const char *application, struct id_claim wanted,
                 struct error *error)
{
        struct id_key key = {fixture->file, application, NULL, 0, &wanted, 1};
        struct id_registry registry;
        int r = id_registry_open(&registry, fixture->state, true, error);

        if (r == 0)
                r = id_registry_claim(&registry, &key, &wanted, 1, error);
        id_registry_finish(&registry);
        return r;
}

Test(id_registry, what_is_claimed_is_nobody_elses)
{
        struct fixture fixture;
        struct error error = ERROR_INIT;

        fixture_init(&fixture);
        cr_expect_eq(claim(&fixture, "a", (struct id_claim){ID_USERS, FIRST + 15, 3}, &error), 0);
        cr_expect_eq(claim(&fixture, "a", (struct id_claim){ID_USERS, FIRST + 16, 1}, &error), 0);
        cr_expect_eq(claim(&fixture, "b", (struct id_claim){ID_USERS, FIRST + 18, 1}, &error), 0);
        cr_expect_eq(claim(&fixture, "b", (struct id_claim){ID_GROUPS, FIRST + 15, 1}, &error), 0);
        cr_expect_eq(claim(&fixture, "b", (struct id_claim){ID_USERS, FIRST + 17, 9}, &error),
                     -EEXIST);
        cr_expect(strstr(error.text, "application a of "), "%s", error.text);
        cr_expect(error.remedy[0]);
        expect_id(&fixture, 0, FIRST);
        expect_id(&fixture, 1, FIRST + 20);
        cr_expect_eq(claim(&fixture, "b", (struct id_claim){ID_USERS, FIRST + 9, 1}, &error),
                     -EEXIST);
        cr_expect(strstr(error.text, "application app0 of "), "%s", error.text);
        /* Claims survive on the disk, with "-" for what they have none of. */
        cr_expect(strstr(read_text(fixture.ids), "-\t1879048207\t1\t"));
        fixture_finish(&fixture);
}

Test(id_registry, a_full_range_is_reclaimed_then_refused)
{
        struct fixture fixture;
        char gone[256];

        fixture_init(&fixture);
        expect_id(&fixture, 1, FIRST);
        expect_id(&fixture, 2, FIRST + 10);
        /* A file that is no more, and an application that this file has no longer. */
        cr_assert_eq(mkdir(fixture.state, 0755), -1);
        snprintf(gone, sizeof(gone), "%s%u\t-\t10\t/nowhere/x.json\ta\n-\t%u\t10\t%s\told\n",
                 read_text(fixture.ids), FIRST + 20, FIRST + 30, fixture.file);
        write_file(fixture.ids, gone);
        expect_id(&fixture, 3, FIRST + 20);
        expect_id(&fixture, 4, FIRST + 30);
        expect_id(&fixture, 1, FIRST);
        expect_refused(&fixture, ENOSPC,
                       "all ids from 1879048192 to 1879048231 are taken, in ranges of 10");
        expect_id(&fixture, 2, FIRST + 10);
        fixture_finish(&fixture);
}

Test(id_registry, a_changed_range_is_obeyed)
{
        struct fixture fixture;
        char line[256];

        fixture_init(&fixture);
        cr_assert_eq(mkdir(fixture.state, 0755), 0);
        /* The old ones stay its own: there are files of theirs. */
        snprintf(line, sizeof(line), "5000\t5000\t10\t%s\tapp0\n", fixture.file);
        write_file(fixture.ids, line);
        expect_id(&fixture, 0, FIRST);
        expect_id(&fixture, 0, FIRST);
        snprintf(line, sizeof(line), "5000\t5000\t10\t%s\tapp0\n%u\t%u\t10\t%s\tapp0\n",
                 fixture.file, FIRST, FIRST, fixture.file);
        cr_expect_str_eq(read_text(fixture.ids), line);
        fixture_finish(&fixture);
}

Test(id_registry, a_torn_last_line_was_never_given)
{
        struct fixture fixture;
        char text[256];

        fixture_init(&fixture);
        expect_id(&fixture, 0, FIRST);
        snprintf(text, sizeof(text), "%s%u\t%u\t10\t/etc/x", read_text(fixture.ids), FIRST + 10,
                 FIRST + 10);
        write_file(fixture.ids, text);
        expect_id(&fixture, 1, FIRST + 10);
        expect_id(&fixture, 0, FIRST);
        snprintf(text, sizeof(text), "%u\t%u\t10\t%s\tapp0\n%u\t%u\t10\t%s\tapp1\n", FIRST, FIRST,
                 fixture.file, FIRST + 10, FIRST + 10, fixture.file);
        cr_expect_str_eq(read_text(fixture.ids), text);
        fixture_finish(&fixture);
}

/* Each is the second line of a file; nothing is believed then, and nothing changed. */
static const struct {
        const char *line, *text;
} garbage[] = {
        {"", "ids line 2: it does not start"},
        {"x\tx\t1\t/a\tb", "ids line 2: it does not start"},
        {"0\t5\t1\t/a\tb", "ids line 2: it does not start"},
        {"5\t0\t1\t/a\tb", "ids line 2: it does not start"},
        {"-5\t5\t1\t/a\tb", "ids line 2"},
        {" 5\t5\t1\t/a\tb", "ids line 2"},
        {"4294967295\t5\t1\t/a\tb", "ids line 2"},
        {"99999999999999999999\t5\t1\t/a\tb", "ids line 2"},
        {"-\t-\t1\t/a\tb", "ids line 2: its number of ids"},
        {"5000\t-\t0\t/a\tb", "ids line 2: its number of ids"},
        {"5000\t-\t-\t/a\tb", "ids line 2: its number of ids"},
        {"5000\t-\t4294962296\t/a\tb", "ids line 2: its number of ids"},
        {"-\t5000\t4294962296\t/a\tb", "ids line 2: its number of ids"},
        {"5000\t/a\tb", "ids line 2: it does not start"},
        {"5000 5000 1 /a b", "ids line 2"},
        {"5000\t5000\t1\t/a", "a path and an application were expected"},
        {"5000\t5000\t1\ta\tb", "ids line 2"},
        {"5000\t5000\t1\t/a\t", "ids line 2"},
        {"5000\t5000\t1\t/a\tb\tc", "ids line 2"},
        {"5000\t5000\t1\t/a\\x\tb", "ids line 2"},
        {"5000\t5000\t1\t/a\tb\\", "ids line 2"},
        {"4999\t-\t1\t/a\tb", "ids line 2: id 4999 has an owner already, in line 1"},
        {"4000\t-\t1000\t/a\tb", "ids line 2: id 4999 has an owner already, in line 1"},
        {"-\t6000\t5\t/a\tb", "ids line 2: id 6000 has an owner already, in line 1"},
        {"-\t6001\t1\t/first\tanother", "ids line 2: id 6001 has an owner already, in line 1"},
};

Test(id_registry, garbage_is_refused)
{
        struct fixture fixture;

        fixture_init(&fixture);
        cr_assert_eq(mkdir(fixture.state, 0755), 0);
        for (size_t i = 0; i < ARRAY_SIZE(garbage); i++) {
                char text[256];

                snprintf(text, sizeof(text), "4999\t6000\t2\t/first\tone\n%s\n", garbage[i].line);
                write_file(fixture.ids, text);
                expect_refused(&fixture, EINVAL, garbage[i].text);
                cr_expect_str_eq(read_text(fixture.ids), text);
        }
        fixture_finish(&fixture);
}

Test(id_registry, what_others_can_write_is_refused)
{
        struct fixture fixture;
        char elsewhere[160];

        fixture_init(&fixture);
        cr_assert_eq(mkdir(fixture.state, 0755), 0);
        cr_assert_eq(chmod(fixture.state, 0775), 0);
        expect_refused(&fixture, EPERM, "mode 0775");
        cr_assert_eq(chmod(fixture.state, 01777), 0);
        expect_refused(&fixture, EPERM, "mode 1777");
        cr_assert_eq(chmod(fixture.state, 0755), 0);
        write_file(fixture.ids, "");
        cr_assert_eq(chmod(fixture.ids, 0620), 0);
        expect_refused(&fixture, EPERM, "mode 0620");
        cr_assert_eq(unlink(fixture.ids), 0);

        snprintf(elsewhere, sizeof(elsewhere), "%s/elsewhere", fixture.directory);
        write_file(elsewhere, "");
        cr_assert_eq(symlink(elsewhere, fixture.ids), 0);
        expect_refused(&fixture, ELOOP, "state/ids");
        cr_assert_eq(unlink(fixture.ids), 0);
        cr_assert_eq(mkfifo(fixture.ids, 0600), 0);
        expect_refused(&fixture, EINVAL, "not a regular file");
        cr_assert_eq(unlink(fixture.ids), 0);

        cr_assert_eq(rmdir(fixture.state), 0);
        cr_assert_eq(symlink("/var", fixture.state), 0);
        expect_refused(&fixture, ENOTDIR, "state");
        fixture_finish(&fixture);
}

Test(id_registry, another_owner_is_refused)
{
        struct fixture fixture;

        need_root();
        fixture_init(&fixture);
        cr_assert_eq(mkdir(fixture.state, 0755), 0);
        cr_assert_eq(chown(fixture.state, USER, USER), 0);
        expect_refused(&fixture, EPERM, "owner 23456");
        fixture_finish(&fixture);
}

/* Eight processes at once, three ids each. */
Test(id_registry, assigned_at_once_they_differ)
{
        struct fixture fixture;
        bool seen[24] = {false};
        int pipes[2], fd = -1;
        uint32_t id;

        fixture_init(&fixture);
        fixture.config.settings.id_count = ARRAY_SIZE(seen);
        cr_assert_eq(pipe2(pipes, O_CLOEXEC), 0);
        for (size_t child = 0; child < 8; child++) {
                struct error error = ERROR_INIT;

                if (fork() != 0)
                        continue;
                for (size_t i = 0; i < 3; i++) {
                        snprintf(fixture.names[i], sizeof(fixture.names[i]), "c%zu-%zu", child, i);
                        id = 0;
                        if (assign(&fixture, i, true, &id, &error) < 0)
                                fprintf(stderr, "%s\n", error.text);
                        fd_write_full(pipes[1], &id, sizeof(id));
                }
                _exit(0);
        }
        close(pipes[1]);
        fd = pipes[0];
        for (size_t i = 0; i < ARRAY_SIZE(seen); i++) {
                cr_assert_eq(fd_read_full(fd, &id, sizeof(id)), sizeof(id));
                cr_assert(id >= FIRST && (id - FIRST) % SIZE == 0, "%u", id);
                id = (id - FIRST) / SIZE;
                cr_assert(id < ARRAY_SIZE(seen), "%u", id);
                cr_expect(!seen[id], "range %u was given twice", id);
                seen[id] = true;
        }
        while (wait(NULL) > 0)
                ;
        fixture_finish(&fixture);
}

/* The file is replaced while others wait for its lock. */
Test(id_registry, replaced_at_once_they_differ)
{
        struct fixture fixture;
        char text[512];
        int wrong = 0, status;

        fixture_init(&fixture);
        cr_assert_eq(mkdir(fixture.state, 0755), 0);
        for (int round = 0; round < 10; round++) {
                snprintf(text, sizeof(text),
                         "%u\t-\t10\t/nowhere\ta\n%u\t-\t10\t/nowhere\tb\n"
                         "%u\t-\t10\t/nowhere\tc\n%u\t-\t10\t/nowhere\td\n",
                         FIRST, FIRST + 10, FIRST + 20, FIRST + 30);
                write_file(fixture.ids, text);
                for (size_t child = 0; child < 4; child++) {
                        struct error error = ERROR_INIT;
                        uint32_t id;

                        if (fork() == 0)
                                _exit(assign(&fixture, child, true, &id, &error) < 0
                                              ? 255
                                              : (int)((id - FIRST) / SIZE));
                }
                for (int seen = 0, i = 0; i < 4; i++) {
                        cr_assert(wait(&status) > 0);
                        status = WEXITSTATUS(status);
                        wrong += status > 3 || (seen & (1 << status));
                        seen |= 1 << (status & 7);
                }
        }
        cr_expect_eq(wrong, 0);
        fixture_finish(&fixture);
}
