/* Filling the new root. Every source is a descriptor, every target is found in the new root itself
 * (target.h), and no name of the host is resolved here at all. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/own.h"
#include "isolation/steps/cover.h"
#include "isolation/steps/mount.h"
#include "isolation/steps/steps.h"
#include "isolation/steps/target.h"

/* Reading is asked of the kernel with our effective id: its answer knows modes, lists and labels. */
static int check_readable(int tree, const struct plan *plan, const struct plan_source *source,
                          struct error *error)
{
        int mode = source->type == S_IFDIR ? R_OK | X_OK : R_OK;
        const struct plan_identity *identity = &plan->identity;
        uint32_t uid = plan_host_uid(identity);

        if (!source->readable || faccessat(tree, "", mode, AT_EMPTY_PATH | AT_EACCESS) == 0)
                return 0;
        error_set(error, errno,
                  "%s cannot be read by uid %u (inside: %u), which the application runs as",
                  source->path, uid, identity->uid);
        /* Not chmod alone: what is to be read may be a secret to all others. */
        return error_remedy(error,
                            "let this id read it: setfacl -R -m u:%u:rX %s (or everybody, where it "
                            "is no secret: chmod -R o+rX)",
                            uid, source->path);
}

static int set_attributes(int tree, const struct plan_entry *entry, struct error *error)
{
        struct mount_attr attributes = {
                .attr_set = entry->attributes,
                .attr_clr = entry->access_times ? MOUNT_ATTR__ATIME : 0,
                .propagation = MS_PRIVATE,
        };

        if (mount_setattr(tree, "", AT_EMPTY_PATH | AT_RECURSIVE, &attributes,
                          sizeof(attributes)) == 0)
                return 0;
        error_set(error, errno, "mount_setattr of %s", entry->target);
        if (errno == EPERM && entry->access_times)
                error_remedy(error, "without root, times of access are kept as the host's mount "
                                    "has them: leave noatime and the like out");
        return -error->code;
}

static int bind_source(const struct isolation *isolation, const struct filling *filling,
                       const struct plan_entry *entry, struct error *error)
{
        const struct plan_source *source = &isolation->plan->sources[entry->source];
        int tree = isolation->sources[entry->source];
        int r;

        r = check_readable(tree, isolation->plan, source, error);
        if (r < 0)
                return r;
        r = target_attach(filling, tree, entry, source->type == S_IFDIR, error);
        if (r < 0)
                return error_prefix(error, "source %s", source->path);
        return set_attributes(tree, entry, error);
}

static int mount_new(struct filling *filling, const struct plan_entry *entry, struct error *error)
{
        cleanup_fd int tree = mount_entry(entry, error);
        int r;

        if (tree < 0)
                return error_prefix(error, "%s", entry->target);
        r = target_attach(filling, tree, entry, true, error);
        return r == 0 && entry->kind == PLAN_TMPFS ? filling_own(filling, tree, error) : r;
}

static int entry_apply(const struct isolation *isolation, struct filling *filling,
                       const struct plan_entry *entry, struct error *error)
{
        switch ((enum plan_entry_kind)entry->kind) {
        case PLAN_DIRECTORY:
                return target_directory(filling, entry, error);
        case PLAN_FILE:
                return target_file(filling, entry->target, entry->content, entry->mode, error);
        case PLAN_SYMLINK:
                return target_symlink(filling, entry, error);
        case PLAN_BIND:
                return bind_source(isolation, filling, entry, error);
        case PLAN_TMPFS:
        case PLAN_PROC:
        case PLAN_DEVPTS:
        case PLAN_MQUEUE:
                return mount_new(filling, entry, error);
        case PLAN_MASK:
                return cover_mask(filling, entry, error);
        case PLAN_READONLY:
                return cover_readonly(filling, entry, error);
        case PLAN_ENTRY_KINDS:
                break;
        }
        return error_say(error, EBADMSG, "entry of unknown kind %u", entry->kind);
}

int entries_apply(struct isolation *isolation, struct error *error)
{
        const struct plan *plan = isolation->plan;
        cleanup_free dev_t *own = NULL;
        struct filling filling = {.root = isolation->root, .masks = {-1, -1}};
        int r;

        if (!plan->root)
                return 0;
        filling.own = own = calloc(plan->entry_count + 1, sizeof(*own));
        if (!own)
                return error_set(error, ENOMEM, "entries");
        r = filling_own(&filling, isolation->root, error);
        for (size_t i = 0; i < plan->entry_count && r == 0; i++)
                r = entry_apply(isolation, &filling, &plan->entries[i], error);
        if (r == 0)
                return cover_finish(&filling, error);
        fd_close(filling.masks[STENCIL_FILE]);
        fd_close(filling.masks[STENCIL_DIRECTORY]);
        return r;
}

static bool first_mask(const struct plan *plan, size_t index)
{
        for (size_t i = 0; i < index; i++)
                if (plan->entries[i].kind == PLAN_MASK &&
                    plan->entries[i].mode == plan->entries[index].mode)
                        return false;
        return true;
}

static void entry_describe(const struct plan *plan, const struct plan_entry *entry,
                           const struct isolation_report *report)
{
        char words[128];

        switch ((enum plan_entry_kind)entry->kind) {
        case PLAN_DIRECTORY:
                report_call(report, "mkdirat", "\"%s\", 0%o", entry->target, entry->mode);
                return;
        case PLAN_FILE:
                report_call(report, "openat", "\"%s\", O_CREAT, 0%o, %zu bytes", entry->target,
                            entry->mode, strlen(entry->content));
                return;
        case PLAN_SYMLINK:
                report_call(report, "symlinkat", "\"%s\", \"%s\"", entry->content, entry->target);
                return;
        case PLAN_BIND:
                report_call(report, "move_mount", "source \"%s\", \"%s\"",
                            plan->sources[entry->source].path, entry->target);
                report_call(report, "mount_setattr", "\"%s\", AT_RECURSIVE, %s, MS_PRIVATE",
                            entry->target,
                            report_attributes(entry->attributes, words, sizeof(words)));
                return;
        case PLAN_TMPFS:
        case PLAN_PROC:
        case PLAN_DEVPTS:
        case PLAN_MQUEUE:
                mount_entry_describe(entry, report);
                report_call(report, "move_mount", "%s, \"%s\"", mount_type(entry->kind),
                            entry->target);
                return;
        case PLAN_MASK:
                cover_mask_describe(entry, first_mask(plan, (size_t)(entry - plan->entries)),
                                    report);
                return;
        case PLAN_READONLY:
                cover_readonly_describe(entry, report);
                return;
        case PLAN_ENTRY_KINDS:
                return;
        }
}

void entries_describe(const struct plan *plan, const struct isolation_report *report)
{
        for (size_t i = 0; plan->root && i < plan->entry_count; i++)
                entry_describe(plan, &plan->entries[i], report);
        if (plan->root)
                cover_finish_describe(plan, report);
}
