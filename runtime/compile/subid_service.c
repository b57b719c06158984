/* Subordinate ids that are in no file: a directory service has them (sssd, for one), and libsubid asks it. */
#include "runtime/compile/subid_service.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/own.h"

#define ANSWER_MAX (1u << 20) /* bytes */

bool subid_service_named(const char *text)
{
        static const char key[] = "subid:";

        for (; *text; text += strcspn(text, "\n"), text += *text == '\n') {
                const char *line = text + strspn(text, " \t");
                const char *source = line + strlen(key);
                size_t length;

                if (strncmp(line, key, strlen(key)) != 0)
                        continue;
                source += strspn(source, " \t");
                length = strcspn(source, " \t\n#");
                return length > 0 && !(length == 5 && strncmp(source, "files", 5) == 0);
        }
        return false;
}

int subid_service_parse(char *text, struct subid_grants *grants, struct error *error)
{
        char *rest = text;
        int r = 0;

        while (r == 0 && rest && *rest) {
                unsigned long long first, count;
                char *line = strsep(&rest, "\n");

                if (*line == '\0')
                        continue;
                if (sscanf(line, "%*u: %*s %llu %llu", &first, &count) != 2)
                        return error_say(error, EBADMSG, "getsubids printed \"%.80s\"", line);
                if (first == 0 || first >= UINT32_MAX || count == 0)
                        continue;
                if (count > UINT32_MAX - first)
                        count = UINT32_MAX - first;
                r = subid_grants_add(grants, (struct subid_range){(uint32_t)first, (uint32_t)count},
                                     error);
        }
        return r;
}

/* Its standard output until it ends. A user without any ids is no error: it prints nothing and fails. */
static int run(char *const *arguments, char **ret_text, struct error *error)
{
        cleanup_fd int reader = -1, writer = -1;
        posix_spawn_file_actions_t actions;
        int fds[2], r, status;
        size_t size;
        pid_t pid;

        if (pipe2(fds, O_CLOEXEC) < 0)
                return error_set(error, errno, "pipe2");
        reader = fds[0];
        writer = fds[1];
        posix_spawn_file_actions_init(&actions);
        posix_spawn_file_actions_adddup2(&actions, writer, 1);
        posix_spawn_file_actions_addopen(&actions, 2, "/dev/null", O_WRONLY, 0);
        r = posix_spawnp(&pid, arguments[0], &actions, NULL, arguments, environ);
        posix_spawn_file_actions_destroy(&actions);
        if (r != 0) {
                error_set(error, r, "running %s", arguments[0]);
                return error_remedy(error,
                                    "/etc/nsswitch.conf names a service for \"subid\", which "
                                    "getsubids(1) asks: install it (Debian: the package uidmap)");
        }
        fd_close(TAKE_FD(writer));
        r = fd_read_file(reader, ANSWER_MAX, ret_text, &size);
        while (waitpid(pid, &status, 0) < 0)
                if (errno != EINTR)
                        return error_set(error, errno, "waiting for %s", arguments[0]);
        return r < 0 ? error_set(error, -r, "reading what %s prints", arguments[0]) : 0;
}

static int ask(enum id_kind kind, const char *name, struct subid_grants *grants,
               struct error *error)
{
        char program[] = "getsubids", groups[] = "-g";
        cleanup_free char *owner = strdup(name), *text = NULL;
        char *const users[] = {program, owner, NULL};
        char *const with_groups[] = {program, groups, owner, NULL};
        int r;

        if (!owner)
                return error_set(error, ENOMEM, "asking for subordinate ids");
        r = run(kind == ID_USERS ? users : with_groups, &text, error);
        return r < 0 ? r : subid_service_parse(text, grants, error);
}

int subid_granted(enum id_kind kind, const char *name, uid_t uid, struct subid_grants *grants,
                  struct error *error)
{
        cleanup_fd int fd = open("/etc/nsswitch.conf", O_RDONLY | O_CLOEXEC);
        cleanup_free char *text = NULL;
        size_t size;
        int r;

        *grants = (struct subid_grants){.count = 0};
        if (fd >= 0) {
                r = fd_read_file(fd, ANSWER_MAX, &text, &size);
                if (r < 0)
                        return error_set(error, -r, "reading /etc/nsswitch.conf");
                if (name && subid_service_named(text))
                        return ask(kind, name, grants, error);
        }
        return subid_find(kind == ID_USERS ? "/etc/subuid" : "/etc/subgid", name, uid, grants,
                          error);
}
