/* A directory with a configuration of eight applications and a state directory to be, for the tests of
 * ids and of their registry. */
#pragma once

#include <criterion/criterion.h>
#include <ftw.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/own.h"
#include "runtime/compile/arena.h"
#include "runtime/config/config.h"

#define FIRST 1879048192u
#define USER  23456u /* nobody's, in the tests that become an ordinary user */

struct fixture {
        char directory[64], file[128], state[128], ids[160];
        char names[8][16];
        struct config config;
        struct arena arena;
        struct config_application applications[8];
};

static inline int remove_entry(const char *path, const struct stat *st, int type, struct FTW *where)
{
        (void)st, (void)type, (void)where;
        return remove(path);
}

static inline void write_file(const char *path, const char *text)
{
        cleanup_file FILE *file = fopen(path, "we");

        cr_assert(file, "%s", path);
        fputs(text, file);
}

static inline const char *read_text(const char *path)
{
        static char text[4096];
        cleanup_file FILE *file = fopen(path, "re");
        size_t n;

        if (!file)
                return "(missing)";
        n = fread(text, 1, sizeof(text) - 1, file);
        text[n] = '\0';
        return text;
}

static inline void fixture_init(struct fixture *fixture)
{
        *fixture = (struct fixture){.directory = "/tmp/clade-ids-XXXXXX"};
        cr_assert(mkdtemp(fixture->directory));
        snprintf(fixture->file, sizeof(fixture->file), "%s/app.json", fixture->directory);
        snprintf(fixture->state, sizeof(fixture->state), "%s/state", fixture->directory);
        snprintf(fixture->ids, sizeof(fixture->ids), "%s/ids", fixture->state);
        write_file(fixture->file, "{}");
        for (size_t i = 0; i < ARRAY_SIZE(fixture->applications); i++) {
                snprintf(fixture->names[i], sizeof(fixture->names[i]), "app%zu", i);
                fixture->applications[i] = (struct config_application){
                        .name = fixture->names[i],
                        .uid = 1000,
                        .gid = 1001,
                        .isolation.namespaces = CLONE_NEWUSER | CLONE_NEWNS,
                };
        }
        fixture->config = (struct config){
                .file = fixture->file,
                .settings = {.id_first = FIRST,
                             .id_count = 4,
                             .id_size = 10,
                             .state_directory = fixture->state},
                .applications = fixture->applications,
                .application_count = ARRAY_SIZE(fixture->applications),
        };
}

static inline void fixture_finish(struct fixture *fixture)
{
        arena_finish(&fixture->arena);
        nftw(fixture->directory, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
}

static inline void need_root(void)
{
        if (geteuid() != 0)
                cr_skip_test("needs root, and the tests run as user %u", geteuid());
}
