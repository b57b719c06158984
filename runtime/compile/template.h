/* Rootfs templates: declared roots (docs/rootfs-templates.md).
 *
 * A template is a directory with a template.json. Its entries become a plan's entries, looked up on this
 * host. Unknown keys are errors; so is a required thing that the host does not have. */
#pragma once

#include "base/error.h"
#include "runtime/compile/root.h"

/* What a template may ask about whom it is made for. */
struct template_context {
        const char *directory; /* where templates lie: DIRECTORY/NAME/template.json */
        const char *more;      /* where the administrator's lie, likewise; or NULL */
        const char *application, *user, *group;
        uint32_t uid, gid; /* inside */
        bool host_network;
        bool proc; /* a fresh /proc can be had: there is a pid namespace */
        /* Something worth knowing that refuses nothing; may be NULL. */
        void (*notice)(void *context, const char *text);
        void *notice_context;
};

/* Adds what `rootfs` stands for: a template's name, the absolute path of a template's directory, or of
 * any other directory, whose content is then shown read-only below the template "base". */
int template_add(struct root *root, const struct template_context *context, const char *rootfs,
                 struct error *error);

/* Opens a template of that name: the descriptor, and the file's path, which the caller frees. */
int template_open_named(const struct root *root, const struct template_context *context,
                        const char *name, char **ret_file, struct error *error);

/* Opens the template that an absolute path names: the file itself, or the directory that has it. -ENOENT,
 * without an error, where the directory has none; it is refused where a tenant could have written it. */
int template_open_path(const struct root *root, const char *path, char **ret_file,
                       struct error *error);

/* Adds the content of a directory that is itself a root; what is there already is left as it is. */
int directory_add(struct root *root, const char *path, struct error *error);

/* Adds a standard library at each of the places where ld.so(8) looks and this host has it. -ENOENT with
 * `error` filled when there is none. */
int library_add(struct root *root, const char *name, struct error *error);

/* Adds `path` as it is on the host: a symlink where it is one there, else a read-only bind. */
int mirror_add(struct root *root, const char *path, struct error *error);

/* `text` with the application's names in place of ${user} and the like; the caller frees *ret_text, also
 * after an error. */
int template_expand(const struct template_context *context, const char *text, char **ret_text,
                    struct error *error);
