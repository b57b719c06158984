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
                                     "user namespace maps (settings.id_range)");
                return -error->code;
        }
        return 0;
}

static int write_map(pid_t pid, const char *name, const struct plan_id_map *map,
                     struct error *error)
{
        char text[64];

        snprintf(text, sizeof(text), "%u %u %u", map->inside, map->outside, map->count);
        return write_proc(pid, name, text, error);
}

/* newuidmap and newgidmap know by subuid(5) what this user may map. They are set-uid programs of the
 * host's, trusted, and done within a millisecond or two; what they say goes into our error. */
static int run_helper(char *program, pid_t pid, const struct plan_id_map *map, struct error *error)
{
        char numbers[4][16];
        char *arguments[] = {program, numbers[0], numbers[1], numbers[2], numbers[3], NULL};
        char path[] = "PATH=/usr/sbin:/usr/bin:/sbin:/bin";
        char *environment[] = {path, NULL};
        cleanup_fd int reader = -1, writer = -1;
        posix_spawn_file_actions_t actions;
        posix_spawnattr_t attributes;
        char said[256] = "";
        int fds[2], r, status;
        sigset_t nothing;
        pid_t helper;

        snprintf(numbers[0], sizeof(numbers[0]), "%d", (int)pid);
        snprintf(numbers[1], sizeof(numbers[1]), "%u", map->inside);
        snprintf(numbers[2], sizeof(numbers[2]), "%u", map->outside);
        snprintf(numbers[3], sizeof(numbers[3]), "%u", map->count);
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
        error_set(error, EPERM, "%s of %u %u %u failed (it says: %s)", program, map->inside,
                  map->outside, map->count, said);
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
