/* Limits that control groups hold. Where there are none to be had, what a resource limit holds just as well is held
 * by that, and everything else is refused: a limit that does not hold is worse than none. */
#include <errno.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "isolation/cgroup.h"
#include "runtime/compile/compilation.h"

_Static_assert(CONFIG_UNLIMITED == PLAN_UNLIMITED, "no limit is no limit");

void compile_find_cgroups(const struct config *config, struct compile_cgroups *ret_cgroups)
{
        *ret_cgroups = (struct compile_cgroups){.found = false};
        ret_cgroups->found =
                cgroup_find(config->settings.cgroup, &ret_cgroups->place, &ret_cgroups->error) == 0;
}

/* Whether RLIMIT_NPROC counts this application's tasks and no others: the kernel counts for each user and user
 * namespace (5.14), so nobody inside may become another one. */
static bool tasks_by_rlimit(const struct plan *plan)
{
        const struct plan_id_map *map = &plan->identity.uid_map;
        bool one = map->count == 1 && map->extents[0].count == 1;
        uint64_t others = plan->capabilities.bounding | plan->capabilities.inheritable |
                          plan->capabilities.ambient;

        return plan->identity.method != PLAN_IDS_NONE && (one || others == 0);
}

static int device(struct compilation *compilation, const struct config_io *from, struct plan_io *to,
                  struct error *error)
{
        struct stat st;
        int r = 0;

        if (stat(from->device, &st) < 0)
                r = error_set(error, errno, "the device %s", from->device);
        else if (!S_ISBLK(st.st_mode))
                r = error_say(error, ENOTBLK, "%s is no block device", from->device);
        if (r < 0) {
                error_remedy(error, "name a whole disk, as lsblk -d -p shows them");
                return error_at(error, compilation, "/limits/io");
        }
        *to = (struct plan_io){
                .major = major(st.st_rdev),
                .minor = minor(st.st_rdev),
                .read_bytes = from->read_bytes,
                .write_bytes = from->write_bytes,
                .read_requests = from->read_requests,
                .write_requests = from->write_requests,
        };
        return 0;
}

static int copy_limits(struct compilation *compilation, struct error *error)
{
        const struct config_resources *from = &compilation->application->limits.resources;
        struct plan_cgroup *to = &compilation->plan->cgroup;

        to->memory = from->memory;
        to->swap = from->swap == CONFIG_UNLIMITED ? 0 : from->swap;
        to->cpu = from->cpu;
        to->tasks = from->tasks;
        to->oom_group = from->oom_group;
        to->io = arena_alloc(compilation->arena, (from->io_count + 1) * sizeof(*to->io));
        if (!to->io)
                return error_set(error, ENOMEM, "limits");
        for (size_t i = 0; i < from->io_count; i++) {
                int r = device(compilation, &from->io[i], &to->io[to->io_count++], error);

                if (r < 0)
                        return r;
        }
        return 0;
}

static const char *first_of(uint32_t controllers)
{
        return controllers & CGROUP_MEMORY ? "memory"
               : controllers & CGROUP_CPU  ? "cpu"
               : controllers & CGROUP_IO   ? "io"
                                           : "tasks";
}

/* `error` says why there is no control group that could. */
static int refuse(struct compilation *compilation, uint32_t needs, struct error *error)
{
        error_prefix(error, "this limit needs a control group");
        return error_at(error, compilation, "/limits/%s", first_of(needs));
}

/* Whether RLIMIT_NPROC is ours to set. */
static bool rlimit_is_free(const struct compilation *compilation)
{
        const struct config_limits *limits = &compilation->application->limits;

        for (size_t i = 0; i < limits->rlimit_count; i++)
                if (limits->rlimits[i].resource == RLIMIT_NPROC)
                        return false;
        return true;
}

int compile_cgroup(struct compilation *compilation, struct error *error)
{
        const struct compile_cgroups *cgroups = compilation->compile->cgroups;
        bool found = cgroups && cgroups->found;
        struct plan_cgroup *plan = &compilation->plan->cgroup;
        uint32_t needs, lacking;
        int r = copy_limits(compilation, error);

        if (r < 0)
                return r;
        needs = cgroup_needs(plan);
        lacking = needs & ~(found ? cgroups->place.controllers : 0);
        if (lacking == CGROUP_PIDS && tasks_by_rlimit(compilation->plan) &&
            rlimit_is_free(compilation)) {
                /* compile_limits sets it. */
                plan->tasks = PLAN_UNLIMITED;
                needs &= ~(uint32_t)CGROUP_PIDS;
                lacking = 0;
        }
        if (found && lacking) {
                cgroup_check(&cgroups->place, lacking, error);
                return refuse(compilation, lacking, error);
        }
        /* A control group that the configuration names is asked for, limits or not. */
        if (!found && (needs || compilation->compile->config->settings.cgroup)) {
                if (cgroups)
                        *error = cgroups->error;
                else
                        error_say(error, ENOTSUP, "nobody has looked for one");
                return needs ? refuse(compilation, needs, error)
                             : error_prefix(error, "configuration /settings/cgroup");
        }
        plan->present = found && (needs || cgroups->place.given);
        return 0;
}
