#include "isolation/cgroup.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/own.h"
#include "isolation/cgroup_controllers.h"

#define FILE_MAX    65536 /* bytes; a list of pids can be longer, and is cut */
#define CPU_PERIOD  100000
#define LINE_SIZE   160
#define DEPTH_MAX   8
#define PIDS_SHOWN  64 /* bytes */
#define REMOVE_MODE (O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)

static int write_file(int cgroup, const char *file, const char *text)
{
        cleanup_fd int fd = openat(cgroup, file, O_WRONLY | O_CLOEXEC);

        if (fd < 0 || write(fd, text, strlen(text)) < 0)
                return -errno;
        return 0;
}

__attribute__((format(printf, 4, 5))) static int set(int cgroup, const char *file,
                                                     struct error *error, const char *format, ...)
{
        char text[LINE_SIZE];
        va_list args;
        int r;

        va_start(args, format);
        vsnprintf(text, sizeof(text), format, args);
        va_end(args);
        r = write_file(cgroup, file, text);
        return r < 0 ? error_set(error, -r, "writing \"%s\" to %s", text, file) : 0;
}

int cgroup_read(int cgroup, const char *file, const char *key, uint64_t *ret_value)
{
        cleanup_fd int fd = openat(cgroup, file, O_RDONLY | O_CLOEXEC);
        cleanup_free char *text = NULL;
        size_t size, length = key ? strlen(key) : 0;
        int r;

        if (fd < 0)
                return -errno;
        r = fd_read_file(fd, FILE_MAX, &text, &size);
        if (r < 0)
                return r;
        for (const char *line = text; *line; line += strcspn(line, "\n"), line += *line == '\n') {
                if (key && (strncmp(line, key, length) != 0 || line[length] != ' '))
                        continue;
                if (sscanf(line + length, "%" SCNu64, ret_value) == 1)
                        return 0;
        }
        return -ENODATA;
}

/* --- dividing ---------------------------------------------------------------------------------- */

/* Who is in it, for a message: some pids, or "". */
static const char *inhabitants(int cgroup, char *buffer, size_t size)
{
        cleanup_fd int fd = openat(cgroup, "cgroup.procs", O_RDONLY | O_CLOEXEC);
        ssize_t n = fd < 0 ? -1 : read(fd, buffer, size - 1);

        buffer[n > 0 ? n : 0] = '\0';
        for (char *at = buffer; *at; at++)
                if (*at == '\n')
                        *at = at[1] ? ' ' : '\0';
        return buffer;
}

static int explain_enable(int cgroup, int code, const char *what, struct error *error)
{
        char pids[PIDS_SHOWN];

        error_set(error, code, "switching on %s below the control group", what);
        if (code == EBUSY)
                error_remedy(error,
                             "only a control group without processes can divide what it has, and "
                             "this one has others than clade (pids %s): start clade as the only "
                             "process of its service (exec clade), or name another one in "
                             "settings.cgroup",
                             inhabitants(cgroup, pids, sizeof(pids)));
        else if (code == EACCES || code == EPERM)
                error_remedy(error, "its cgroup.subtree_control must be writable for clade: see "
                                    "docs/cgroups.md, Delegation");
        return -code;
}

int cgroup_enable(int cgroup, uint32_t controllers, struct error *error)
{
        uint32_t there;
        int r = cgroup_controllers_read(cgroup, "cgroup.subtree_control", &there);

        if (r < 0)
                return error_set(error, -r, "cgroup.subtree_control");
        for (size_t i = 0; i < CGROUP_CONTROLLERS; i++) {
                const struct cgroup_controller_name *controller = &cgroup_controllers[i];
                char text[LINE_SIZE];

                if (!(controllers & ~there & controller->flag))
                        continue;
                snprintf(text, sizeof(text), "+%s", controller->name);
                r = write_file(cgroup, "cgroup.subtree_control", text);
                if (r < 0)
                        return explain_enable(cgroup, -r, controller->name, error);
        }
        return 0;
}

int cgroup_disable(int cgroup)
{
        uint32_t there;
        int r = cgroup_controllers_read(cgroup, "cgroup.subtree_control", &there);

        for (size_t i = 0; r == 0 && i < CGROUP_CONTROLLERS; i++) {
                char text[LINE_SIZE];

                if (!(there & cgroup_controllers[i].flag))
                        continue;
                snprintf(text, sizeof(text), "-%s", cgroup_controllers[i].name);
                r = write_file(cgroup, "cgroup.subtree_control", text);
        }
        return r;
}

/* --- the place ------------------------------------------------------------------------------- */

/* What is switched on for it now is what there will be at the next start, whose needs nobody knows yet. */
static int make_place(const struct cgroup_place *place, struct error *error)
{
        int length = (int)(strrchr(place->path, '/') - place->path);
        cleanup_free char *above = strndup(place->path, (size_t)length);
        cleanup_fd int parent = -1;
        int r;

        if (!above)
                return error_set(error, ENOMEM, "control group");
        parent = open(above, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (parent < 0)
                return error_set(error, errno, "control group %s", above);
        r = cgroup_enable(parent, place->controllers, error);
        if (r < 0)
                return error_prefix(error, "%s", above);
        if (mkdirat(parent, place->path + length + 1, 0755) < 0 && errno != EEXIST)
                return error_set(error, errno, "making the control group %s", place->path);
        return 0;
}

int cgroup_open_place(const struct cgroup_place *place, struct error *error)
{
        int fd;

        if (place->missing) {
                int r = make_place(place, error);

                if (r < 0)
                        return r;
        }
        fd = open(place->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        return fd < 0 ? error_set(error, errno, "control group %s", place->path) : fd;
}

/* --- one control group ------------------------------------------------------------------------ */

int cgroup_make(int parent, const char *name, struct error *error)
{
        int fd;

        if (mkdirat(parent, name, 0755) < 0)
                return error_set(error, errno, "making the control group %s", name);
        fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        return fd < 0 ? error_set(error, errno, "control group %s", name) : fd;
}

uint32_t cgroup_needs(const struct plan_cgroup *limits)
{
        uint32_t needs = 0;

        if (limits->memory != PLAN_UNLIMITED || limits->oom_group)
                needs |= CGROUP_MEMORY;
        if (limits->cpu != PLAN_UNLIMITED)
                needs |= CGROUP_CPU;
        if (limits->tasks != PLAN_UNLIMITED)
                needs |= CGROUP_PIDS;
        if (limits->io_count > 0)
                needs |= CGROUP_IO;
        return needs;
}

/* Without a limit on swap, memory beyond its limit would be swapped out instead of refused. A kernel without
 * swap has no such file, and needs none. */
static int limit_memory(int cgroup, const struct plan_cgroup *limits, struct error *error)
{
        int r = set(cgroup, "memory.max", error, "%" PRIu64, limits->memory);

        if (r < 0)
                return r;
        if (limits->swap == 0 && faccessat(cgroup, "memory.swap.max", F_OK, 0) < 0)
                return 0;
        return set(cgroup, "memory.swap.max", error, "%" PRIu64, limits->swap);
}

static int limit_io(int cgroup, const struct plan_io *io, struct error *error)
{
        static const char *const names[] = {"rbps", "wbps", "riops", "wiops"};
        const uint64_t values[] = {io->read_bytes, io->write_bytes, io->read_requests,
                                   io->write_requests};
        char text[LINE_SIZE];
        size_t used;
        int r;

        used = (size_t)snprintf(text, sizeof(text), "%u:%u", io->major, io->minor);
        for (size_t i = 0; i < ARRAY_SIZE(values); i++)
                if (values[i] != PLAN_UNLIMITED)
                        used += (size_t)snprintf(text + used, sizeof(text) - used, " %s=%" PRIu64,
                                                 names[i], values[i]);
        r = set(cgroup, "io.max", error, "%s", text);
        if (r == -ENODEV)
                error_remedy(error, "limits are for whole disks: name the disk that the partition "
                                    "is on (lsblk)");
        return r;
}

int cgroup_limit(int cgroup, const struct plan_cgroup *limits, struct error *error)
{
        int r = 0;

        if (limits->memory != PLAN_UNLIMITED)
                r = limit_memory(cgroup, limits, error);
        if (r == 0 && limits->oom_group)
                r = set(cgroup, "memory.oom.group", error, "1");
        if (r == 0 && limits->cpu != PLAN_UNLIMITED)
                r = set(cgroup, "cpu.max", error, "%" PRIu64 " %d", limits->cpu, CPU_PERIOD);
        if (r == 0 && limits->tasks != PLAN_UNLIMITED)
                r = set(cgroup, "pids.max", error, "%" PRIu64, limits->tasks);
        for (size_t i = 0; r == 0 && i < limits->io_count; i++)
                r = limit_io(cgroup, &limits->io[i], error);
        return r;
}

int cgroup_move(int cgroup, pid_t pid, struct error *error)
{
        int r = set(cgroup, "cgroup.procs", error, "%d", (int)pid);

        if (r == -EACCES || r == -EPERM)
                error_remedy(error,
                             "whoever moves a process must be allowed to write to cgroup.procs of "
                             "the control group above both places: start clade inside of the one "
                             "that is delegated to it");
        return r;
}

int cgroup_kill(int cgroup)
{
        return write_file(cgroup, "cgroup.kill", "1");
}

static int remove_below(int parent, const char *name, unsigned depth)
{
        cleanup_dir DIR *directory = NULL;
        const struct dirent *entry;
        int fd;

        if (unlinkat(parent, name, AT_REMOVEDIR) == 0 || errno == ENOENT)
                return 0;
        /* EBUSY: processes, or others below it. */
        if (errno != EBUSY || depth == DEPTH_MAX)
                return -errno;
        fd = openat(parent, name, REMOVE_MODE);
        if (fd < 0)
                return -errno;
        directory = fdopendir(fd);
        if (!directory) {
                fd_close(fd);
                return -ENOMEM;
        }
        while ((entry = readdir(directory)))
                if (entry->d_type == DT_DIR && entry->d_name[0] != '.')
                        remove_below(fd, entry->d_name, depth + 1);
        return unlinkat(parent, name, AT_REMOVEDIR) == 0 ? 0 : -errno;
}

int cgroup_remove(int parent, const char *name)
{
        return remove_below(parent, name, 0);
}
