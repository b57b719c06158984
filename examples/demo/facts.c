#include "examples/demo/facts.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/landlock.h>
#include <net/if.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <unistd.h>

#define FILE_MAX 65536 /* bytes; more of a file is not shown */

/* The whole of a small file, with a NUL behind it; NULL with errno. The caller frees it. */
static char *slurp(const char *path)
{
        int fd = open(path, O_RDONLY | O_CLOEXEC);
        char *text = fd < 0 ? NULL : malloc(FILE_MAX + 1);
        size_t size = 0;
        ssize_t n;

        while (text && size < FILE_MAX && (n = read(fd, text + size, FILE_MAX - size)) > 0)
                size += (size_t)n;
        if (text)
                text[size] = '\0';
        if (fd >= 0)
                close(fd);
        return text;
}

/* Runs of blanks become one, and those at the ends go. */
static void squeeze(char *text)
{
        char *to = text;

        for (const char *from = text; *from; from++)
                if (!isspace((unsigned char)*from))
                        *to++ = *from;
                else if (to > text && to[-1] != ' ')
                        *to++ = ' ';
        if (to > text && to[-1] == ' ')
                to--;
        *to = '\0';
}

static void status(struct json *json)
{
        static const char *const wanted[] = {"Uid",    "Gid",        "Groups",  "NSpid",
                                             "CapInh", "CapPrm",     "CapEff",  "CapBnd",
                                             "CapAmb", "NoNewPrivs", "Seccomp", "Seccomp_filters"};
        char *text = slurp("/proc/self/status"), *rest = text, *line;

        json_open(json, "status", '{');
        while (rest && (line = strsep(&rest, "\n"))) {
                char *value = strchr(line, ':');

                if (!value)
                        continue;
                *value++ = '\0';
                squeeze(value);
                for (size_t i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++)
                        if (strcmp(line, wanted[i]) == 0)
                                json_text(json, line, value);
        }
        json_close(json, '}');
        free(text);
}

static void file(struct json *json, const char *key, const char *path)
{
        char *text = slurp(path);

        if (text)
                squeeze(text);
        json_text(json, key, text);
        free(text);
}

static void namespaces(struct json *json)
{
        static const char *const names[] = {"user", "pid", "mnt",    "net",
                                            "ipc",  "uts", "cgroup", "time"};

        json_open(json, "namespaces", '{');
        for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
                char path[64], link[64];
                ssize_t n;

                snprintf(path, sizeof(path), "/proc/self/ns/%s", names[i]);
                n = readlink(path, link, sizeof(link) - 1);
                link[n < 0 ? 0 : n] = '\0';
                json_text(json, names[i], n < 0 ? NULL : link);
        }
        json_close(json, '}');
}

/* proc_pid_mountinfo(5): ... root mount-point options [tags] - type source super-options */
static void mounts(struct json *json)
{
        char *text = slurp("/proc/self/mountinfo"), *rest = text, *line;

        json_open(json, "mounts", '[');
        while (rest && (line = strsep(&rest, "\n"))) {
                char *behind = strstr(line, " - "), target[512], options[256], type[64];

                if (!behind || sscanf(line, "%*d %*d %*s %*s %511s %255s", target, options) != 2 ||
                    sscanf(behind, " - %63s", type) != 1)
                        continue;
                json_open(json, NULL, '{');
                json_text(json, "target", target);
                json_text(json, "type", type);
                json_text(json, "options", options);
                json_close(json, '}');
        }
        json_close(json, ']');
        free(text);
}

static void limits(struct json *json)
{
        char *text = slurp("/proc/self/limits"), *rest = text, *line;

        /* Columns of fixed width: name 26, soft 21, hard 21, unit. The first line is their titles. */
        if (rest)
                strsep(&rest, "\n");
        json_open(json, "limits", '[');
        while (rest && (line = strsep(&rest, "\n"))) {
                char name[27] = "", soft[22] = "", hard[22] = "";

                if (strlen(line) < 47)
                        continue;
                memcpy(name, line, 26);
                squeeze(name);
                if (sscanf(line + 26, "%21s %21s", soft, hard) != 2)
                        continue;
                json_open(json, NULL, '{');
                json_text(json, "name", name);
                json_text(json, "soft", soft);
                json_text(json, "hard", hard);
                json_close(json, '}');
        }
        json_close(json, ']');
        free(text);
}

static const char *purpose(const struct clade_native *native, int fd, int connection)
{
        if (fd == connection)
                return "your connection";
        for (size_t i = 0; i < native->listener_count; i++)
                if (fd == native->listeners[i])
                        return native->addresses[i];
        switch (fd) {
        case STDIN_FILENO:
                return "standard input";
        case STDOUT_FILENO:
                return "standard output, to clade's log";
        case STDERR_FILENO:
                return "standard error, to clade's log";
        default:
                return NULL;
        }
}

static void descriptors(struct json *json, const struct clade_native *native, int connection)
{
        DIR *directory = opendir("/proc/self/fd");
        struct dirent *entry;

        json_open(json, "descriptors", '[');
        while (directory && (entry = readdir(directory))) {
                int fd = (int)strtol(entry->d_name, NULL, 10);
                char link[256];
                ssize_t n;

                if (!isdigit((unsigned char)entry->d_name[0]) || fd == dirfd(directory))
                        continue;
                n = readlinkat(dirfd(directory), entry->d_name, link, sizeof(link) - 1);
                link[n < 0 ? 0 : n] = '\0';
                json_open(json, NULL, '{');
                json_number(json, "number", fd);
                json_text(json, "is", link);
                json_text(json, "purpose", purpose(native, fd, connection));
                json_close(json, '}');
        }
        json_close(json, ']');
        if (directory)
                closedir(directory);
}

/* Names in a directory; only numbers where `numbers` says so. */
static void listing(struct json *json, const char *key, const char *path, bool numbers)
{
        DIR *directory = opendir(path);
        struct dirent *entry;

        json_open(json, key, '[');
        while (directory && (entry = readdir(directory)))
                if (numbers ? isdigit((unsigned char)entry->d_name[0]) != 0
                            : entry->d_name[0] != '.')
                        json_text(json, NULL, entry->d_name);
        json_close(json, ']');
        if (directory)
                closedir(directory);
}

static void environment(struct json *json)
{
        json_open(json, "environment", '[');
        for (char **variable = environ; variable && *variable; variable++)
                json_text(json, NULL, *variable);
        json_close(json, ']');
}

static void interfaces(struct json *json)
{
        char *text = slurp("/proc/self/net/dev"), *rest = text, *line;

        json_open(json, "interfaces", '[');
        while (rest && (line = strsep(&rest, "\n"))) {
                char name[IFNAMSIZ];

                if (strchr(line, ':') && sscanf(line, " %15[^:]", name) == 1)
                        json_text(json, NULL, name);
        }
        json_close(json, ']');
        free(text);
}

void facts_report(struct json *json, const struct clade_native *native, int connection)
{
        char *outside = slurp(FACTS_OUTSIDE);
        struct utsname names;
        long abi;

        json_text(json, "application", native->application);
        json_number(json, "pid", getpid());
        json_number(json, "parent", getppid());
        json_number(json, "serial", (int64_t)native->serial);
        json_number(json, "slot", native->slot);
        if (uname(&names) == 0) {
                json_text(json, "hostname", names.nodename);
                json_text(json, "kernel", names.release);
        }
        status(json);
        file(json, "uid_map", "/proc/self/uid_map");
        file(json, "gid_map", "/proc/self/gid_map");
        namespaces(json);
        /* The version can be asked; whether one is confined cannot: that shows in what is refused. */
        abi = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
        json_number(json, "landlock_abi", abi < 0 ? -errno : abi);
        mounts(json);
        limits(json);
        descriptors(json, native, connection);
        environment(json);
        interfaces(json);
        listing(json, "root", "/", false);
        listing(json, "processes", "/proc", true);
        json_raw(json, "outside", outside && outside[0] ? outside : "null");
        free(outside);
}
