/* Where control groups may be made: what is mounted, what we are in, whether it was given to us. */
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/own.h"
#include "isolation/cgroup.h"
#include "isolation/cgroup_controllers.h"

#define CONTROLLERS_SIZE 1024 /* bytes of a list of controllers */

const struct cgroup_controller_name cgroup_controllers[CGROUP_CONTROLLERS] = {
        {"cpu", CGROUP_CPU},
        {"io", CGROUP_IO},
        {"memory", CGROUP_MEMORY},
        {"pids", CGROUP_PIDS},
};

static const char delegation[] =
        "give the service Delegate=yes, start clade with systemd-run --user -p Delegate=yes, or "
        "make a control group for it and name that in settings.cgroup; see docs/cgroups.md";

int cgroup_controllers_read(int cgroup, const char *file, uint32_t *ret_controllers)
{
        cleanup_fd int fd = openat(cgroup, file, O_RDONLY | O_CLOEXEC);
        char text[CONTROLLERS_SIZE];
        char *word, *rest = text;
        ssize_t n;

        if (fd < 0)
                return -errno;
        n = read(fd, text, sizeof(text) - 1);
        if (n < 0)
                return -errno;
        text[n] = '\0';
        *ret_controllers = 0;
        while ((word = strtok_r(rest, " \n", &rest)))
                for (size_t i = 0; i < CGROUP_CONTROLLERS; i++)
                        if (strcmp(word, cgroup_controllers[i].name) == 0)
                                *ret_controllers |= cgroup_controllers[i].flag;
        return 0;
}

/* --- what is mounted, and where we are ---------------------------------------------------------- */

/* "\040" is a space: proc_pid_mountinfo(5). */
static void unescape(char *text)
{
        char *to = text;

        for (const char *from = text; *from; to++) {
                unsigned code;

                if (from[0] == '\\' && sscanf(from + 1, "%3o", &code) == 1) {
                        *to = (char)code;
                        from += 4;
                } else {
                        *to = *from++;
                }
        }
        *to = '\0';
}

struct mounted {
        char root[PATH_MAX], target[PATH_MAX];
};

/* The last one that shows the most: a mount of a part of the hierarchy has a longer root. */
static bool find_mount(struct mounted *ret_mounted)
{
        cleanup_file FILE *file = fopen("/proc/self/mountinfo", "re");
        cleanup_free char *line = NULL;
        struct mounted *mounted = malloc(sizeof(*mounted));
        bool found = false;
        size_t room = 0;

        while (mounted && file && getline(&line, &room, file) > 0) {
                const char *type = strstr(line, " - ");

                if (!type || strncmp(type + 3, "cgroup2 ", 8) != 0 ||
                    sscanf(line, "%*d %*d %*s %4095s %4095s", mounted->root, mounted->target) != 2)
                        continue;
                unescape(mounted->root);
                unescape(mounted->target);
                if (found && strlen(mounted->root) > strlen(ret_mounted->root))
                        continue;
                *ret_mounted = *mounted;
                found = true;
        }
        free(mounted);
        return found;
}

/* Our own control group in version 2, as our cgroup namespace names it, and whether version 1 has
 * any controller that we would need. */
static bool find_own(char *ret_path, uint32_t *ret_version_1)
{
        cleanup_file FILE *file = fopen("/proc/self/cgroup", "re");
        cleanup_free char *line = NULL;
        bool found = false;
        size_t room = 0;

        *ret_version_1 = 0;
        while (file && getline(&line, &room, file) > 0) {
                char names[CONTROLLERS_SIZE] = "", *name, *rest = names;

                line[strcspn(line, "\n")] = '\0';
                if (strncmp(line, "0::", 3) == 0) {
                        snprintf(ret_path, PATH_MAX, "%s", line + 3);
                        found = true;
                        continue;
                }
                sscanf(line, "%*d:%1023[^:]", names);
                while ((name = strtok_r(rest, ",", &rest)))
                        for (size_t i = 0; i < CGROUP_CONTROLLERS; i++)
                                if (strcmp(name, cgroup_controllers[i].name) == 0)
                                        *ret_version_1 |= cgroup_controllers[i].flag;
        }
        return found;
}

/* The directory of our own control group; false when it lies outside of what is mounted. */
static bool own_directory(const struct mounted *mounted, const char *own, char *ret_path)
{
        size_t length = strcmp(mounted->root, "/") == 0 ? 0 : strlen(mounted->root);

        if (strncmp(own, mounted->root, length) != 0 || strncmp(own, "/..", 3) == 0 ||
            (own[length] != '/' && own[length] != '\0'))
                return false;
        own += length;
        return snprintf(ret_path, PATH_MAX, "%s%s", mounted->target,
                        strcmp(own, "/") == 0 ? "" : own) < PATH_MAX;
}

/* --- whether it is ours ------------------------------------------------------------------------- */

/* systemd marks what it delegates: trusted.delegate, and from version 251 on for everybody's eyes. */
static bool marked(const char *path)
{
        static const char *const names[] = {"user.delegate", "trusted.delegate"};
        char value[2];

        for (size_t i = 0; i < ARRAY_SIZE(names); i++)
                if (getxattr(path, names[i], value, sizeof(value)) == 1 && value[0] == '1')
                        return true;
        return false;
}

static bool writable(const char *path)
{
        static const char *const names[] = {"", "/cgroup.procs", "/cgroup.subtree_control"};
        char name[PATH_MAX];

        for (size_t i = 0; i < ARRAY_SIZE(names); i++)
                if (snprintf(name, sizeof(name), "%s%s", path, names[i]) >= (int)sizeof(name) ||
                    faccessat(AT_FDCWD, name, W_OK, AT_EACCESS) < 0)
                        return false;
        return true;
}

/* Without systemd there are no marks: then what is writable for an ordinary user was made so for him, and the
 * root of a cgroup namespace that is not the host's is a container's own. */
static bool left_to_us(const char *path, const char *own)
{
        char type[PATH_MAX];
        struct stat st;

        if (access("/run/systemd/system", F_OK) == 0)
                return false;
        if (geteuid() != 0)
                return stat(path, &st) == 0 && st.st_uid == geteuid();
        return strcmp(own, "/") == 0 &&
               snprintf(type, sizeof(type), "%s/cgroup.type", path) < (int)sizeof(type) &&
               access(type, F_OK) == 0;
}

/* The one above `path`. With DelegateSubgroup= it is the unit's. */
static bool above(const char *path, char *ret_parent)
{
        const char *slash = strrchr(path, '/');

        if (!slash || slash == path)
                return false;
        snprintf(ret_parent, PATH_MAX, "%.*s", (int)(slash - path), path);
        return true;
}

static int choose_own(const char *own, struct cgroup_place *place, struct error *error)
{
        char parent[PATH_MAX];

        if (marked(place->path) && writable(place->path)) {
                place->given = place->ours = true;
                return 0;
        }
        if (above(place->path, parent) && marked(parent) && writable(parent)) {
                memcpy(place->path, parent, sizeof(parent));
                place->given = true;
                return 0;
        }
        if (writable(place->path) && left_to_us(place->path, own)) {
                place->ours = true;
                return 0;
        }
        error_say(error, EPERM, "the control group that clade is in (%s) is not delegated to it",
                  place->path);
        return error_remedy(error, "%s", delegation);
}

/* --- the place ---------------------------------------------------------------------------------- */

static int check_kind(const char *path, const struct statfs *kind, struct error *error)
{
        if ((uint64_t)kind->f_type == CGROUP2_SUPER_MAGIC)
                return 0;
        if ((uint64_t)kind->f_type == CGROUP_SUPER_MAGIC)
                error_say(error, ENOTSUP, "%s is a control group of version 1, which is not used",
                          path);
        else
                error_say(error, ENOTSUP, "%s is no control group", path);
        return error_remedy(error, "name a directory below where cgroup2 is mounted (findmnt -t "
                                   "cgroup2)");
}

static bool same_directory(const char *a, const char *b)
{
        struct stat first, second;

        return stat(a, &first) == 0 && stat(b, &second) == 0 && first.st_dev == second.st_dev &&
               first.st_ino == second.st_ino;
}

static int take_configured(const char *configured, const char *own, struct cgroup_place *place,
                           struct error *error)
{
        char parent[PATH_MAX];
        struct statfs kind;
        int r;

        snprintf(place->path, sizeof(place->path), "%s", configured);
        place->given = true;
        if (statfs(configured, &kind) < 0) {
                place->missing = true;
                if (errno != ENOENT || !above(configured, parent) || statfs(parent, &kind) < 0)
                        return error_set(error, errno, "the control group %s", configured);
        }
        r = check_kind(place->missing ? parent : configured, &kind, error);
        if (r < 0)
                return r;
        if (!(place->missing ? faccessat(AT_FDCWD, parent, W_OK, AT_EACCESS) == 0
                             : writable(configured))) {
                error_say(error, EACCES, "the control group %s is not writable for clade",
                          configured);
                return error_remedy(error, "it, its cgroup.procs and its cgroup.subtree_control "
                                           "must belong to the user that clade runs as");
        }
        place->ours = own[0] && same_directory(own, configured);
        return 0;
}

static int read_controllers(struct cgroup_place *place, struct error *error)
{
        char parent[PATH_MAX];
        cleanup_fd int fd = -1;
        int r;

        above(place->path, parent);
        fd = open(place->missing ? parent : place->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (fd < 0)
                return error_set(error, errno, "control group %s", place->path);
        r = cgroup_controllers_read(fd, "cgroup.controllers", &place->controllers);
        return r < 0 ? error_set(error, -r, "controllers of %s", place->path) : 0;
}

static int find(const char *configured, struct cgroup_place *place, struct mounted *mounted,
                struct error *error)
{
        char own[PATH_MAX] = "", directory[PATH_MAX] = "";
        uint32_t version_1;
        int r;

        if (!find_mount(mounted) || !find_own(own, &version_1)) {
                error_say(error, ENOTSUP, "no control groups of version 2 are mounted here");
                return error_remedy(error,
                                    "boot with systemd.unified_cgroup_hierarchy=1, or, in a "
                                    "container, let its engine mount them; version 1 is not used");
        }
        if (!own_directory(mounted, own, directory))
                directory[0] = '\0';
        if (configured)
                r = take_configured(configured, directory, place, error);
        else if (directory[0])
                snprintf(place->path, sizeof(place->path), "%s", directory), r = 0;
        else
                r = error_say(error, ENOENT,
                              "the control group that clade is in (%s) is not mounted here", own);
        if (r == 0)
                r = read_controllers(place, error);
        if (r == 0 && place->controllers == 0 && version_1 != 0) {
                error_say(error, ENOTSUP,
                          "the controllers are in control groups of version 1 here, which are not "
                          "used");
                return error_remedy(error, "boot with systemd.unified_cgroup_hierarchy=1, or "
                                           "cgroup_no_v1=all");
        }
        return r == 0 && !configured ? choose_own(own, place, error) : r;
}

int cgroup_find(const char *configured, struct cgroup_place *ret_place, struct error *error)
{
        cleanup_free struct mounted *mounted = malloc(sizeof(*mounted));
        cleanup_free struct cgroup_place *place = calloc(1, sizeof(*place));
        int r;

        if (!mounted || !place)
                return error_set(error, ENOMEM, "control groups");
        r = find(configured, place, mounted, error);
        if (r < 0)
                return r;
        /* It may be the one above that was chosen. */
        if (!configured)
                r = read_controllers(place, error);
        if (r == 0)
                *ret_place = *place;
        return r;
}

int cgroup_check(const struct cgroup_place *place, uint32_t controllers, struct error *error)
{
        for (size_t i = 0; i < CGROUP_CONTROLLERS; i++) {
                const struct cgroup_controller_name *controller = &cgroup_controllers[i];

                if (!(controllers & ~place->controllers & controller->flag))
                        continue;
                error_say(error, ENOTSUP, "the control group %s has no controller \"%s\"",
                          place->path, controller->name);
                return error_remedy(
                        error,
                        "whoever delegates must pass it down (for users of systemd: Delegate=cpu "
                        "io memory pids in a drop-in of user@.service), and none of it may be in "
                        "version 1");
        }
        return 0;
}
