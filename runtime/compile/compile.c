#include "runtime/compile/compile.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/capability.h>
#include <sys/mount.h>
#include <unistd.h>

#include "base/missing.h"
#include "base/own.h"
#include "runtime/compile/compilation.h"
#include "runtime/compile/ids.h"

#define HOSTNAME_LENGTH 64 /* __NEW_UTS_LEN, without the NUL */

int error_at(struct error *error, const struct compilation *compilation, const char *format, ...)
{
        char place[256];
        va_list args;

        va_start(args, format);
        vsnprintf(place, sizeof(place), format, args);
        va_end(args);
        return error_prefix(error, "configuration %s%s", compilation->application->pointer, place);
}

void compile_notice(const struct compilation *compilation, const char *text)
{
        const struct compile *compile = compilation->compile;

        if (compile->notice)
                compile->notice(compile->context, compilation->application->name, text);
}

/* A capability in a user namespace is none over a mount namespace that belongs to an outer one. */
static bool owns_mounts(void)
{
        cleanup_fd int tree = open_tree(AT_FDCWD, "/", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);

        return tree >= 0 || errno != EPERM;
}

bool compile_may_mount(void)
{
        cap_flag_value_t value = CAP_CLEAR;
        cap_t caps = cap_get_proc();

        if (caps)
                cap_get_flag(caps, CAP_SYS_ADMIN, CAP_EFFECTIVE, &value);
        cap_free(caps);
        return value == CAP_SET && owns_mounts();
}

/* The one that is configured, or the application's name in the letters that one may have: hostname(7). */
static int hostname(struct compilation *compilation, struct error *error)
{
        const char *name = compilation->application->name;
        const char *configured = compilation->application->isolation.hostname;
        char text[HOSTNAME_LENGTH + 1];
        size_t used = 0;

        for (; *name && used < HOSTNAME_LENGTH; name++) {
                bool plain = isalnum((unsigned char)*name) && !(*name & 0x80);

                if (used > 0 || plain)
                        text[used++] = plain || *name == '.' ? *name : '-';
        }
        while (used > 0 && !isalnum((unsigned char)text[used - 1]))
                used--;
        text[used] = '\0';
        compilation->plan->hostname = arena_strdup(compilation->arena, configured ? configured
                                                                       : used     ? text
                                                                                  : "clade");
        return compilation->plan->hostname ? 0 : error_set(error, ENOMEM, "hostname");
}

/* What a namespace that is switched off leaves open, where nothing else holds it. */
static void notice_what_is_shared(const struct compilation *compilation)
{
        const struct plan *plan = compilation->plan;

        if (!(plan->namespaces & CLONE_NEWPID))
                compile_notice(compilation, "without a pid namespace processes that leave their "
                                            "worker's group can outlive clade");
        if (!(plan->namespaces & CLONE_NEWPID) && ids_are_ours(&plan->identity))
                compile_notice(compilation,
                               "without a pid namespace, and with the same user id as clade, the "
                               "application can change the priority of clade and of everything of "
                               "that user's");
        if (!(plan->namespaces & CLONE_NEWIPC))
                compile_notice(compilation, "without an ipc namespace shared memory of the "
                                            "application's stays on the host after its end");
        if (!(plan->namespaces & CLONE_NEWNS) && !compilation->host_paths)
                compile_notice(compilation, "without a mount namespace the application sees all of "
                                            "the host's files that its user id may read");
}

static int namespaces(struct compilation *compilation, struct error *error)
{
        const struct ids_request request = {
                .config = compilation->compile->config,
                .application = compilation->application,
                .index = compilation->index,
                .remember = compilation->compile->remember,
                .arena = compilation->arena,
        };
        struct plan *plan = compilation->plan;
        int r;

        plan->namespaces = compilation->application->isolation.namespaces;
        /* Without namespaces there is nothing to mount, and root's capabilities go all the same. */
        plan->privileged =
                compilation->level <= LADDER_CONFINE ? geteuid() == 0 : compile_may_mount();
        r = ids_assign(&request, &plan->identity, error);
        if (r < 0)
                return error_at(error, compilation, "%s", "");
        compilation->root.links = ids_links(&plan->identity);
        notice_what_is_shared(compilation);
        return plan->namespaces & CLONE_NEWUTS ? hostname(compilation, error) : 0;
}

static int copy_values(struct compilation *compilation)
{
        const struct config_application *application = compilation->application;
        struct launch *launch = compilation->launch;
        struct arena *arena = compilation->arena;

        launch->values = arena_alloc(arena, application->value_count * sizeof(*launch->values));
        if (!launch->values)
                return -ENOMEM;
        for (size_t i = 0; i < application->value_count; i++) {
                const struct config_value *from = &application->values[i];
                struct launch_value *to = &launch->values[launch->value_count++];

                *to = (struct launch_value){.type = from->type, .integer = from->integer};
                to->name = arena_strdup(arena, from->name);
                if (from->string)
                        to->string = arena_strdup(arena, from->string);
                to->strings = arena_strings(arena, from->strings);
                if (!to->name || (from->string && !to->string) || !to->strings)
                        return -ENOMEM;
        }
        return 0;
}

static int copy_listeners(struct compilation *compilation)
{
        const struct config *config = compilation->compile->config;
        struct launch *launch = compilation->launch;

        launch->listeners = arena_alloc(compilation->arena,
                                        config->listener_count * sizeof(*launch->listeners));
        if (!launch->listeners)
                return -ENOMEM;
        for (size_t i = 0; i < config->listener_count; i++) {
                const struct config_listener *listener = &config->listeners[i];
                struct launch_listener *to = &launch->listeners[launch->listener_count];

                if (listener->application != compilation->index)
                        continue;
                *to = (struct launch_listener){
                        .address = arena_strdup(compilation->arena, listener->address),
                };
                if (listener->target)
                        to->target = arena_strdup(compilation->arena, listener->target);
                if (!to->address || (listener->target && !to->target))
                        return -ENOMEM;
                launch->listener_count++;
        }
        return 0;
}

/* What concerns the application rather than its confinement. Its environment is what is configured and
 * nothing besides: not even a PATH. */
static int fill_launch(struct compilation *compilation, struct error *error)
{
        const struct config_application *application = compilation->application;
        struct launch *launch = compilation->launch;
        struct arena *arena = compilation->arena;

        launch->application = arena_strdup(arena, application->name);
        launch->module = arena_strdup(arena, application->module->type);
        launch->environment = arena_strings(arena, application->environment);
        if (application->working_directory)
                launch->working_directory = arena_strdup(arena, application->working_directory);
        launch->slot_count = application->processes.max;
        launch->tells_load = application->module->counts_requests &&
                             (application->processes.dynamic || application->limits.timeout > 0);
        launch->limits = (struct clade_limits){
                .requests = application->limits.requests,
                .timeout = application->limits.timeout,
        };
        launch->http = compilation->compile->config->settings.http;
        if (!launch->application || !launch->module || !launch->environment ||
            (application->working_directory && !launch->working_directory) ||
            copy_values(compilation) < 0 || copy_listeners(compilation) < 0)
                return error_set(error, ENOMEM, "application %s", application->name);
        return 0;
}

static int compile_in_order(struct compilation *compilation, struct error *error)
{
        int r = level_choose(compilation, error);

        if (r == 0)
                r = fill_launch(compilation, error);
        if (r == 0)
                r = namespaces(compilation, error);
        if (r == 0)
                r = compile_root(compilation, error);
        if (r == 0)
                r = level_adapt(compilation, error);
        if (r == 0)
                r = compile_privileges(compilation, error);
        if (r == 0)
                r = compile_cgroup(compilation, error);
        if (r == 0)
                r = compile_limits(compilation, error);
        if (r == 0)
                compile_counts(compilation);
        if (r == 0)
                r = compile_scheduling(compilation, error);
        if (r == 0)
                r = compile_landlock(compilation, landlock_abi(), error);
        if (r == 0)
                r = compile_filters(compilation, error);
        if (r == 0)
                r = level_settle(compilation, error);
        return r;
}

int compile_application(const struct compile *compile, size_t index, struct compiled **ret_compiled,
                        struct error *error)
{
        struct compiled *compiled = calloc(1, sizeof(*compiled));
        struct compilation compilation;
        int r;

        if (!compiled)
                return error_set(error, ENOMEM, "application");
        compilation = (struct compilation){
                .compile = compile,
                .application = &compile->config->applications[index],
                .index = index,
                .arena = &compiled->arena,
                .launch = &compiled->launch,
                .plan = &compiled->launch.plan,
                .root = {.plan = &compiled->launch.plan, .arena = &compiled->arena},
        };
        r = compile_in_order(&compilation, error);
        if (r < 0) {
                compiled_destroy(compiled);
                return r;
        }
        *ret_compiled = compiled;
        return 0;
}

const struct launch *compiled_launch(const struct compiled *compiled)
{
        return &compiled->launch;
}

struct compiled *compiled_destroy(struct compiled *compiled)
{
        if (compiled)
                arena_finish(&compiled->arena);
        free(compiled);
        return NULL;
}
