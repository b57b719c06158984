#include "isolation/ladder.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/missing.h"
#include "base/own.h"
#include "isolation/apply.h"
#include "isolation/cause.h"
#include "isolation/clone.h"

#define ROOT_SIZE   (64u << 10) /* bytes */
#define ROOT_INODES 32u

static const char *const level_names[LADDER_LEVELS] = {
        [LADDER_NONE] = "none",       [LADDER_FILTER] = "filter",
        [LADDER_CONFINE] = "confine", [LADDER_SHARED_PROC] = "shared-proc",
        [LADDER_USER] = "user",       [LADDER_FULL] = "full",
};

static const char *const feature_names[LADDER_FEATURES] = {
        [LADDER_NAMESPACES] = "namespaces", [LADDER_IDS] = "own-ids",
        [LADDER_ROOT] = "own-root",         [LADDER_PROC] = "fresh-proc",
        [LADDER_LANDLOCK] = "landlock",     [LADDER_SECCOMP] = "seccomp",
};

#define BIT(feature) (1u << (feature))

/* What each level is made of. */
static const unsigned level_features[LADDER_LEVELS] = {
        [LADDER_FILTER] = BIT(LADDER_SECCOMP),
        [LADDER_CONFINE] = BIT(LADDER_SECCOMP) | BIT(LADDER_LANDLOCK),
        [LADDER_SHARED_PROC] = BIT(LADDER_SECCOMP) | BIT(LADDER_NAMESPACES) | BIT(LADDER_ROOT),
        [LADDER_USER] =
                BIT(LADDER_SECCOMP) | BIT(LADDER_NAMESPACES) | BIT(LADDER_ROOT) | BIT(LADDER_PROC),
        [LADDER_FULL] = BIT(LADDER_SECCOMP) | BIT(LADDER_NAMESPACES) | BIT(LADDER_ROOT) |
                        BIT(LADDER_PROC) | BIT(LADDER_IDS),
};

const char *ladder_level_name(enum ladder_level level)
{
        return level_names[level];
}

bool ladder_level_find(const char *name, enum ladder_level *ret_level)
{
        for (size_t i = 0; i < LADDER_LEVELS; i++) {
                if (strcmp(name, level_names[i]) != 0)
                        continue;
                *ret_level = (enum ladder_level)i;
                return true;
        }
        return false;
}

const char *ladder_feature_name(enum ladder_feature feature)
{
        return feature_names[feature];
}

enum ladder_feature ladder_missing(const struct ladder *ladder, enum ladder_level level)
{
        for (unsigned i = 0; i < LADDER_FEATURES; i++)
                if (level_features[level] & BIT(i) && ladder->findings[i].state != LADDER_THERE)
                        return (enum ladder_feature)i;
        return LADDER_FEATURES;
}

enum ladder_level ladder_level_of(const struct ladder *ladder)
{
        for (unsigned level = LADDER_FULL; level > LADDER_NONE; level--)
                if (ladder_missing(ladder, (enum ladder_level)level) == LADDER_FEATURES)
                        return (enum ladder_level)level;
        return LADDER_NONE;
}

/* --- one attempt ------------------------------------------------------------------------------ */

/* What the child says at its end; a child that ends in silence was killed. */
struct verdict {
        uint32_t step; /* enum isolation_step_id; 0: it came through */
        struct error error;
};

struct attempt {
        const struct plan *plan;
        int writer;
};

/* Any program serves; this one allows everything. */
static struct sock_filter allow_all[] = {BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)};

enum { SOURCE_NULL, SOURCE_PROC, SOURCES };

struct attempt_plan {
        struct plan plan;
        struct plan_source sources[SOURCES];
        struct plan_entry entries[2];
        struct plan_filter filter;
};

static int look_at(struct plan_source *source, char *path, struct error *error)
{
        struct stat st;

        if (stat(path, &st) < 0)
                return error_set(error, errno, "stat of %s", path);
        *source = (struct plan_source){
                .path = path,
                .device = st.st_dev,
                .inode = st.st_ino,
                .special = S_ISCHR(st.st_mode) ? st.st_rdev : 0,
                .type = st.st_mode & S_IFMT,
        };
        return 0;
}

/* A root as applications have it, as small as can be. Without a fresh /proc the outer one is bound. */
static int plan_root(struct attempt_plan *attempt, bool fresh_proc, struct error *error)
{
        static char null[] = "/dev/null", proc[] = "/proc", null_target[] = "/null";
        const uint64_t attributes = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC;
        struct plan *plan = &attempt->plan;
        int r = look_at(&attempt->sources[SOURCE_NULL], null, error);

        if (r == 0 && !fresh_proc)
                r = look_at(&attempt->sources[SOURCE_PROC], proc, error);
        if (r < 0)
                return r;
        attempt->entries[0] = (struct plan_entry){
                .kind = PLAN_BIND,
                .target = null_target,
                .source = SOURCE_NULL,
                .attributes = attributes,
        };
        attempt->entries[1] = (struct plan_entry){
                .kind = fresh_proc ? PLAN_PROC : PLAN_BIND,
                .target = proc,
                .source = SOURCE_PROC,
                .attributes = attributes | MOUNT_ATTR_NODEV |
                              (fresh_proc ? 0 : (uint64_t)MOUNT_ATTR_RDONLY),
        };
        plan->root = true;
        plan->root_size = ROOT_SIZE;
        plan->root_inodes = ROOT_INODES;
        plan->sources = attempt->sources;
        plan->source_count = fresh_proc ? 1 : 2;
        plan->entries = attempt->entries;
        plan->entry_count = 2;
        return 0;
}

/* The newest part that the kernel says it has: what it only claims to have shows here. */
static void plan_landlock(struct plan *plan, uint32_t abi)
{
        plan->prototype_domain.handled_fs = LANDLOCK_ACCESS_FS_MAKE_BLOCK;
        if (abi >= 4)
                plan->prototype_domain.handled_net = LANDLOCK_ACCESS_NET_BIND_TCP;
        if (abi >= 6)
                plan->prototype_domain.scoped = LANDLOCK_SCOPE_SIGNAL;
}

static int make_plan(const struct ladder_request *request, unsigned wanted, uint32_t abi,
                     struct attempt_plan *attempt, struct error *error)
{
        static char name[] = "anything";
        struct plan *plan = &attempt->plan;
        int r = 0;

        *attempt = (struct attempt_plan){.plan = {.identity = {.method = PLAN_IDS_NONE}}};
        if (wanted & BIT(LADDER_NAMESPACES)) {
                plan->privileged = request->privileged;
                plan->namespaces = request->namespaces;
                plan->identity =
                        wanted & BIT(LADDER_IDS) ? request->identity : request->own_identity;
        }
        if (wanted & BIT(LADDER_ROOT))
                r = plan_root(attempt, wanted & BIT(LADDER_PROC), error);
        if (wanted & BIT(LADDER_LANDLOCK))
                plan_landlock(plan, abi);
        if (wanted & BIT(LADDER_SECCOMP)) {
                attempt->filter = (struct plan_filter){
                        .name = name, .program = allow_all, .length = ARRAY_SIZE(allow_all)};
                plan->prototype_filters = &attempt->filter;
                plan->prototype_filter_count = 1;
        }
        return r;
}

/* In the child, whose ids are the plan's already: all that a prototype would do, and an end. */
static void run(void *context, const int *trees)
{
        const struct attempt *attempt = context;
        struct isolation isolation = {.plan = attempt->plan, .sources = trees, .tether = -1};
        struct verdict verdict = {.error = ERROR_INIT};
        enum isolation_step_id step;

        if (isolation_apply(&isolation, &step, &verdict.error) < 0)
                verdict.step = step;
        fd_write_full(attempt->writer, &verdict, sizeof(verdict));
}

static void failed(void *context, bool arranged, enum isolation_step_id step,
                   const struct error *error)
{
        const struct attempt *attempt = context;
        const struct verdict verdict = {.step = step, .error = *error};

        (void)arranged;
        fd_write_full(attempt->writer, &verdict, sizeof(verdict));
}

static void reap(int pidfd, siginfo_t *ret_status)
{
        *ret_status = (siginfo_t){.si_code = 0};
        while (waitid(P_PIDFD, (id_t)pidfd, ret_status, WEXITED) < 0 && errno == EINTR)
                ;
}

/* 0 with a verdict, also where the child could not even be made; an error when there is none to be had. */
static int try_once(const struct plan *plan, struct verdict *ret_verdict, struct error *error)
{
        struct attempt attempt = {.plan = plan};
        const struct isolation_clone clone = {
                .plan = plan, .run = run, .failed = failed, .context = &attempt};
        cleanup_fd int reader = -1, writer = -1, pidfd = -1;
        enum isolation_step_id step;
        siginfo_t status;
        int fds[2];
        pid_t pid;

        *ret_verdict = (struct verdict){.error = ERROR_INIT};
        if (pipe2(fds, O_CLOEXEC) < 0)
                return error_set(error, errno, "pipe2");
        reader = fds[0];
        attempt.writer = writer = fds[1];
        if (isolation_clone(&clone, &pid, &pidfd, &step, &ret_verdict->error) < 0) {
                ret_verdict->step = step;
                return 0;
        }
        fd_close(TAKE_FD(writer));
        if (fd_read_full(reader, ret_verdict, sizeof(*ret_verdict)) ==
            (ssize_t)sizeof(*ret_verdict)) {
                reap(pidfd, &status);
                return 0;
        }
        /* Filters kill where they do not refuse. */
        reap(pidfd, &status);
        *ret_verdict = (struct verdict){.step = STEP_NAMESPACES};
        error_say(&ret_verdict->error, EPERM, "a child that tried it was ended by %s %d",
                  status.si_code == CLD_EXITED ? "status" : "signal", status.si_status);
        return 0;
}

/* What a busy host answers says nothing of what it has, and would be believed for the supervisor's whole life. */
static bool is_passing(int code)
{
        return code == EAGAIN || code == ENOMEM || code == EMFILE || code == ENFILE;
}

static int try(const struct plan *plan, struct verdict *ret_verdict, struct error *error)
{
        int r = try_once(plan, ret_verdict, error);

        for (long pause = 20; r == 0 && ret_verdict->step && pause <= 160; pause *= 2) {
                if (!is_passing(ret_verdict->error.code))
                        break;
                nanosleep(&(struct timespec){.tv_nsec = pause * 1000000}, NULL);
                r = try_once(plan, ret_verdict, error);
        }
        return r;
}

/* --- all of them ------------------------------------------------------------------------------ */

/* Which feature a step stands for. `entries` is where a fresh /proc fails, as well as any other mount; it is
 * taken for /proc first, and when the next child gets stuck there without one, for the root. */
static enum ladder_feature feature_of(uint32_t step, unsigned wanted)
{
        switch (step) {
        case STEP_ID_MAPS:
        case STEP_IDENTITY:
                if (wanted & BIT(LADDER_IDS))
                        return LADDER_IDS;
                break;
        case STEP_ENTRIES:
                if (wanted & BIT(LADDER_PROC))
                        return LADDER_PROC;
                if (wanted & BIT(LADDER_ROOT))
                        return LADDER_ROOT;
                break;
        case STEP_SOURCES:
        case STEP_ROOT:
        case STEP_SEAL:
        case STEP_PIVOT:
                if (wanted & BIT(LADDER_ROOT))
                        return LADDER_ROOT;
                break;
        case STEP_LANDLOCK:
                if (wanted & BIT(LADDER_LANDLOCK))
                        return LADDER_LANDLOCK;
                break;
        case STEP_SECCOMP:
                return LADDER_SECCOMP;
        default:
                break;
        }
        return wanted & BIT(LADDER_NAMESPACES) ? LADDER_NAMESPACES : LADDER_SECCOMP;
}

static enum cause explain(enum ladder_feature feature, uint64_t namespaces,
                          const struct error *error)
{
        switch (feature) {
        case LADDER_NAMESPACES:
                return cause_of_namespaces(error->code, namespaces);
        case LADDER_IDS:
                return cause_of_ids(error->code);
        case LADDER_PROC:
                return cause_of_proc(error->code);
        case LADDER_LANDLOCK:
                return cause_of_landlock(error->code);
        default:
                return cause_of_call(error->code);
        }
}

static void missing(struct ladder *ladder, enum ladder_feature feature,
                    const struct verdict *verdict, const struct ladder_request *request)
{
        struct ladder_finding *finding = &ladder->findings[feature];

        finding->state = LADDER_MISSING;
        finding->error = verdict->error;
        finding->cause = explain(feature, request->namespaces, &finding->error);
        error_remedy(&finding->error, "%s", cause_remedy(finding->cause));
}

/* What cannot be tried without it: neither can a namespace be used without a root, here. */
static unsigned without(unsigned wanted, enum ladder_feature feature)
{
        switch (feature) {
        case LADDER_NAMESPACES:
                return wanted & ~(BIT(LADDER_NAMESPACES) | BIT(LADDER_IDS) | BIT(LADDER_ROOT) |
                                  BIT(LADDER_PROC));
        case LADDER_ROOT:
                return wanted & ~(BIT(LADDER_ROOT) | BIT(LADDER_PROC));
        default:
                return wanted & ~BIT(feature);
        }
}

static unsigned wanted_at_first(const struct ladder_request *request, struct ladder *ladder)
{
        unsigned wanted = BIT(LADDER_SECCOMP);
        int abi = landlock_abi();
        struct verdict verdict = {.error = ERROR_INIT};

        if (abi > 0) {
                ladder->landlock_abi = (uint32_t)abi;
                wanted |= BIT(LADDER_LANDLOCK);
        } else {
                error_set(&verdict.error, errno, "landlock_create_ruleset");
                missing(ladder, LADDER_LANDLOCK, &verdict, request);
        }
        if (!request->namespaces)
                return wanted;
        wanted |= BIT(LADDER_NAMESPACES);
        if (request->namespaces & CLONE_NEWNS)
                wanted |= BIT(LADDER_ROOT);
        if ((request->namespaces & (CLONE_NEWPID | CLONE_NEWNS)) == (CLONE_NEWPID | CLONE_NEWNS))
                wanted |= BIT(LADDER_PROC);
        if (request->no_identity_error.code) {
                ladder->findings[LADDER_IDS] = (struct ladder_finding){
                        .state = LADDER_MISSING,
                        .cause = request->no_identity,
                        .error = request->no_identity_error,
                };
                return wanted;
        }
        return wanted | BIT(LADDER_IDS);
}

static unsigned give_up(struct ladder *ladder, unsigned wanted, const struct verdict *verdict,
                        const struct ladder_request *request)
{
        for (unsigned i = 0; i < LADDER_FEATURES; i++)
                if (wanted & BIT(i))
                        missing(ladder, (enum ladder_feature)i, verdict, request);
        return 0;
}

/* User 0 gets no application of its own id: without others there is nothing to try. */
static bool impossible(const struct ladder_request *request, unsigned wanted)
{
        return wanted & BIT(LADDER_NAMESPACES) && request->namespaces & CLONE_NEWUSER &&
               !(wanted & BIT(LADDER_IDS)) && request->own_identity.method == PLAN_IDS_NONE;
}

int ladder_probe(const struct ladder_request *request, struct ladder *ladder, struct error *error)
{
        struct attempt_plan attempt;
        struct verdict verdict;
        unsigned wanted;
        int r;

        *ladder = (struct ladder){.level = LADDER_NONE};
        wanted = wanted_at_first(request, ladder);
        while (wanted) {
                enum ladder_feature feature;

                if (impossible(request, wanted)) {
                        struct ladder_finding *finding = &ladder->findings[LADDER_NAMESPACES];

                        *finding = ladder->findings[LADDER_IDS];
                        wanted = without(wanted, LADDER_NAMESPACES);
                        continue;
                }
                r = make_plan(request, wanted, ladder->landlock_abi, &attempt, error);
                if (r == 0)
                        r = try(&attempt.plan, &verdict, error);
                if (r < 0)
                        return error_prefix(error, "finding out what this host allows");
                if (verdict.step == 0)
                        break;
                feature = feature_of(verdict.step, wanted);
                if (!(wanted & BIT(feature))) {
                        /* Not even a child without anything comes through. */
                        wanted = give_up(ladder, wanted, &verdict, request);
                        break;
                }
                missing(ladder, feature, &verdict, request);
                if (feature == LADDER_ROOT) /* it was not about /proc */
                        ladder->findings[LADDER_PROC].state = LADDER_UNTRIED;
                wanted = without(wanted, feature);
        }
        for (unsigned i = 0; i < LADDER_FEATURES; i++)
                if (wanted & BIT(i))
                        ladder->findings[i].state = LADDER_THERE;
        if (ladder->findings[LADDER_LANDLOCK].state != LADDER_THERE)
                ladder->landlock_abi = 0;
        ladder->level = ladder_level_of(ladder);
        return 0;
}
