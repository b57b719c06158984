#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <jansson.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/own.h"
#include "runtime/supervisor/output.h"

/* A loop, a log that can be read back, and an application with two sinks. */
struct fixture {
        char directory[64], path[128];
        sd_event *event;
        FILE *events; /* the log, a file of ours */
        struct log log;
        struct budget budget;
        struct output_sink out, err;
};

static uint64_t now_us(void)
{
        struct timespec now;

        clock_gettime(CLOCK_MONOTONIC, &now);
        return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

static void fixture_init(struct fixture *fixture, const char *path)
{
        struct error error = ERROR_INIT;

        *fixture = (struct fixture){.directory = "/tmp/clade-output-XXXXXX"};
        cr_assert(mkdtemp(fixture->directory));
        snprintf(fixture->path, sizeof(fixture->path), "%s/%s", fixture->directory,
                 path ? path : "log");
        cr_assert_geq(sd_event_new(&fixture->event), 0);
        fixture->events = tmpfile();
        fixture->log = (struct log){.fd = fileno(fixture->events), .format = LOG_JSON};
        budget_init(&fixture->budget, OUTPUT_BURST, OUTPUT_RATE, now_us());
        cr_assert_eq(output_sink_init(&fixture->out, &fixture->log, "hello", "stdout",
                                      path ? fixture->path : NULL, PATH_LINKS_OF_OURS,
                                      &fixture->budget, &error),
                     0, "%s", error.text);
        cr_assert_eq(output_sink_init(&fixture->err, &fixture->log, "hello", "stderr", NULL,
                                      PATH_LINKS_OF_OURS, &fixture->budget, &error),
                     0);
        signal(SIGPIPE, SIG_IGN);
}

static int remove_entry(const char *path, const struct stat *st, int type, struct FTW *where)
{
        (void)st, (void)type, (void)where;
        return remove(path);
}

static void fixture_finish(struct fixture *fixture)
{
        output_sink_finish(&fixture->out);
        output_sink_finish(&fixture->err);
        sd_event_unref(fixture->event);
        fclose(fixture->events);
        nftw(fixture->directory, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
}

static struct output *create(struct fixture *fixture, struct output_sink *sink, int *ret_writer)
{
        struct error error = ERROR_INIT;
        struct output *output = NULL;

        cr_assert_eq(output_create(fixture->event, sink, &output, ret_writer, &error), 0, "%s",
                     error.text);
        return output;
}

/* Turns of the loop until nothing has happened for `quiet_ms`. How many there were. */
static unsigned run(struct fixture *fixture, unsigned quiet_ms)
{
        unsigned turns = 0;

        while (sd_event_run(fixture->event, (uint64_t)quiet_ms * 1000) > 0)
                turns++;
        return turns;
}

static void say(int fd, const char *text)
{
        cr_assert_eq(fd_write_full(fd, text, strlen(text)), 0);
}

static void repeat(int fd, char byte, size_t count)
{
        char block[1024];

        memset(block, byte, sizeof(block));
        for (; count > 0; count -= count < sizeof(block) ? count : sizeof(block))
                cr_assert_eq(
                        fd_write_full(fd, block, count < sizeof(block) ? count : sizeof(block)), 0);
}

/* The next event of the log, or NULL. */
static json_t *next(struct fixture *fixture)
{
        static char line[LOG_EVENT_MAX];
        json_t *object;

        clearerr(fixture->events);
        if (!fgets(line, sizeof(line), fixture->events))
                return NULL;
        object = json_loads(line, JSON_ALLOW_NUL, NULL);
        cr_assert(object, "%s", line);
        return object;
}

/* From the beginning of the log: reading and writing share one position. */
static void reread(struct fixture *fixture)
{
        rewind(fixture->events);
}

static void expect_output(struct fixture *fixture, int pid, int isolated_pid, bool partial,
                          const char *text)
{
        json_t *object = next(fixture);
        const char *got;

        cr_assert(object, "no event where \"%s\" was expected", text);
        cr_expect_str_eq(json_string_value(json_object_get(object, "event")), "output");
        cr_expect_str_eq(json_string_value(json_object_get(object, "level")), "info");
        cr_expect_str_eq(json_string_value(json_object_get(object, "application")), "hello");
        cr_expect_eq(json_integer_value(json_object_get(object, "pid")), pid);
        cr_expect_eq(json_integer_value(json_object_get(object, "isolated_pid")), isolated_pid);
        cr_expect_eq(json_object_get(object, "pid") != NULL, pid != 0);
        cr_expect_eq(json_object_get(object, "partial") != NULL, partial);
        got = json_string_value(json_object_get(object, "text"));
        cr_expect_str_eq(got, text);
        json_decref(object);
}

static size_t count_events(struct fixture *fixture, const char *event)
{
        json_t *object;
        size_t count = 0;

        reread(fixture);
        while ((object = next(fixture))) {
                count += strcmp(json_string_value(json_object_get(object, "event")), event) == 0;
                json_decref(object);
        }
        return count;
}

Test(output, lines)
{
        struct fixture fixture;
        struct output *output;
        int writer;

        fixture_init(&fixture, NULL);
        output = create(&fixture, &fixture.out, &writer);
        cr_expect(!(fcntl(writer, F_GETFL) & O_NONBLOCK));
        cr_expect(fcntl(writer, F_GETFD) & FD_CLOEXEC);
        output_assign(output, 0, 0);
        say(writer, "early\n");
        run(&fixture, 0);
        output_assign(output, 123, 4);
        say(writer, "one\n\ntw");
        run(&fixture, 0);
        say(writer, "o\nthree");
        run(&fixture, 0);
        close(writer);
        run(&fixture, 0);
        output = output_destroy(output, &(uint64_t){OUTPUT_TURN});
        reread(&fixture);
        expect_output(&fixture, 0, 0, false, "early");
        expect_output(&fixture, 123, 4, false, "one");
        expect_output(&fixture, 123, 4, false, "");
        expect_output(&fixture, 123, 4, false, "two");
        expect_output(&fixture, 123, 4, false, "three");
        cr_expect_eq(next(&fixture), NULL);
        fixture_finish(&fixture);
}

Test(output, long_lines_are_cut)
{
        static char x[OUTPUT_LINE_MAX + 1], y[OUTPUT_LINE_MAX + 1];
        struct fixture fixture;
        struct output *output;
        int writer;

        fixture_init(&fixture, NULL);
        output = create(&fixture, &fixture.out, &writer);
        output_assign(output, 1, 2);
        memset(x, 'x', OUTPUT_LINE_MAX);
        repeat(writer, 'x', 2 * OUTPUT_LINE_MAX + 10);
        say(writer, "\n");
        /* A character that straddles the cut belongs to the next piece, whole. */
        repeat(writer, 'y', OUTPUT_LINE_MAX - 2);
        say(writer, "\xe2\x82\xac.\n");
        memset(y, 'y', OUTPUT_LINE_MAX - 2);
        run(&fixture, 0);
        reread(&fixture);
        expect_output(&fixture, 1, 2, true, x);
        expect_output(&fixture, 1, 2, true, x);
        expect_output(&fixture, 1, 2, false, "xxxxxxxxxx");
        expect_output(&fixture, 1, 2, true, y);
        expect_output(&fixture, 1, 2, false, "\xe2\x82\xac.");
        cr_expect_eq(next(&fixture), NULL);
        output_destroy(output, &(uint64_t){OUTPUT_TURN});
        close(writer);
        fixture_finish(&fixture);
}

Test(output, a_new_owner_gets_its_own_lines)
{
        struct fixture fixture;
        struct output *output;
        int writer;

        fixture_init(&fixture, NULL);
        output = create(&fixture, &fixture.err, &writer);
        output_assign(output, 10, 2);
        say(writer, "last words\nand half");
        output_assign(output, 0, 0);
        /* What a new worker says before its pids are known is the new worker's. */
        say(writer, "hello\n");
        output_assign(output, 11, 3);
        run(&fixture, 0);
        say(writer, "unread at the end\n");
        output_destroy(output, &(uint64_t){OUTPUT_TURN});
        reread(&fixture);
        expect_output(&fixture, 10, 2, false, "last words");
        expect_output(&fixture, 10, 2, false, "and half");
        expect_output(&fixture, 11, 3, false, "hello");
        expect_output(&fixture, 11, 3, false, "unread at the end");
        close(writer);
        fixture_finish(&fixture);
}

/* A worker can be quicker than the word of its prototype that there is one. */
Test(output, a_writer_who_is_not_known_yet_is_not_read)
{
        struct fixture fixture;
        struct output *output;
        int writer;

        fixture_init(&fixture, NULL);
        output = create(&fixture, &fixture.err, &writer);
        output_assign(output, 10, 2);
        say(writer, "the old one\n");
        output_hold(output);
        say(writer, "the new one\n");
        run(&fixture, 50);
        output_assign(output, 11, 3);
        run(&fixture, 50);
        reread(&fixture);
        expect_output(&fixture, 10, 2, false, "the old one");
        expect_output(&fixture, 11, 3, false, "the new one");
        output_destroy(output, &(uint64_t){OUTPUT_TURN});
        close(writer);
        fixture_finish(&fixture);
}

/* All pipes of an incarnation have one allowance in the end; what it does not cover is told, not forgotten. */
Test(output, the_end_is_bounded)
{
        struct fixture fixture;
        uint64_t allowance = 100 * OUTPUT_LINE_COST;
        struct output *output, *other;
        int writer, other_writer;
        size_t lines;

        fixture_init(&fixture, NULL);
        output = create(&fixture, &fixture.out, &writer);
        other = create(&fixture, &fixture.err, &other_writer);
        output_assign(output, 1, 2);
        output_assign(other, 1, 2);
        repeat(writer, '\n', 5000);
        repeat(other_writer, '\n', 5000);
        output_destroy(output, &allowance);
        cr_expect_eq(allowance, 0);
        output_destroy(other, &allowance);
        lines = count_events(&fixture, "output");
        cr_expect(lines >= 100 && lines <= 600, "%zu lines", lines);
        cr_expect_eq(count_events(&fixture, "output-dropped"), 2);
        close(writer);
        close(other_writer);
        fixture_finish(&fixture);
}

Test(output, no_spin_after_the_end)
{
        struct fixture fixture;
        struct output *output;
        int writer;

        fixture_init(&fixture, NULL);
        output = create(&fixture, &fixture.out, &writer);
        close(writer);
        cr_expect_leq(run(&fixture, 100), 3);
        output_destroy(output, &(uint64_t){OUTPUT_TURN});
        fixture_finish(&fixture);
}

/* One process writes as fast as it can, for ever; another application writes a line now and then. */
static void flood(struct fixture *fixture, const char *block, size_t size)
{
        struct budget other_budget;
        struct output_sink other_sink;
        struct output *output, *other;
        struct error error = ERROR_INIT;
        int writer, other_writer;
        uint64_t begin, start, slowest = 0;
        size_t read_bytes = 0, throttled, lines;
        json_t *object;
        pid_t pid;

        budget_init(&other_budget, OUTPUT_BURST, OUTPUT_RATE, now_us());
        output_sink_init(&other_sink, &fixture->log, "other", "stdout", NULL, PATH_LINKS_OF_OURS,
                         &other_budget, &error);
        output = create(fixture, &fixture->out, &writer);
        other = create(fixture, &other_sink, &other_writer);
        output_assign(output, 1, 1);
        output_assign(other, 2, 2);
        pid = fork();
        if (pid == 0) {
                while (fd_write_full(writer, block, size) == 0)
                        ;
                _exit(0);
        }
        close(writer);
        begin = now_us();
        for (int i = 0; i < 24; i++) {
                start = now_us();
                say(other_writer, "still here\n");
                while (now_us() - start < 100000)
                        sd_event_run(fixture->event, 10000);
        }
        begin = now_us() - begin;
        kill(pid, SIGKILL);
        waitpid(pid, NULL, 0);
        output_destroy(output, &(uint64_t){OUTPUT_TURN});
        output_destroy(other, &(uint64_t){OUTPUT_TURN});
        output_sink_finish(&other_sink);
        close(other_writer);

        reread(fixture);
        for (lines = 0; (object = next(fixture)); json_decref(object)) {
                const char *event = json_string_value(json_object_get(object, "event"));

                if (strcmp(json_string_value(json_object_get(object, "application")), "other") == 0)
                        lines++;
                else if (strcmp(event, "output") == 0)
                        read_bytes += OUTPUT_LINE_COST +
                                      json_string_length(json_object_get(object, "text"));
        }
        throttled = count_events(fixture, "output-throttled");
        cr_expect_eq(lines, 24);
        cr_expect(throttled >= 1 && throttled <= begin / 1000000 + 1, "%zu", throttled);
        /* What the bucket held and got since, one chunk beyond it, and the last drain. */
        slowest = OUTPUT_BURST + (uint64_t)OUTPUT_RATE * begin / 1000000;
        cr_expect_leq(read_bytes, slowest + 3 * 8192 * (OUTPUT_LINE_COST + 1));
        cr_expect_geq(read_bytes, slowest / 2, "%zu of %zu", read_bytes, (size_t)slowest);
}

Test(output, a_flood_of_lines_waits, .timeout = 30)
{
        struct fixture fixture;
        char block[8000];

        memset(block, 'z', sizeof(block));
        for (size_t i = 99; i < sizeof(block); i += 100)
                block[i] = '\n';
        fixture_init(&fixture, NULL);
        flood(&fixture, block, sizeof(block));
        fixture_finish(&fixture);
}

Test(output, a_flood_of_empty_lines_waits, .timeout = 30)
{
        struct fixture fixture;
        char block[8000];

        memset(block, '\n', sizeof(block));
        fixture_init(&fixture, NULL);
        flood(&fixture, block, sizeof(block));
        fixture_finish(&fixture);
}

static const char *content(const char *path)
{
        static char text[4096];
        cleanup_file FILE *file = fopen(path, "re");
        size_t n = file ? fread(text, 1, sizeof(text) - 1, file) : 0;

        text[n] = '\0';
        return text;
}

Test(output, into_a_file)
{
        struct fixture fixture;
        struct output *output;
        struct error error = ERROR_INIT;
        struct stat st;
        int writer;

        umask(022);
        fixture_init(&fixture, "log");
        output = create(&fixture, &fixture.out, &writer);
        output_assign(output, 1, 2);
        say(writer, "raw \x1b[1m\xff\nhalf");
        run(&fixture, 0);
        cr_expect_str_eq(content(fixture.path), "raw \x1b[1m\xff\nhalf");
        cr_assert_eq(stat(fixture.path, &st), 0);
        cr_expect_eq(st.st_mode, S_IFREG | 0640);

        /* A second start appends. */
        output_sink_finish(&fixture.out);
        cr_assert_eq(output_sink_init(&fixture.out, &fixture.log, "hello", "stdout", fixture.path,
                                      PATH_LINKS_OF_OURS, &fixture.budget, &error),
                     0);
        say(writer, "!");
        run(&fixture, 0);
        cr_expect_str_eq(content(fixture.path), "raw \x1b[1m\xff\nhalf!");
        output_destroy(output, &(uint64_t){OUTPUT_TURN});
        reread(&fixture);
        cr_expect_eq(next(&fixture), NULL);
        close(writer);
        fixture_finish(&fixture);
}

Test(output, a_full_disk_is_told, .timeout = 20)
{
        struct fixture fixture;
        struct error error = ERROR_INIT;
        struct output *output;
        json_int_t told = 0;
        json_t *object;
        int writer;
        uint64_t begin;
        size_t events = 0;

        fixture_init(&fixture, NULL);
        cr_assert_eq(output_sink_init(&fixture.out, &fixture.log, "hello", "stdout", "/dev/full",
                                      PATH_LINKS_OF_OURS, &fixture.budget, &error),
                     0, "%s", error.text);
        output = create(&fixture, &fixture.out, &writer);
        begin = now_us();
        for (int i = 0; i < 30; i++) {
                say(writer, "0123456789");
                run(&fixture, 50);
        }
        begin = now_us() - begin;
        output_destroy(output, &(uint64_t){OUTPUT_TURN});
        cr_expect_eq(fixture.out.dropped, 300);
        output_sink_finish(&fixture.out);
        reread(&fixture);
        for (; (object = next(&fixture)); json_decref(object), events++) {
                cr_expect_str_eq(json_string_value(json_object_get(object, "event")),
                                 "output-dropped");
                cr_expect_str_eq(json_string_value(json_object_get(object, "errno")), "ENOSPC");
                told += json_integer_value(json_object_get(object, "bytes"));
                cr_expect_eq(json_integer_value(json_object_get(object, "bytes_total")), told);
        }
        cr_expect_eq(told, 300);
        cr_expect(events >= 2 && events <= begin / 1000000 + 2, "%zu events", events);
        close(writer);
        fixture_finish(&fixture);
}

/* What a path may be. */
static void expect_path(struct fixture *fixture, const char *name, int code, const char *text)
{
        struct error error = ERROR_INIT;
        struct output_sink sink;
        char path[256];
        int r;

        snprintf(path, sizeof(path), "%s%s%s", name[0] == '/' ? "" : fixture->directory,
                 name[0] == '/' ? "" : "/", name);
        r = output_sink_init(&sink, &fixture->log, "a", "stdout", path, PATH_LINKS_OF_OURS,
                             &fixture->budget, &error);
        cr_expect_eq(r, -code, "%s: %d %s", path, r, error.text);
        if (r == 0)
                output_sink_finish(&sink);
        else
                cr_expect(strstr(error.text, text) && strstr(error.text, path) && error.remedy[0],
                          "%s", error.text);
}

Test(output, paths)
{
        struct fixture fixture;
        int previous;

        fixture_init(&fixture, NULL);
        previous = open(".", O_RDONLY | O_CLOEXEC);
        cr_assert_eq(chdir(fixture.directory), 0);
        cr_assert_eq(mkfifo("fifo", 0600), 0);
        cr_assert_eq(mkdir("dir", 0755), 0);
        cr_assert_eq(symlink("dir/real", "link"), 0);
        cr_assert_eq(symlink("dir", "dirlink"), 0);
        cr_assert_eq(symlink("dirlink/../link", "links"), 0);
        cr_assert_eq(symlink("loop", "loop"), 0);
        cr_assert_eq(symlink(fixture.directory, "home"), 0);

        expect_path(&fixture, "plain", 0, "");
        expect_path(&fixture, "dir/plain", 0, "");
        expect_path(&fixture, "link", 0, "");
        cr_expect_eq(access("dir/real", F_OK), 0);
        expect_path(&fixture, "dirlink/x", 0, "");
        cr_expect_eq(access("dir/x", F_OK), 0);
        expect_path(&fixture, "links", 0, "");
        expect_path(&fixture, "home/home//dir/./y", 0, "");
        cr_expect_eq(access("dir/y", F_OK), 0);
        expect_path(&fixture, "/dev/null", 0, "");
        expect_path(&fixture, "loop", ELOOP, "loop");
        expect_path(&fixture, "fifo", EINVAL, "neither a regular file");
        cleanup_fd int reader = open("fifo", O_RDONLY | O_NONBLOCK | O_CLOEXEC);
        expect_path(&fixture, "fifo", EINVAL, "neither a regular file");
        expect_path(&fixture, "dir", EISDIR, "dir");
        expect_path(&fixture, "dir/", EISDIR, "dir");
        expect_path(&fixture, "none/x", ENOENT, "none");
        expect_path(&fixture, "plain/x", ENOTDIR, "plain");
        cr_assert_eq(fchdir(previous), 0);
        close(previous);
        fixture_finish(&fixture);
}

/* Root appends nothing where a tenant's link leads. */
Test(output, links_of_others_are_not_followed)
{
        struct fixture fixture;
        char link[160], target[160], directory[160];

        if (geteuid() != 0)
                cr_skip_test("needs root to make another user's link");
        fixture_init(&fixture, NULL);
        snprintf(link, sizeof(link), "%s/log", fixture.directory);
        snprintf(directory, sizeof(directory), "%s/logs", fixture.directory);
        snprintf(target, sizeof(target), "%s/target", fixture.directory);
        cr_assert_eq(symlink(target, link), 0);
        expect_path(&fixture, "log", 0, "");
        cr_assert_eq(unlink(target), 0);
        cr_assert_eq(lchown(link, 23456, 23456), 0);
        expect_path(&fixture, "log", ELOOP, "symbolic link of user 23456");
        cr_assert_eq(symlink(fixture.directory, directory), 0);
        expect_path(&fixture, "logs/target", 0, "");
        cr_assert_eq(unlink(target), 0);
        cr_assert_eq(lchown(directory, 23456, 23456), 0);
        expect_path(&fixture, "logs/target", ELOOP, "symbolic link of user 23456");
        cr_expect(access(target, F_OK) < 0);
        fixture_finish(&fixture);
}
