#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <sys/wait.h>

#include "ids_fixture.h"
#include "runtime/compile/id_registry.h"

/* One id through a registry of its own, as each call of ids_assign does. */
static int assign(struct fixture *fixture, size_t index, bool remember, uint32_t *ret_id,
                  struct error *error)
{
        const struct id_range range = {FIRST, fixture->config.settings.id_count, FIRST};
        const char *names[8];
        struct id_key key = {fixture->file, fixture->names[index], names, 8};
        struct id_registry registry;
        int r;

        for (size_t i = 0; i < ARRAY_SIZE(names); i++)
                names[i] = fixture->names[i];
        r = id_registry_open(&registry, fixture->state, remember, error);
        if (r == 0)
                r = id_registry_assign(&registry, &range, &key, ret_id, error);
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
        expect_id(&fixture, 1, FIRST + 1);
        expect_id(&fixture, 3, FIRST);
        snprintf(expected, sizeof(expected), "%u\t%s\tapp3\n%u\t%s\tapp1\n", FIRST, fixture.file,
                 FIRST + 1, fixture.file);
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
        expect_id(&fixture, 0, FIRST + 1);
        fixture_finish(&fixture);
}

Test(id_registry, odd_names_survive)
{
        struct fixture fixture;

        fixture_init(&fixture);
        snprintf(fixture.names[0], sizeof(fixture.names[0]), "a\tb\\n\nc");
        snprintf(fixture.names[1], sizeof(fixture.names[1]), "a\tb\\n\nd");
        expect_id(&fixture, 0, FIRST);
        expect_id(&fixture, 1, FIRST + 1);
        expect_id(&fixture, 0, FIRST);
        fixture_finish(&fixture);
}

Test(id_registry, ids_of_accounts_are_passed_over)
{
        struct fixture fixture;
        struct error error = ERROR_INIT;
        const struct id_range range = {0, 3, 0}; /* root, daemon, bin on every Debian and Fedora */
        const struct id_range last = {UINT32_MAX - 1, 2, UINT32_MAX - 1};
        struct id_key key;
        struct id_registry registry;
        uint32_t id;

        fixture_init(&fixture);
        key = (struct id_key){fixture.file, "a", (const char *const[]){"a", "b"}, 2};
        cr_assert_eq(id_registry_open(&registry, fixture.state, true, &error), 0, "%s", error.text);
        if (getpwuid(1) && getpwuid(2))
                cr_expect_eq(id_registry_assign(&registry, &range, &key, &id, &error), -ENOSPC);
        cr_expect_eq(id_registry_assign(&registry, &last, &key, &id, &error), 0);
        cr_expect_eq(id, UINT32_MAX - 1);
        key.application = "b";
        cr_expect_eq(id_registry_assign(&registry, &last, &key, &id, &error), -ENOSPC,
                     "(uid_t)-1 is no id");
        id_registry_finish(&registry);
        fixture_finish(&fixture);
}

Test(id_registry, an_id_that_became_an_account_is_refused)
{
        struct fixture fixture;
        struct error error = ERROR_INIT;
        const struct id_range range = {1, 10, 1};
        struct id_key key;
        struct id_registry registry;
        char line[256];
        uint32_t id;

        fixture_init(&fixture);
        cr_assert(getpwuid(1));
        cr_assert_eq(mkdir(fixture.state, 0755), 0);
        snprintf(line, sizeof(line), "1\t%s\ta\n", fixture.file);
        write_file(fixture.ids, line);
        key = (struct id_key){fixture.file, "a", NULL, 0};
        cr_assert_eq(id_registry_open(&registry, fixture.state, true, &error), 0, "%s", error.text);
        cr_expect_eq(id_registry_assign(&registry, &range, &key, &id, &error), -EEXIST);
        cr_expect(strstr(error.text, "id 1,"), "%s", error.text);
        id_registry_finish(&registry);
        fixture_finish(&fixture);
}

Test(id_registry, a_full_range_is_reclaimed_then_refused)
{
        struct fixture fixture;
        char gone[256];

        fixture_init(&fixture);
        expect_id(&fixture, 1, FIRST);
        expect_id(&fixture, 2, FIRST + 1);
        /* A file that is no more, and an application that this file has no longer. */
        cr_assert_eq(mkdir(fixture.state, 0755), -1);
        snprintf(gone, sizeof(gone), "%s%u\t/nowhere/x.json\ta\n%u\t%s\told\n",
                 read_text(fixture.ids), FIRST + 2, FIRST + 3, fixture.file);
        write_file(fixture.ids, gone);
        expect_id(&fixture, 3, FIRST + 2);
        expect_id(&fixture, 4, FIRST + 3);
        expect_id(&fixture, 1, FIRST);
        expect_refused(&fixture, ENOSPC, "all ids from 1879048192 to 1879048195 are taken");
        expect_id(&fixture, 2, FIRST + 1);
        fixture_finish(&fixture);
}

Test(id_registry, a_changed_range_is_obeyed)
{
        struct fixture fixture;
        char line[256];

        fixture_init(&fixture);
        cr_assert_eq(mkdir(fixture.state, 0755), 0);
        snprintf(line, sizeof(line), "5000\t%s\tapp0\n5001\t%s\tapp1\n", fixture.file,
                 fixture.file);
        write_file(fixture.ids, line);
        expect_id(&fixture, 0, FIRST);
        snprintf(line, sizeof(line), "5001\t%s\tapp1\n%u\t%s\tapp0\n", fixture.file, FIRST,
                 fixture.file);
        cr_expect_str_eq(read_text(fixture.ids), line);
        fixture_finish(&fixture);
}

Test(id_registry, a_torn_last_line_was_never_given)
{
        struct fixture fixture;
        char text[256];

        fixture_init(&fixture);
        expect_id(&fixture, 0, FIRST);
        snprintf(text, sizeof(text), "%s%u\t/etc/x", read_text(fixture.ids), FIRST + 1);
        write_file(fixture.ids, text);
        expect_id(&fixture, 1, FIRST + 1);
        expect_id(&fixture, 0, FIRST);
        snprintf(text, sizeof(text), "%u\t%s\tapp0\n%u\t%s\tapp1\n", FIRST, fixture.file, FIRST + 1,
                 fixture.file);
        cr_expect_str_eq(read_text(fixture.ids), text);
        fixture_finish(&fixture);
}

/* Each is the second line of a file; nothing is believed then, and nothing changed. */
static const struct {
        const char *line, *text;
} garbage[] = {
        {"", "ids line 2: it does not start"},
        {"x\t/a\tb", "ids line 2: it does not start"},
        {"0\t/a\tb", "ids line 2"},
        {"-5\t/a\tb", "ids line 2"},
        {" 5\t/a\tb", "ids line 2"},
        {"4294967295\t/a\tb", "ids line 2"},
        {"99999999999999999999\t/a\tb", "ids line 2"},
        {"5000 /a b", "ids line 2"},
        {"5000\t/a", "an id, a path and an application were expected"},
        {"5000\ta\tb", "ids line 2"},
        {"5000\t/a\t", "ids line 2"},
        {"5000\t/a\tb\tc", "ids line 2"},
        {"5000\t/a\\x\tb", "ids line 2"},
        {"5000\t/a\tb\\", "ids line 2"},
        {"4999\t/a\tb", "ids line 2: id 4999 has an owner already, in line 1"},
};

Test(id_registry, garbage_is_refused)
{
        struct fixture fixture;

        fixture_init(&fixture);
        cr_assert_eq(mkdir(fixture.state, 0755), 0);
        for (size_t i = 0; i < ARRAY_SIZE(garbage); i++) {
                char text[256];

                snprintf(text, sizeof(text), "4999\t/first\tone\n%s\n", garbage[i].line);
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
                cr_assert(id >= FIRST && id < FIRST + ARRAY_SIZE(seen), "%u", id);
                cr_expect(!seen[id - FIRST], "%u was given twice", id);
                seen[id - FIRST] = true;
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
                         "%u\t/nowhere\ta\n%u\t/nowhere\tb\n%u\t/nowhere\tc\n"
                         "%u\t/nowhere\td\n",
                         FIRST, FIRST + 1, FIRST + 2, FIRST + 3);
                write_file(fixture.ids, text);
                for (size_t child = 0; child < 4; child++) {
                        struct error error = ERROR_INIT;
                        uint32_t id;

                        if (fork() == 0)
                                _exit(assign(&fixture, child, true, &id, &error) < 0
                                              ? 255
                                              : (int)(id - FIRST));
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
