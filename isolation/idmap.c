#include "isolation/idmap.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/own.h"

static int write_proc(pid_t pid, const char *name, const char *text, struct error *error)
{
        char path[64];
        cleanup_fd int fd = -1;

        snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, name);
        fd = open(path, O_WRONLY | O_CLOEXEC);
        if (fd < 0)
                return error_set(error, errno, "open of %s", path);
        if (write(fd, text, strlen(text)) < 0) {
                error_set(error, errno, "write of \"%s\" to %s", text, path);
                if (errno == EPERM)
                        error_remedy(error,
                                     "these ids are not ours to give: as root clade needs "
                                     "CAP_SETUID and CAP_SETGID and an id range that its own "
                                     "user namespace maps (settings.id_ranges)");
                return -error->code;
        }
        return 0;
}

/* A map as the kernel wants it, one line for each extent. The kernel takes one write, so all of it goes in
 * one. */
#define MAP_TEXT_SIZE (PLAN_EXTENTS_MAX * sizeof("4294967295 4294967295 4294967295, "))

static void format_map(const struct plan_id_map *map, const char *separator, char *text,
                       size_t room)
{
        size_t used = 0;

        text[0] = '\0';
        for (size_t i = 0; i < map->count; i++) {
                const struct plan_id_extent *extent = &map->extents[i];
                int n = snprintf(text + used, room - used, "%s%u %u %u", i ? separator : "",
                                 extent->inside, extent->outside, extent->count);

                if (n < 0 || (size_t)n >= room - used)
                        return;
                used += (size_t)n;
        }
}

static int write_map(pid_t pid, const char *name, const struct plan_id_map *map,
                     struct error *error)
{
        char text[MAP_TEXT_SIZE + 1];

        format_map(map, "\n", text, sizeof(text));
        return write_proc(pid, name, text, error);
}

/* The helper's pid and the map's numbers, each an argument of its own; they lie in `text`. */
static void helper_arguments(pid_t pid, const struct plan_id_map *map, char *text, size_t room,
                             char **arguments)
{
        char *rest = text;
        int n = snprintf(text, room, "%d ", (int)pid);

        format_map(map, " ", text + n, room - (size_t)n);
        for (size_t i = 1; rest; i++)
                arguments[i] = strsep(&rest, " ");
}

/* newuidmap and newgidmap know by subuid(5) what this user may map. They are set-uid programs of the
 * host's, trusted, and done within a millisecond or two; what they say goes into our error. */
static int run_helper(char *program, pid_t pid, const struct plan_id_map *map, struct error *error)
{
        char text[MAP_TEXT_SIZE + 16];
        char *arguments[3 + 3 * PLAN_EXTENTS_MAX] = {program};
        char path[] = "PATH=/usr/sbin:/usr/bin:/sbin:/bin";
        char *environment[] = {path, NULL};
        cleanup_fd int reader = -1, writer = -1;
        posix_spawn_file_actions_t actions;
        posix_spawnattr_t attributes;
        char said[256] = "";
        int fds[2], r, status;
        sigset_t nothing;
        pid_t helper;

        helper_arguments(pid, map, text, sizeof(text), arguments);
        if (pipe2(fds, O_CLOEXEC) < 0)
                return error_set(error, errno, "pipe2");
        reader = fds[0];
        writer = fds[1];
        sigemptyset(&nothing);
        posix_spawn_file_actions_init(&actions);
        posix_spawn_file_actions_adddup2(&actions, writer, 1);
        posix_spawn_file_actions_adddup2(&actions, writer, 2);
        posix_spawnattr_init(&attributes);
        posix_spawnattr_setsigmask(&attributes, &nothing);
        posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK);
        r = posix_spawnp(&helper, program, &actions, &attributes, arguments, environment);
        posix_spawn_file_actions_destroy(&actions);
        posix_spawnattr_destroy(&attributes);
        if (r != 0) {
                error_set(error, r, "running %s", program);
                return error_remedy(error, "install it (Debian: the package uidmap)");
        }
        fd_close(TAKE_FD(writer));
        fd_read_full(reader, said, sizeof(said) - 1);
        while (waitpid(helper, &status, 0) < 0)
                if (errno != EINTR)
                        return error_set(error, errno, "waiting for %s", program);
        if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
                return 0;
        said[strcspn(said, "\n")] = '\0';
        format_map(map, ", ", text, sizeof(text));
        error_set(error, EPERM, "%s of %.200s failed (it says: %s)", program, text, said);
        return error_remedy(error,
                            "look at /etc/subuid and /etc/subgid; the helpers must be set-uid "
                            "root and cannot work under no_new_privs");
}

int idmap_write(pid_t pid, const struct plan_identity *identity, struct error *error)
{
        int r = 0;

        switch ((enum plan_id_method)identity->method) {
        case PLAN_IDS_NONE:
                return 0;
        case PLAN_IDS_HELPER:
                r = run_helper((char[]){"newuidmap"}, pid, &identity->uid_map, error);
                if (r == 0)
                        r = run_helper((char[]){"newgidmap"}, pid, &identity->gid_map, error);
                return r;
        case PLAN_IDS_DIRECT:
                if (identity->deny_groups)
                        r = write_proc(pid, "setgroups", "deny", error);
                if (r == 0)
                        r = write_map(pid, "uid_map", &identity->uid_map, error);
                if (r == 0)
                        r = write_map(pid, "gid_map", &identity->gid_map, error);
                return r;
        }
        return error_say(error, EINVAL, "unknown way to map ids (%u)", identity->method);
}

static void describe_map(const struct isolation_report *report, bool helper, const char *name,
                         const struct plan_id_map *map)
{
        char text[MAP_TEXT_SIZE + 1];

        format_map(map, helper ? " " : "\\n", text, sizeof(text));
        report_call(report, helper ? "execve" : "write", "%s, \"%s\"", name, text);
}

void idmap_describe(const struct plan_identity *identity, const struct isolation_report *report)
{
        bool helper = identity->method == PLAN_IDS_HELPER;

        if (identity->method == PLAN_IDS_NONE)
                return;
        /* newgidmap does the same by itself where the map calls for it. */
        if (identity->deny_groups && !helper)
                report_call(report, "write", "setgroups, \"deny\"");
        describe_map(report, helper, helper ? "newuidmap" : "uid_map", &identity->uid_map);
        describe_map(report, helper, helper ? "newgidmap" : "gid_map", &identity->gid_map);
}
