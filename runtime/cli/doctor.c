/* clade doctor: what this host allows, level by level, and what would allow more. */
#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/own.h"
#include "isolation/ladder.h"
#include "runtime/cli/command.h"
#include "runtime/cli/options.h"
#include "runtime/compile/compile.h"

#define LANDLOCK_WHOLE 6 /* the ABI from which on nothing is missing that clade makes use of */

/* One exit status for each level, so that a script need not read. 1 and 2 mean what they always do. */
static const int level_status[LADDER_LEVELS] = {
        [LADDER_FULL] = STATUS_OK, [LADDER_USER] = 10,   [LADDER_SHARED_PROC] = 11,
        [LADDER_CONFINE] = 12,     [LADDER_FILTER] = 13, [LADDER_NONE] = 14,
};

static const char *const level_gives[LADDER_LEVELS] = {
        [LADDER_FULL] =
                "ids of each application's own, all namespaces, a root and a /proc of its own",
        [LADDER_USER] = "the same, but applications share the id of clade's user",
        [LADDER_SHARED_PROC] = "the same, but /proc is the outer one, read-only",
        [LADDER_CONFINE] =
                "Landlock for files, TCP and signals; a system call filter; no namespaces",
        [LADDER_FILTER] = "a system call filter",
        [LADDER_NONE] = "no_new_privs and resource limits",
};

/* What ends with clade only where there is a pid namespace to end with it. */
static const char orphans[] = "without a pid namespace, processes that have left their worker's "
                              "process group can outlive a clade that was killed";

struct examination {
        struct ladder ladder;
        struct compile_cgroups cgroups;
};

static bool has_level(const struct ladder *ladder, enum ladder_level level)
{
        return ladder->level >= level;
}

/* What stands between this host and the level: the first feature that it lacks, of those that matter on the way
 * there. */
static const struct ladder_finding *obstacle(const struct ladder *ladder, enum ladder_level level,
                                             enum ladder_feature *ret_feature)
{
        *ret_feature = ladder_missing(ladder, level);
        return *ret_feature == LADDER_FEATURES ? NULL : &ladder->findings[*ret_feature];
}

/* --- for machines ------------------------------------------------------------------------------- */

static json_t *finding_json(const struct ladder_finding *finding)
{
        json_t *object;

        switch (finding->state) {
        case LADDER_THERE:
                return json_pack("{s:b}", "available", 1);
        case LADDER_UNTRIED:
                return json_pack("{s:b, s:s}", "available", 0, "cause", "needs-another");
        case LADDER_MISSING:
                break;
        }
        object = json_pack("{s:b, s:s, s:s, s:s}", "available", 0, "cause",
                           cause_name(finding->cause), "message", finding->error.text, "remedy",
                           finding->error.remedy);
        if (finding->error.code)
                json_object_set_new(object, "errno", json_string(error_name(finding->error.code)));
        return object;
}

static json_t *levels_json(const struct ladder *ladder)
{
        json_t *list = json_array();

        for (unsigned level = LADDER_LEVELS; level-- > 0;) {
                enum ladder_feature feature;
                const struct ladder_finding *finding =
                        obstacle(ladder, (enum ladder_level)level, &feature);
                json_t *object = json_pack("{s:s, s:b, s:s}", "level",
                                           ladder_level_name((enum ladder_level)level), "available",
                                           has_level(ladder, (enum ladder_level)level), "gives",
                                           level_gives[level]);

                if (finding && !has_level(ladder, (enum ladder_level)level))
                        json_object_set_new(object, "missing",
                                            json_string(ladder_feature_name(feature)));
                json_array_append_new(list, object);
        }
        return list;
}

static json_t *limits_json(const struct compile_cgroups *cgroups)
{
        if (cgroups->found)
                return json_pack("{s:s, s:s}", "kind", "cgroup", "place", cgroups->place.path);
        return json_pack("{s:s, s:{s:s, s:s, s:s}}", "kind", "rlimit", "missing", "cause",
                         cause_name(CAUSE_NO_DELEGATION), "message", cgroups->error.text, "remedy",
                         cgroups->error.remedy[0] ? cgroups->error.remedy
                                                  : cause_remedy(CAUSE_NO_DELEGATION));
}

static int print_json(const struct examination *found)
{
        const struct ladder *ladder = &found->ladder;
        json_t *features = json_object(), *whole;

        for (unsigned i = 0; i < LADDER_FEATURES; i++)
                json_object_set_new(features, ladder_feature_name((enum ladder_feature)i),
                                    finding_json(&ladder->findings[i]));
        whole = json_pack("{s:s, s:i, s:o, s:o, s:i, s:o, s:b}", "level",
                          ladder_level_name(ladder->level), "status", level_status[ladder->level],
                          "levels", levels_json(ladder), "features", features, "landlock_abi",
                          (int)ladder->landlock_abi, "limits", limits_json(&found->cgroups),
                          "orphans_possible", ladder->level < LADDER_SHARED_PROC);
        if (!whole)
                return STATUS_FAILED;
        json_dumpf(whole, stdout, JSON_INDENT(2));
        putchar('\n');
        json_decref(whole);
        return level_status[ladder->level];
}

/* --- for people --------------------------------------------------------------------------------- */

static void print_missing(const char *what, const char *cause, const char *message,
                          const char *remedy)
{
        printf("  %s is missing (cause: %s)\n      %s\n", what, cause, message);
        if (remedy[0])
                printf("      remedy: %s\n", remedy);
}

static void print_levels(const struct ladder *ladder)
{
        for (unsigned level = LADDER_LEVELS; level-- > 0;)
                printf("  %-12s %-4s %s\n", ladder_level_name((enum ladder_level)level),
                       has_level(ladder, (enum ladder_level)level) ? "yes" : "no",
                       level_gives[level]);
}

static void print_landlock(const struct ladder *ladder)
{
        if (ladder->landlock_abi == 0)
                puts("  without Landlock applications start only where isolation.minimum is "
                     "\"filter\" or \"none\"");
        else if (ladder->landlock_abi < LANDLOCK_WHOLE)
                printf("  Landlock has ABI %u: %sscopes for signals and abstract sockets come "
                       "with ABI 6 (Linux 6.12); filters stand in for them\n",
                       ladder->landlock_abi,
                       ladder->landlock_abi < 4 ? "rules for TCP come with ABI 4 (Linux 6.7), "
                                                : "");
        else
                printf("  Landlock has ABI %u\n", ladder->landlock_abi);
}

static int print_text(const struct examination *found)
{
        const struct ladder *ladder = &found->ladder;
        const struct compile_cgroups *cgroups = &found->cgroups;

        printf("This host allows the level \"%s\".\n\n", ladder_level_name(ladder->level));
        print_levels(ladder);
        putchar('\n');
        for (unsigned i = 0; i < LADDER_FEATURES; i++) {
                const struct ladder_finding *finding = &ladder->findings[i];

                if (finding->state == LADDER_MISSING)
                        print_missing(ladder_feature_name((enum ladder_feature)i),
                                      cause_name(finding->cause), finding->error.text,
                                      finding->error.remedy);
        }
        print_landlock(ladder);
        if (ladder->level < LADDER_SHARED_PROC)
                printf("  %s\n", orphans);
        if (cgroups->found)
                printf("  limits: control groups, below %s\n", cgroups->place.path);
        else
                print_missing("limits: resource limits hold what they can; control of memory and "
                              "CPU",
                              cause_name(CAUSE_NO_DELEGATION), cgroups->error.text,
                              cgroups->error.remedy[0] ? cgroups->error.remedy
                                                       : cause_remedy(CAUSE_NO_DELEGATION));
        return level_status[ladder->level];
}

/* --- the command -------------------------------------------------------------------------------- */

static int examine(bool json)
{
        static const char text[] = "{\"applications\": {}}";
        const struct catalogue nothing = {.count = 0};
        struct diagnostics diagnostics = {.count = 0};
        struct error error = ERROR_INIT;
        struct examination found;
        struct config config;
        int r;

        /* An empty configuration: what it says by default. Its path is one that exists. */
        r = config_parse("/proc/self/exe", text, sizeof(text) - 1, &nothing, &config, &diagnostics);
        if (r < 0) {
                diagnostics_finish(&diagnostics);
                error_set(&error, -r, "settings by default");
                return command_failed(&error);
        }
        r = level_probe(&config, true, &found.ladder, &error);
        if (r == 0)
                compile_find_cgroups(&config, &found.cgroups);
        config_finish(&config);
        if (r < 0)
                return command_failed(&error);
        return json ? print_json(&found) : print_text(&found);
}

static int run(const struct command *command, int argc, char **argv)
{
        bool json = false;
        const struct command_option options[] = {{"json", .flag = &json}, {NULL}};
        int status;

        return command_arguments(command, argc, argv, options, &status) ? examine(json) : status;
}

const struct command command_doctor = {
        .name = "doctor",
        .summary = "say how much isolation this host allows, and what would allow more",
        .help = "usage: clade doctor [--json]\n"
                "\n"
                "Tries, in throw-away processes, what starting an application takes, and tells "
                "which level of\n"
                "isolation that makes; for each missing piece its likely cause and a remedy. What "
                "it says holds\n"
                "for the user, the container and the service that it runs in. Changes nothing.\n"
                "\n"
                "  --json       for machines\n"
                "  -h, --help   this text\n"
                "\n"
                "Exit status: 0 full, 10 user, 11 shared-proc, 12 confine, 13 filter, 14 none; 1 "
                "when it could\n"
                "not be found out; 2 the command line was not understood.\n",
        .run = run,
};
