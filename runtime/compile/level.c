#include "runtime/compile/level.h"

#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/own.h"
#include "runtime/compile/compilation.h"
#include "runtime/compile/ids.h"

/* --- choosing --------------------------------------------------------------------------------- */

static int refuse(const struct compilation *compilation, const struct ladder *ladder,
                  struct error *error)
{
        const struct config_isolation *isolation = &compilation->application->isolation;
        enum ladder_feature feature = ladder_missing(ladder, isolation->minimum);
        const struct ladder_finding *finding = &ladder->findings[feature];
        const char *minimum = ladder_level_name(isolation->minimum);

        error_say(error, finding->error.code ? finding->error.code : EPERM,
                  "this host allows the level \"%s\" only, and \"%s\" is needed%s; missing: %s "
                  "(cause: %s): %s",
                  ladder_level_name(ladder->level), minimum,
                  isolation->minimum_named ? "" : ", as no isolation.minimum names a lower one",
                  ladder_feature_name(feature), cause_name(finding->cause), finding->error.text);
        error_remedy(error, "%s",
                     finding->error.remedy[0] ? finding->error.remedy
                                              : cause_remedy(finding->cause));
        return error_at(error, compilation, "/isolation%s",
                        isolation->minimum_named ? "/minimum" : "");
}

/* What is left out because nobody gets less confined by it; said all the same. */
static void notice_left_out(const struct compilation *compilation)
{
        const struct config_isolation *isolation = &compilation->application->isolation;
        const struct {
                bool configured;
                const char *key;
        } rows[] = {
                {isolation->hostname, "hostname"},
                {isolation->time_offsets.given, "time_offsets"},
                {isolation->network == CONFIG_NETWORK_LOOPBACK, "network \"loopback\""},
                {isolation->uid_map.given, "uidmap and gidmap"},
                {isolation->root_writable, "writable"},
                {isolation->root_size || isolation->root_inodes, "root_size and root_inodes"},
        };
        char text[128];

        for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
                if (!rows[i].configured)
                        continue;
                snprintf(text, sizeof(text),
                         "at the level \"%s\" there is no isolation.%s: that "
                         "needs a namespace",
                         ladder_level_name(compilation->level), rows[i].key);
                compile_notice(compilation, text);
        }
}

/* Capabilities are wanted by somebody who cannot do without; and there is no user namespace to have them in. */
static int refuse_capabilities(const struct compilation *compilation, struct error *error)
{
        const struct config_capabilities *capabilities =
                &compilation->application->isolation.capabilities;

        if (!capabilities->ambient && !capabilities->inheritable)
                return 0;
        error_say(error, EPERM,
                  "at the level \"%s\" an application has no user namespace of its own, and so no "
                  "capabilities",
                  ladder_level_name(compilation->level));
        error_remedy(error, "remove them, or have a level with namespaces (clade doctor says what "
                            "this host lacks; isolation.minimum and maximum)");
        return error_at(error, compilation, "/isolation/capabilities");
}

/* What only namespaces can give. A network of one's own becomes none at all. */
static void do_without_namespaces(struct config_isolation *isolation)
{
        isolation->namespaces = 0;
        isolation->uid_map.given = isolation->gid_map.given = false;
        isolation->hostname = NULL;
        isolation->time_offsets.given = false;
        if (isolation->network == CONFIG_NETWORK_LOOPBACK)
                isolation->network = CONFIG_NETWORK_NONE;
}

int level_choose(struct compilation *compilation, struct error *error)
{
        const struct ladder *ladder = compilation->compile->ladder;
        const struct config_isolation *isolation = &compilation->application->isolation;
        enum ladder_level level = ladder ? ladder->level : LADDER_FULL;

        if (ladder && level < isolation->minimum)
                return refuse(compilation, ladder, error);
        compilation->level = level < isolation->maximum ? level : isolation->maximum;
        if (compilation->level > LADDER_CONFINE || !isolation->namespaces)
                return 0;
        if (refuse_capabilities(compilation, error) < 0)
                return -error->code;
        notice_left_out(compilation);
        compilation->limited = *compilation->application;
        compilation->application = &compilation->limited;
        compilation->host_paths = isolation->rootfs != NULL;
        do_without_namespaces(&compilation->limited.isolation);
        return 0;
}

/* --- adapting --------------------------------------------------------------------------------- */

static int share_proc(struct compilation *compilation, struct error *error)
{
        struct plan *plan = compilation->plan;

        for (size_t i = 0; i < plan->entry_count; i++) {
                struct plan_entry *entry = &plan->entries[i];
                int r;

                if (entry->kind != PLAN_PROC)
                        continue;
                r = root_source(&compilation->root, "/proc", false, &entry->source, NULL, error);
                if (r < 0)
                        return error_at(error, compilation, "%s", "/isolation");
                entry->kind = PLAN_BIND;
                entry->attributes |= MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV |
                                     MOUNT_ATTR_NOEXEC;
        }
        return 0;
}

/* Without mounts a path inside is the host's path: what is to be seen must lie there already. What a template
 * would put elsewhere is left out (libraries are found by their other path); what the configuration or a
 * module wants elsewhere, nobody would find. */
static int check_place(struct compilation *compilation, size_t index, struct error *error)
{
        const struct plan_entry *entry = &compilation->plan->entries[index];
        const struct plan_source *source = &compilation->plan->sources[entry->source];
        struct stat st;

        if (index < compilation->template_end ||
            (stat(entry->target, &st) == 0 && st.st_dev == source->device &&
             st.st_ino == source->inode))
                return 0;
        error_say(error, EINVAL,
                  "at the level \"%s\" there are no mounts, so %s cannot be shown at %s",
                  ladder_level_name(compilation->level), source->path, entry->target);
        error_remedy(error, "give the mount the same path as source and destination, or raise "
                            "isolation.minimum");
        return error_at(error, compilation, "%s", "/isolation");
}

static int check_places(struct compilation *compilation, struct error *error)
{
        const struct plan *plan = compilation->plan;
        char text[PATH_MAX + 128];
        int r = 0;

        for (size_t i = 0; i < plan->entry_count && r == 0; i++) {
                const struct plan_entry *entry = &plan->entries[i];

                if (entry->kind == PLAN_BIND)
                        r = check_place(compilation, i, error);
                if (entry->kind != PLAN_TMPFS || i < compilation->template_end)
                        continue;
                snprintf(text, sizeof(text),
                         "at the level \"%s\" there are no mounts, and so no tmpfs at %s",
                         ladder_level_name(compilation->level), entry->target);
                compile_notice(compilation, text);
        }
        return r;
}

int level_adapt(struct compilation *compilation, struct error *error)
{
        if (compilation->level == LADDER_SHARED_PROC)
                return share_proc(compilation, error);
        return compilation->host_paths ? check_places(compilation, error) : 0;
}

/* --- settling --------------------------------------------------------------------------------- */

/* The highest level all of whose promises this plan keeps. */
static enum ladder_level kept_level(const struct compilation *compilation)
{
        const uint64_t root = CLONE_NEWNS | CLONE_NEWPID;
        const struct plan *plan = compilation->plan;
        enum ladder_level level = compilation->level;

        if (level > LADDER_CONFINE && ((plan->namespaces & root) != root || !plan->root))
                level = LADDER_CONFINE;
        if (level == LADDER_CONFINE && !plan->landlock_abi)
                level = LADDER_FILTER;
        if (level == LADDER_FULL && ids_are_ours(&plan->identity))
                level = LADDER_USER;
        return level;
}

int level_settle(struct compilation *compilation, struct error *error)
{
        const struct config_isolation *isolation = &compilation->application->isolation;
        struct plan *plan = compilation->plan;

        if (compilation->host_paths) {
                plan->root = false;
                plan->root_size = plan->root_inodes = 0;
                plan->entry_count = plan->source_count = 0;
        }
        plan->level = kept_level(compilation);
        if (isolation->minimum < LADDER_FULL || plan->level == LADDER_FULL)
                return 0;
        error_say(error, EPERM,
                  "isolation.minimum is \"full\", and this application keeps the level \"%s\": it "
                  "has no ids of its own, or its configuration switches namespaces off",
                  ladder_level_name(plan->level));
        error_remedy(error, "leave isolation.namespaces and uidmap as they are by default, or "
                            "lower the minimum");
        return error_at(error, compilation, "/isolation/minimum");
}
