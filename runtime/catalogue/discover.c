/* Discovery: a process for each module file, all at once, until the last is done or the deadline has passed.
 *
 * Each gets namespaces of its own where the host allows it. What a host allows is found out by doing it: the
 * ladder below is climbed down, and a process that could not be started, or could not lock itself in, is
 * tried again one step lower. Capabilities, Landlock and the filter are clade-discovery's own part and stay
 * the same on all of them. */
#include "runtime/catalogue/discover.h"

#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <poll.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/own.h"
#include "isolation/plan.h"
#include "runtime/catalogue/probe.h"

#define MODULES_MAX 128 /* files; each holds up to four descriptors while it is looked at */

/* The id that root gives to discovery; the kernel's own overflow id (user_namespaces(7)), which owns
 * nothing. */
#define NOBODY 65534

#define ALL_NAMESPACES                                                                             \
        (CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS)

#define LADDER_MAX 3

/* From the strongest to the weakest. How many there are. The extents are those of their maps. */
static size_t build_ladder(struct plan plans[LADDER_MAX], struct plan_id_extent extents[2])
{
        bool root = geteuid() == 0;
        size_t count = 0;

        extents[0] = (struct plan_id_extent){NOBODY, root ? NOBODY : geteuid(), 1};
        extents[1] = (struct plan_id_extent){NOBODY, root ? NOBODY : getegid(), 1};

        plans[count++] = (struct plan){
                .namespaces = ALL_NAMESPACES,
                .identity = {.method = PLAN_IDS_DIRECT,
                             .deny_groups = !root,
                             .uid_map = {&extents[0], 1},
                             .gid_map = {&extents[1], 1},
                             .uid = NOBODY,
                             .gid = NOBODY},
        };
        if (root)
                plans[count++] = (struct plan){
                        .privileged = true,
                        .identity = {.method = PLAN_IDS_NONE, .uid = NOBODY, .gid = NOBODY},
                };
        plans[count++] = (struct plan){.identity = {.method = PLAN_IDS_NONE}};
        return count;
}

static uint64_t now_ms(void)
{
        struct timespec now;

        clock_gettime(CLOCK_MONOTONIC, &now);
        return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

struct probes {
        struct probe *list;
        size_t count;
};

static size_t count_state(const struct probes *probes, enum probe_state state)
{
        size_t count = 0;

        for (size_t i = 0; i < probes->count; i++)
                count += probes->list[i].state == state;
        return count;
}

static void expire_all(struct probes *probes, int deadline_ms)
{
        for (size_t i = 0; i < probes->count; i++)
                if (probes->list[i].state == PROBE_RUNNING)
                        probe_expire(&probes->list[i], deadline_ms);
}

/* Until none is running any more. */
static int wait_for_all(struct probes *probes, uint64_t deadline, int deadline_ms,
                        struct error *error)
{
        struct pollfd polled[MODULES_MAX];

        while (count_state(probes, PROBE_RUNNING) > 0) {
                uint64_t now = now_ms();

                if (now >= deadline) {
                        expire_all(probes, deadline_ms);
                        return 0;
                }
                for (size_t i = 0; i < probes->count; i++) {
                        bool running = probes->list[i].state == PROBE_RUNNING;

                        polled[i] = (struct pollfd){
                                .fd = running ? probes->list[i].channel : -1,
                                .events = POLLIN,
                        };
                }
                if (poll(polled, probes->count, (int)(deadline - now)) < 0 && errno != EINTR) {
                        error_set(error, errno, "poll");
                        expire_all(probes, deadline_ms);
                        return -error->code;
                }
                for (size_t i = 0; i < probes->count; i++)
                        if (polled[i].fd >= 0 && polled[i].revents)
                                probe_receive(&probes->list[i]);
        }
        return 0;
}

static int run_probes(const struct discover *discover, struct probes *probes, int executable,
                      struct error *error)
{
        uint64_t deadline = now_ms() + (uint64_t)discover->deadline_ms;
        struct plan_id_extent extents[2];
        struct plan ladder[LADDER_MAX];
        size_t steps = build_ladder(ladder, extents);

        for (size_t step = 0; step < steps; step++) {
                int r;

                for (size_t i = 0; i < probes->count; i++) {
                        struct probe *probe = &probes->list[i];

                        if (probe->state == PROBE_WAITING || probe->state == PROBE_FAULTY)
                                probe_start(probe, executable, &ladder[step]);
                }
                r = wait_for_all(probes, deadline, discover->deadline_ms, error);
                if (r < 0)
                        return r;
                if (count_state(probes, PROBE_FAULTY) == 0 || now_ms() >= deadline)
                        break;
        }
        return 0;
}

static void skip(const struct discover *discover, struct probe *probe, bool serious)
{
        if (discover->notice)
                discover->notice(discover->context, probe->path ? probe->path : "?", serious,
                                 &probe->error);
}

static const struct catalogue_module *same_module(const struct catalogue *catalogue,
                                                  const struct catalogue_module *module)
{
        for (size_t i = 0; i < catalogue->count; i++) {
                const struct catalogue_module *other = catalogue->modules[i];

                if (strcmp(other->type, module->type) == 0 &&
                    version_compare(other->version, module->version) == 0)
                        return other;
        }
        return NULL;
}

/* In the order of the paths, so that of two alike it is always the same one that stays. */
static int add_module(const struct discover *discover, struct probe *probe,
                      struct catalogue *catalogue, struct error *error)
{
        struct catalogue_module *module = probe->intake.module;
        const struct catalogue_module *other = same_module(catalogue, module);
        int r;

        if (other) {
                error_say(&probe->error, EINVAL, "type %s of version %s is there already, from %s",
                          module->type, module->version, other->path);
                error_remedy(&probe->error,
                             "remove one of the two, or let --modules name only one");
                skip(discover, probe, false);
                return 0;
        }
        module->path = TAKE_PTR(probe->path);
        module->fd = TAKE_FD(probe->file);
        r = catalogue_add(catalogue, module);
        if (r < 0)
                return error_set(error, -r, "adding a module to the catalogue");
        probe->intake.module = NULL;
        return 0;
}

static int collect(const struct discover *discover, struct probes *probes,
                   struct catalogue *catalogue, struct error *error)
{
        size_t faulty = count_state(probes, PROBE_FAULTY);

        if (faulty > 0 && faulty == probes->count) {
                *error = probes->list[0].error;
                error_remedy(error,
                             "%s could not lock itself in: see what the kernel and the "
                             "container around us refuse",
                             discover->executable);
                return error_prefix(error, "%s", discover->executable);
        }
        for (size_t i = 0; i < probes->count; i++) {
                struct probe *probe = &probes->list[i];
                int r = 0;

                if (probe->state == PROBE_GOOD)
                        r = add_module(discover, probe, catalogue, error);
                else
                        skip(discover, probe, !probe->foreign);
                if (r < 0)
                        return r;
        }
        return 0;
}

/* The paths have been matched; the program is there. */
static int discover_paths(const struct discover *discover, char **paths, size_t count,
                          int executable, struct catalogue *catalogue, struct error *error)
{
        cleanup_free struct probe *list = calloc(count, sizeof(*list));
        struct probes probes = {.list = list, .count = count};
        int r;

        if (!list)
                return error_set(error, ENOMEM, "looking at %zu modules", count);
        for (size_t i = 0; i < count; i++)
                probe_open(&list[i], paths[i]);
        r = run_probes(discover, &probes, executable, error);
        if (r == 0)
                r = collect(discover, &probes, catalogue, error);
        for (size_t i = 0; i < count; i++)
                probe_finish(&list[i]);
        return r;
}

static int match(const struct discover *discover, glob_t *matched, struct error *error)
{
        int r = glob(discover->glob, 0, NULL, matched);

        if (r == GLOB_NOSPACE)
                return error_set(error, ENOMEM, "matching %s", discover->glob);
        if (r != 0 && r != GLOB_NOMATCH)
                return error_set(error, EIO, "matching %s", discover->glob);
        if (matched->gl_pathc > MODULES_MAX) {
                error_say(error, EINVAL, "%s matches %zu files; there may be %d", discover->glob,
                          matched->gl_pathc, MODULES_MAX);
                return error_remedy(error, "let --modules name modules only: *.clade.so");
        }
        return 0;
}

static int discover_all(const struct discover *discover, struct catalogue *catalogue,
                        struct error *error)
{
        cleanup_fd int executable = -1;
        glob_t matched = {.gl_pathc = 0};
        int r;

        executable = open(discover->executable, O_RDONLY | O_CLOEXEC);
        if (executable < 0) {
                error_set(error, errno, "opening %s", discover->executable);
                return error_remedy(error, "it is a part of clade: install it anew");
        }
        r = match(discover, &matched, error);
        if (r == 0 && matched.gl_pathc > 0)
                r = discover_paths(discover, matched.gl_pathv, matched.gl_pathc, executable,
                                   catalogue, error);
        globfree(&matched);
        return r;
}

int discover_modules(const struct discover *discover, struct catalogue *catalogue,
                     struct error *error)
{
        int r = discover_all(discover, catalogue, error);

        return r < 0 ? error_prefix(error, "discovery of modules") : 0;
}
