/* The prototype's story.
 *
 * We were cloned by the supervisor into new namespaces and exec'd from clean memory: what we have is a plan,
 * a module, the application's sources and listeners, two pipes. We hold every capability over our own
 * namespaces and none over the host. The order below is the promise that clade makes: no code of the
 * application runs before the last lock.
 *
 *   plan               trusted: the supervisor wrote it; nothing of the application's is in memory
 *   module, setup      trusted code of the module, with the host's files still in sight
 *   isolation_apply    root, limits, capabilities, no_new_privs, Landlock, seccomp: no way back
 *   keep               the plan is wiped; what stays is the application's own
 *   preload            from here on we count as the tenant
 *   serve              clone workers when asked to, reap, report
 */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "base/own.h"
#include "runtime/protocol/descriptors.h"
#include "runtime/protocol/steps.h"
#include "runtime/prototype/prototype.h"

/* What crosses from the plan's life into the application's: options, environment, addresses, and the
 * filter that workers add. The rest, and the memory that held it, goes. */
static int launch_keep(struct prototype *prototype, struct error *error)
{
        struct launch kept = prototype->launch;
        struct codec_memory memory = {.base = NULL};
        cleanup_free char *image = NULL;
        struct codec codec;
        size_t size;
        int r;

        kept.plan = (struct plan){.worker_filter = prototype->launch.plan.worker_filter};
        codec_write_begin(&codec);
        launch_fields(&codec, &kept);
        r = codec_write_end(&codec, &image, &size);
        if (r < 0)
                return error_set(error, -r, "keeping what the application needs");
        codec_read_begin(&codec, &memory, image, size);
        launch_fields(&codec, &kept);
        r = codec_read_end(&codec);
        explicit_bzero(image, size);
        if (r < 0) {
                codec_memory_finish(&memory);
                return error_set(error, -r, "keeping what the application needs");
        }
        codec_memory_finish(&prototype->memory);
        prototype->launch = kept;
        prototype->memory = memory;
        prototype->isolation.plan = NULL;
        prototype->isolation.sources = NULL;
        return 0;
}

static int sources_collect(struct prototype *prototype, struct error *error)
{
        size_t count = prototype->launch.plan.source_count;
        int *sources = malloc((count + 1) * sizeof(*sources));

        if (!sources)
                return error_set(error, ENOMEM, "descriptors of the sources");
        for (size_t i = 0; i < count; i++)
                sources[i] = PROTOTYPE_FD_FIRST + (int)i;
        prototype->isolation.plan = &prototype->launch.plan;
        prototype->isolation.sources = sources;
        prototype->isolation.tether = PROTOTYPE_FD_ORDERS;
        return 0;
}

/* The sources are attached; a descriptor of the host's tree has no business in what follows. */
static void sources_release(struct prototype *prototype)
{
        for (size_t i = 0; i < prototype->launch.plan.source_count; i++)
                fd_close(prototype->isolation.sources[i]);
        free((int *)prototype->isolation.sources);
}

static void on_passed(void *context, enum isolation_step_id step)
{
        stopwatch_lap(context, step);
}

static unsigned prototype_start(struct prototype *prototype, struct error *error)
{
        enum isolation_step_id step;
        struct stopwatch *stopwatch = &prototype->stopwatch;
        const char *directory;
        size_t source_count;

        if (launch_read(PROTOTYPE_FD_PLAN, &prototype->launch, &prototype->memory, error) < 0 ||
            sources_collect(prototype, error) < 0)
                return STEP_PLAN;
        fd_close(PROTOTYPE_FD_PLAN);
        source_count = prototype->launch.plan.source_count;
        stopwatch_lap(stopwatch, STEP_PLAN);

        if (module_load(prototype, error) < 0)
                return STEP_MODULE;
        stopwatch_lap(stopwatch, STEP_MODULE);
        if (module_setup(prototype, error) < 0)
                return STEP_SETUP;
        stopwatch_lap(stopwatch, STEP_SETUP);

        prototype->isolation.passed = on_passed;
        prototype->isolation.context = stopwatch;
        if (isolation_apply(&prototype->isolation, &step, error) < 0)
                return step;
        sources_release(prototype);

        directory = prototype->launch.working_directory;
        if (directory && chdir(directory) < 0) {
                error_set(error, errno, "chdir to the working directory %s", directory);
                error_remedy(error, "it must exist inside the root and be searchable by uid %u",
                             prototype->launch.plan.identity.uid);
                return STEP_WORKING_DIRECTORY;
        }
        if (launch_keep(prototype, error) < 0 || children_init(prototype, source_count, error) < 0)
                return STEP_PLAN;
        stopwatch_lap(stopwatch, STEP_WORKING_DIRECTORY);

        if (module_preload(prototype, error) < 0)
                return STEP_PRELOAD;
        stopwatch_lap(stopwatch, STEP_PRELOAD);
        return 0;
}

int main(int argc, char **argv)
{
        static struct prototype prototype; /* zeroed, and too large for comfort on a stack */
        struct error error = ERROR_INIT;
        unsigned step;

        if (argc != 1) /* not the supervisor's doing */
                return EXIT_FAILURE;
        stopwatch_start(&prototype.stopwatch);
        prototype.title = argv[0];
        signal(SIGPIPE, SIG_IGN);
        step = prototype_start(&prototype, &error);
        if (step != 0) {
                report_failed(step, &error);
                return (int)step;
        }
        report_ready(&prototype.stopwatch);
        return prototype_serve(&prototype);
}
