/* What is to be tried on this host, and with which ids. */
#include <errno.h>
#include <sched.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "runtime/compile/arena.h"
#include "runtime/compile/compilation.h"
#include "runtime/compile/ids.h"
#include "runtime/compile/level.h"
#include "runtime/compile/subid.h"

#define EVERY_NAMESPACE                                                                            \
        (CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS | \
         CLONE_NEWCGROUP | 0x00000080 /* CLONE_NEWTIME */)

static uint64_t asked_namespaces(const struct config *config)
{
        uint64_t namespaces = 0;

        for (size_t i = 0; i < config->application_count; i++) {
                const struct config_isolation *isolation = &config->applications[i].isolation;

                if (isolation->maximum >= LADDER_SHARED_PROC)
                        namespaces |= isolation->namespaces;
        }
        /* A root is what levels with namespaces are told by, whether these applications want one or not. */
        return namespaces ? namespaces | CLONE_NEWNS | CLONE_NEWPID : 0;
}

/* The ids that some application would get: of a name that nobody has, and without writing anything down. */
static int sample_identity(const struct config *config, uint64_t namespaces, struct arena *arena,
                           struct plan_identity *ret_identity, struct error *error)
{
        static char name[] = "?",
                    nowhere[] = "/proc/clade"; /* no registry: none that could be wrong */
        struct config_application application = {
                .name = name,
                .uid = CONFIG_ID_DEFAULT,
                .gid = CONFIG_ID_DEFAULT,
                .isolation = {.namespaces = namespaces},
        };
        struct config alone = *config;
        const struct ids_request request = {
                .config = &alone,
                .application = &application,
                .arena = arena,
        };

        alone.applications = &application;
        alone.application_count = 1;
        alone.settings.state_directory = nowhere;
        return ids_assign(&request, ret_identity, error);
}

/* The user's own, as an application has it who gets no other. */
static int own_identity(struct arena *arena, struct plan_identity *identity, struct error *error)
{
        struct plan_id_extent *extents = arena_alloc(arena, 2 * sizeof(*extents));

        if (!extents)
                return error_set(error, ENOMEM, "ids");
        extents[0] = (struct plan_id_extent){CONFIG_ID_DEFAULT, geteuid(), 1};
        extents[1] = (struct plan_id_extent){CONFIG_ID_DEFAULT, getegid(), 1};
        *identity = (struct plan_identity){
                .method = PLAN_IDS_DIRECT,
                .deny_groups = true,
                .uid_map = {extents, 1},
                .gid_map = {extents + 1, 1},
                .uid = CONFIG_ID_DEFAULT,
                .gid = CONFIG_ID_DEFAULT,
        };
        return 0;
}

static void explain_no_ids(struct ladder_request *request)
{
        struct error *error = &request->no_identity_error;

        if (prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1)
                request->no_identity = CAUSE_NO_NEW_PRIVS;
        else
                request->no_identity = subid_helpers_usable() ? CAUSE_NO_SUBUID : CAUSE_NO_HELPER;
        error_say(error, EPERM, "user %u has no ids to give to applications but its own",
                  geteuid());
        error_remedy(error, "%s", cause_remedy(request->no_identity));
}

static int find_identities(const struct config *config, struct arena *arena,
                           struct ladder_request *request, struct error *error)
{
        int r = 0;

        if (geteuid() != 0)
                r = own_identity(arena, &request->own_identity, error);
        if (r < 0)
                return r;
        r = sample_identity(config, request->namespaces, arena, &request->identity,
                            &request->no_identity_error);
        if (r < 0)
                request->no_identity = CAUSE_ID_RANGE;
        else if (ids_are_ours(&request->identity))
                explain_no_ids(request);
        return 0;
}

int level_probe(const struct config *config, bool all, struct ladder *ret_ladder,
                struct error *error)
{
        struct ladder_request request = {
                .namespaces = all ? EVERY_NAMESPACE : asked_namespaces(config),
                .privileged = compile_may_mount(),
        };
        struct arena arena = {.chunks = NULL};
        int r = 0;

        if (request.namespaces)
                r = find_identities(config, &arena, &request, error);
        if (r == 0)
                r = ladder_probe(&request, ret_ladder, error);
        arena_finish(&arena);
        return r;
}
