/* plan-image CLADE CONFIGURATION APPLICATION OUT: the plan that `clade run` would start this application by,
 * as files OUT.launch, OUT.parent, OUT.filter. CLADE is clade's binary: its modules and templates are used. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/own.h"
#include "runtime/compile/compile.h"
#include "runtime/compile/load.h"
#include "runtime/paths/paths.h"
#include "runtime/protocol/launch.h"
#include "tests/bench/plan_image.h"

static void on_module(void *context, const char *path, bool serious, const struct error *error)
{
        (void)context;
        if (serious)
                fprintf(stderr, "plan-image: %s: %s\n", path, error->text);
}

static void on_notice(void *context, const char *application, const char *text)
{
        (void)context;
        fprintf(stderr, "plan-image: %s: %s\n", application, text);
}

static int write_file(const char *out, const char *suffix, const void *content, size_t size)
{
        cleanup_fd int fd = -1;
        char path[4096];

        snprintf(path, sizeof(path), "%s%s", out, suffix);
        fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
        if (fd < 0)
                return -errno;
        return fd_write_full(fd, content, size);
}

static int write_launch(const char *out, const struct launch *launch)
{
        cleanup_fd int fd = launch_write(launch);
        cleanup_free char *content = NULL;
        struct stat st;

        if (fd < 0 || fstat(fd, &st) < 0)
                return fd < 0 ? fd : -errno;
        content = malloc((size_t)st.st_size);
        if (!content)
                return -ENOMEM;
        if (pread(fd, content, (size_t)st.st_size, 0) != (ssize_t)st.st_size)
                return -EIO;
        return write_file(out, PLAN_IMAGE_LAUNCH, content, (size_t)st.st_size);
}

static int write_all(const char *out, const struct launch *launch)
{
        const struct plan_image_parent parent = {.counts = launch->plan.counts};
        const struct plan_filter *filters = launch->plan.prototype_filters;
        int r = write_launch(out, launch);

        if (r == 0)
                r = write_file(out, PLAN_IMAGE_PARENT, &parent, sizeof(parent));
        if (r == 0 && launch->plan.prototype_filter_count > 0)
                r = write_file(out, PLAN_IMAGE_FILTER, filters[0].program,
                               filters[0].length * sizeof(filters[0].program[0]));
        return r;
}

static int compile(const struct paths *paths, const struct config *config, const char *name,
                   const char *out, struct error *error)
{
        struct filters filters = FILTERS_INIT(paths->profiles);
        struct compile_cgroups cgroups;
        struct compiled *compiled = NULL;
        struct ladder ladder;
        struct compile request = {
                .config = config,
                .template_directory = paths->templates,
                .filters = &filters,
                .cgroups = &cgroups,
                .ladder = &ladder,
                .remember = true,
                .notice = on_notice,
        };
        size_t index = 0;
        int r;

        while (index < config->application_count &&
               strcmp(config->applications[index].name, name) != 0)
                index++;
        if (index == config->application_count)
                return error_say(error, ENOENT, "no application \"%s\"", name);
        compile_find_cgroups(config, &cgroups);
        r = level_probe(config, false, &ladder, error);
        if (r == 0)
                r = compile_application(&request, index, &compiled, error);
        if (r == 0) {
                r = write_all(out, compiled_launch(compiled));
                if (r < 0)
                        error_set(error, -r, "writing %s", out);
        }
        compiled_destroy(compiled);
        filters_finish(&filters);
        return r;
}

int main(int argc, char **argv)
{
        struct load load = {.notice = on_module};
        struct error error = ERROR_INIT;
        struct diagnostics diagnostics;
        struct loaded loaded;
        struct paths paths;
        int r;

        if (argc != 5) {
                fprintf(stderr, "usage: plan-image CLADE CONFIGURATION APPLICATION OUT\n");
                return 2;
        }
        r = paths_for(argv[1], &paths, &error);
        load.paths = &paths;
        if (r == 0)
                r = load_configuration(&load, argv[2], &loaded, &diagnostics, &error);
        if (r == 0)
                r = compile(&paths, &loaded.config, argv[3], argv[4], &error);
        if (r < 0)
                fprintf(stderr, "plan-image: %s: %s\n", argv[2], error.text);
        return r < 0;
}
