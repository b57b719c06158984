#include "compile_fixture.h"

#include <criterion/criterion.h>
#include <ftw.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/missing.h"
#include "base/own.h"

static void on_notice(void *context, const char *application, const char *text)
{
        struct fixture *fixture = context;
        size_t used = strlen(fixture->notices);

        snprintf(fixture->notices + used, sizeof(fixture->notices) - used, "%s: %s\n", application,
                 text);
}

void fixture_init(struct fixture *fixture)
{
        *fixture = (struct fixture){.directory = "/tmp/clade-compile-XXXXXX"};
        cr_assert(mkdtemp(fixture->directory));
        snprintf(fixture->templates, sizeof(fixture->templates), "%s/templates",
                 fixture->directory);
        cr_assert_eq(mkdir(fixture->templates, 0755), 0);
        for (const char *const *name = (const char *const[]){"base", "minimal", "host", NULL};
             *name; name++) {
                char from[PATH_MAX], to[PATH_MAX];

                snprintf(from, sizeof(from), "%s/%s", TEMPLATES, *name);
                snprintf(to, sizeof(to), "%s/%s", fixture->templates, *name);
                cr_assert_eq(symlink(from, to), 0);
        }
        fixture_file(fixture, "app.json", "");
        snprintf(fixture->file, sizeof(fixture->file), "%s/app.json", fixture->directory);
        fixture->options[0] =
                (struct catalogue_option){.name = (char *)"executable", .type = CLADE_PATH};
        fixture->options[1] =
                (struct catalogue_option){.name = (char *)"word", .type = CLADE_STRING};
        fixture->options[2] =
                (struct catalogue_option){.name = (char *)"path", .type = CLADE_PATHS};
        fixture->module = (struct catalogue_module){
                .path = (char *)"/nowhere/test.clade.so",
                .fd = -1,
                .type = (char *)"test",
                .version = (char *)"1.0",
                .options = fixture->options,
                .option_count = 3,
        };
        fixture->application = (struct config_application){
                .name = (char *)"a",
                .type = (char *)"test",
                .module = &fixture->module,
                .processes = {.max = 1, .spare = 1},
                .uid = CONFIG_ID_DEFAULT,
                .gid = CONFIG_ID_DEFAULT,
                .user = (char *)"app",
                .group = (char *)"crew",
                .pointer = (char *)"/applications/a",
                .isolation =
                        {
                                .namespaces = CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWPID |
                                              CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS |
                                              CLONE_NEWCGROUP | CLONE_NEWTIME,
                                .rootfs = (char *)"minimal",
                                .maximum = LADDER_FULL,
                                .minimum = LADDER_USER,
                        },
                .limits.resources =
                        {
                                .memory = CONFIG_UNLIMITED,
                                .swap = CONFIG_UNLIMITED,
                                .cpu = CONFIG_UNLIMITED,
                                .tasks = CONFIG_UNLIMITED,
                        },
        };
        fixture->config = (struct config){
                .file = fixture->file,
                .settings =
                        {
                                .id_first = 1879048192,
                                .id_count = 65536,
                                .state_directory = fixture->directory,
                        },
                .applications = &fixture->application,
                .application_count = 1,
        };
        fixture->filters = (struct filters)FILTERS_INIT(PROFILES);
        fixture->compile = (struct compile){
                .config = &fixture->config,
                .filters = &fixture->filters,
                .template_directory = fixture->templates,
                .notice = on_notice,
                .context = fixture,
        };
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
        (void)st;
        (void)type;
        (void)ftw;
        return remove(path);
}

void fixture_finish(struct fixture *fixture)
{
        compiled_destroy(fixture->compiled);
        fixture->compiled = NULL;
        filters_finish(&fixture->filters);
        cr_assert_eq(nftw(fixture->directory, remove_one, 16, FTW_DEPTH | FTW_PHYS), 0);
}

const char *fixture_path(struct fixture *fixture, const char *name)
{
        snprintf(fixture->path, sizeof(fixture->path), "%s/%s", fixture->directory, name);
        return fixture->path;
}

void fixture_directory(struct fixture *fixture, const char *name)
{
        cr_assert_eq(mkdir(fixture_path(fixture, name), 0755), 0);
}

void fixture_file(struct fixture *fixture, const char *name, const char *content)
{
        cleanup_file FILE *file = fopen(fixture_path(fixture, name), "we");

        cr_assert(file);
        cr_assert_geq(fputs(content, file), 0);
}

void fixture_template(struct fixture *fixture, const char *name, const char *json)
{
        char path[128];

        snprintf(path, sizeof(path), "templates/%s", name);
        fixture_directory(fixture, path);
        snprintf(path, sizeof(path), "templates/%s/template.json", name);
        fixture_file(fixture, path, json);
}

int fixture_compile(struct fixture *fixture)
{
        fixture->compiled = compiled_destroy(fixture->compiled);
        fixture->error = (struct error)ERROR_INIT;
        fixture->notices[0] = '\0';
        return compile_application(&fixture->compile, 0, &fixture->compiled, &fixture->error);
}

const struct plan *fixture_plan(const struct fixture *fixture)
{
        cr_assert(fixture->compiled, "nothing was compiled: %s", fixture->error.text);
        return &compiled_launch(fixture->compiled)->plan;
}

const struct plan_entry *fixture_entry(const struct fixture *fixture, const char *target)
{
        const struct plan *plan = fixture_plan(fixture);

        for (size_t i = plan->entry_count; i-- > 0;)
                if (strcmp(plan->entries[i].target, target) == 0)
                        return &plan->entries[i];
        return NULL;
}

const struct plan_source *fixture_source(const struct fixture *fixture,
                                         const struct plan_entry *entry)
{
        cr_assert(entry);
        cr_assert_eq(entry->kind, PLAN_BIND);
        return &fixture_plan(fixture)->sources[entry->source];
}
