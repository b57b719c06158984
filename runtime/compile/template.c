#include "runtime/compile/template.h"

#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "base/own.h"
#include "runtime/compile/mounts.h"

#define TEMPLATE_MAX  (1u << 20) /* bytes */
#define INCLUDE_DEPTH 4

/* The keys that an entry can have beside the one that names its kind. */
enum key {
        KEY_MODE = 1u << 0,
        KEY_AS_ON_HOST = 1u << 1,
        KEY_CONTENT = 1u << 2,
        KEY_TARGET = 1u << 3,
        KEY_SOURCE = 1u << 4,
        KEY_OPTIONS = 1u << 5,
        KEY_OPTIONAL = 1u << 6,
        KEY_MAJOR = 1u << 7,
        KEY_MINOR = 1u << 8,
        KEY_NETWORK = 1u << 9,
};

static const struct {
        const char *name;
        enum key key;
        json_type type;
        const char *expected;
} keys[] = {
        {"mode", KEY_MODE, JSON_STRING, "permission bits in octal, such as \"0755\""},
        {"as_on_host", KEY_AS_ON_HOST, JSON_TRUE, "true or false"},
        {"content", KEY_CONTENT, JSON_STRING, "a string"},
        {"target", KEY_TARGET, JSON_STRING, "a string"},
        {"source", KEY_SOURCE, JSON_STRING, "an absolute path on the host"},
        {"options", KEY_OPTIONS, JSON_ARRAY, "an array of strings"},
        {"optional", KEY_OPTIONAL, JSON_TRUE, "true or false"},
        {"major", KEY_MAJOR, JSON_INTEGER, "a device number"},
        {"minor", KEY_MINOR, JSON_INTEGER, "a device number"},
        {"network", KEY_NETWORK, JSON_STRING, "\"host\" or \"none\""},
};

struct reading {
        struct root *root;
        const struct template_context *context;
        unsigned depth; /* of includes */
};

/* One entry of a template, its keys checked. */
struct item {
        json_t *json;
        const char *path; /* the value of the key that names the kind */
};

typedef int add_function(struct reading *reading, const struct item *item, struct error *error);

static add_function add_directory, add_file, add_symlink, add_bind, add_mirror, add_library,
        add_device, add_tmpfs, add_proc, add_devpts, add_mqueue;

static const struct kind {
        const char *name;
        add_function *add;
        unsigned required, allowed; /* keys; KEY_NETWORK always is */
} kinds[] = {
        {"directory", add_directory, 0, KEY_MODE | KEY_AS_ON_HOST},
        {"file", add_file, KEY_CONTENT, KEY_MODE},
        {"symlink", add_symlink, KEY_TARGET, 0},
        {"bind", add_bind, 0, KEY_SOURCE | KEY_OPTIONS | KEY_OPTIONAL},
        {"mirror", add_mirror, 0, KEY_OPTIONAL},
        {"library", add_library, 0, KEY_OPTIONAL},
        {"device", add_device, KEY_MAJOR | KEY_MINOR, KEY_OPTIONAL},
        {"tmpfs", add_tmpfs, 0, KEY_OPTIONS},
        {"proc", add_proc, 0, KEY_OPTIONS},
        {"devpts", add_devpts, 0, KEY_OPTIONS},
        {"mqueue", add_mqueue, 0, KEY_OPTIONS},
};

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static const char *text_of(const struct item *item, const char *key)
{
        return json_string_value(json_object_get(item->json, key));
}

static bool truth_of(const struct item *item, const char *key)
{
        return json_is_true(json_object_get(item->json, key));
}

static int mode_of(const struct item *item, uint32_t preset, uint32_t *ret_mode,
                   struct error *error)
{
        const char *text = text_of(item, "mode");
        unsigned mode;
        char beyond;

        *ret_mode = preset;
        if (!text)
                return 0;
        if (strspn(text, "01234567") != strlen(text) || sscanf(text, "%o%c", &mode, &beyond) != 1 ||
            mode > 07777)
                return error_say(error, EINVAL,
                                 "mode: \"%s\" is not permission bits in octal, such "
                                 "as \"0755\"",
                                 text);
        *ret_mode = mode;
        return 0;
}

static int options_of(const struct item *item, struct arena *arena, struct plan_entry *entry,
                      struct error *error)
{
        json_t *options = json_object_get(item->json, "options");
        size_t count = json_array_size(options);
        char **list = arena_alloc(arena, (count + 1) * sizeof(*list));
        int r;

        for (size_t i = 0; list && i < count; i++) {
                const char *text = json_string_value(json_array_get(options, i));

                if (!text)
                        return error_say(error, EINVAL, "options/%zu: expected a string", i);
                list[i] = arena_strdup(arena, text);
                if (!list[i])
                        return error_set(error, ENOMEM, "options");
        }
        if (!list)
                return error_set(error, ENOMEM, "options");
        for (char **option = list; *option; option++)
                if (strncmp(*option, "idmap", 5) == 0 || strncmp(*option, "ridmap", 6) == 0) {
                        error_say(error, EINVAL,
                                  "options: \"%s\": whose files an application may have "
                                  "is said by its configuration, not by a template",
                                  *option);
                        return error_remedy(error, "give this mount to the application "
                                                   "(isolation.mounts)");
                }
        r = mount_options(arena, list, entry, error);
        return r < 0 ? error_prefix(error, "options") : 0;
}

static int add_directory(struct reading *reading, const struct item *item, struct error *error)
{
        struct plan_entry entry = {.kind = PLAN_DIRECTORY, .target = (char *)item->path};
        struct stat st;
        int r;

        if (truth_of(item, "as_on_host")) {
                if (lstat(item->path, &st) < 0)
                        return errno == ENOENT ? 0
                                               : error_set(error, errno, "stat of %s", item->path);
                if (S_ISLNK(st.st_mode))
                        return mirror_add(reading->root, item->path, error);
        }
        r = mode_of(item, 0755, &entry.mode, error);
        return r < 0 ? r : root_add(reading->root, &entry, error);
}

static int add_file(struct reading *reading, const struct item *item, struct error *error)
{
        struct plan_entry entry = {.kind = PLAN_FILE, .target = (char *)item->path};
        cleanup_free char *content = NULL;
        int r;

        r = mode_of(item, 0644, &entry.mode, error);
        if (r < 0)
                return r;
        r = template_expand(reading->context, text_of(item, "content"), &content, error);
        if (r < 0)
                return r;
        entry.content = content;
        return root_add(reading->root, &entry, error);
}

static int add_symlink(struct reading *reading, const struct item *item, struct error *error)
{
        const struct plan_entry entry = {
                .kind = PLAN_SYMLINK,
                .target = (char *)item->path,
                .content = (char *)text_of(item, "target"),
        };

        if (!entry.content[0])
                return error_say(error, EINVAL, "target: expected where the symlink leads");
        return root_add(reading->root, &entry, error);
}

static bool missing(int r)
{
        return r == -ENOENT || r == -ENOTDIR;
}

static int add_bind(struct reading *reading, const struct item *item, struct error *error)
{
        struct plan_entry entry = mount_defaults(PLAN_BIND, item->path);
        const char *source = text_of(item, "source");
        char clean[PATH_MAX];
        int r;

        r = path_clean(source ? source : item->path, clean, error);
        if (r < 0)
                return r;
        r = options_of(item, reading->root->arena, &entry, error);
        if (r < 0)
                return r;
        r = root_source(reading->root, clean, false, &entry.source, NULL, error);
        if (missing(r) && truth_of(item, "optional"))
                return 0;
        return r < 0 ? r : root_add(reading->root, &entry, error);
}

static int add_mirror(struct reading *reading, const struct item *item, struct error *error)
{
        glob_t found = {.gl_pathc = 0};
        int r = 0;

        switch (glob(item->path, GLOB_NOCHECK, NULL, &found)) {
        case 0:
                break;
        default:
                globfree(&found);
                return error_set(error, ENOMEM, "the pattern %s", item->path);
        }
        for (size_t i = 0; i < found.gl_pathc && r >= 0; i++) {
                r = mirror_add(reading->root, found.gl_pathv[i], error);
                if (missing(r) && truth_of(item, "optional"))
                        r = 0;
        }
        globfree(&found);
        return r;
}

static int add_library(struct reading *reading, const struct item *item, struct error *error)
{
        int r;

        r = library_add(reading->root, item->path, error);
        return missing(r) && truth_of(item, "optional") ? 0 : r;
}

/* A device is bound from the host's /dev: only the host's root can make one. It must be the one that the
 * template means, whatever the host calls by that name. */
static int add_device(struct reading *reading, const struct item *item, struct error *error)
{
        struct plan_entry entry = mount_defaults(PLAN_BIND, item->path);
        json_int_t wanted_major = json_integer_value(json_object_get(item->json, "major"));
        json_int_t wanted_minor = json_integer_value(json_object_get(item->json, "minor"));
        struct stat st;
        int r;

        entry.attributes = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC;
        r = root_source(reading->root, item->path, false, &entry.source, &st, error);
        if (missing(r) && truth_of(item, "optional"))
                return 0;
        if (r < 0)
                return r;
        if (!S_ISCHR(st.st_mode) || major(st.st_rdev) != wanted_major ||
            minor(st.st_rdev) != wanted_minor) {
                error_say(error, EINVAL,
                          "%s is not the character device %lld:%lld that the template declares",
                          item->path, (long long)wanted_major, (long long)wanted_minor);
                return error_remedy(error, "correct the host's %s: ls -l shows what it is",
                                    item->path);
        }
        return root_add(reading->root, &entry, error);
}

static int add_new(struct reading *reading, const struct item *item, enum plan_entry_kind kind,
                   struct error *error)
{
        struct plan_entry entry = mount_defaults(kind, item->path);
        int r;

        r = options_of(item, reading->root->arena, &entry, error);
        return r < 0 ? r : mount_new_add(reading->root, &entry, error);
}

static int add_tmpfs(struct reading *reading, const struct item *item, struct error *error)
{
        return add_new(reading, item, PLAN_TMPFS, error);
}

static int add_devpts(struct reading *reading, const struct item *item, struct error *error)
{
        return add_new(reading, item, PLAN_DEVPTS, error);
}

static int add_mqueue(struct reading *reading, const struct item *item, struct error *error)
{
        return add_new(reading, item, PLAN_MQUEUE, error);
}

static int add_proc(struct reading *reading, const struct item *item, struct error *error)
{
        const struct template_context *context = reading->context;
        struct plan_entry entry = mount_defaults(PLAN_PROC, item->path);
        char text[256];
        int r;

        r = options_of(item, reading->root->arena, &entry, error);
        if (r < 0 || context->proc)
                return r < 0 ? r : root_add(reading->root, &entry, error);
        snprintf(text, sizeof(text),
                 "there is no %s: a fresh one needs a pid namespace, which the configuration "
                 "switches off",
                 item->path);
        if (context->notice)
                context->notice(context->notice_context, text);
        return 0;
}

/* Which of the kinds an entry is: exactly one of its keys names one. */
static const struct kind *kind_of(json_t *json, struct error *error)
{
        const struct kind *found = NULL;

        for (size_t i = 0; i < COUNT(kinds); i++) {
                if (!json_object_get(json, kinds[i].name))
                        continue;
                if (found) {
                        error_say(error, EINVAL, "\"%s\" and \"%s\" in one entry", found->name,
                                  kinds[i].name);
                        return NULL;
                }
                found = &kinds[i];
        }
        if (!found)
                error_say(error, EINVAL,
                          "expected an object with one of the keys directory, file, "
                          "symlink, bind, mirror, library, device, tmpfs, proc, devpts, mqueue");
        return found;
}

static int check_key(const struct kind *kind, const char *name, json_t *value, unsigned *seen,
                     struct error *error)
{
        for (size_t i = 0; i < COUNT(keys); i++) {
                bool fits = json_typeof(value) == keys[i].type ||
                            (keys[i].type == JSON_TRUE && json_is_boolean(value));

                if (strcmp(keys[i].name, name) != 0)
                        continue;
                if (!((kind->required | kind->allowed | KEY_NETWORK) & keys[i].key))
                        return error_say(error, EINVAL, "a %s has no \"%s\"", kind->name, name);
                if (!fits)
                        return error_say(error, EINVAL, "%s: expected %s", name, keys[i].expected);
                *seen |= keys[i].key;
                return 0;
        }
        return error_say(error, EINVAL, "unknown key \"%s\"", name);
}

static int add_item(struct reading *reading, json_t *json, struct error *error)
{
        struct item item = {.json = json};
        const struct kind *kind;
        const char *name, *network;
        unsigned seen = 0;
        json_t *value;
        int r;

        kind = kind_of(json, error);
        if (!kind)
                return -error->code;
        item.path = text_of(&item, kind->name);
        if (!item.path)
                return error_say(error, EINVAL, "%s: expected a string", kind->name);
        json_object_foreach (json, name, value) {
                r = strcmp(name, kind->name) == 0 ? 0 : check_key(kind, name, value, &seen, error);
                if (r < 0)
                        return r;
        }
        for (size_t i = 0; i < COUNT(keys); i++)
                if (kind->required & ~seen & keys[i].key)
                        return error_say(error, EINVAL, "a %s needs \"%s\": %s", kind->name,
                                         keys[i].name, keys[i].expected);
        network = text_of(&item, "network");
        if (network && strcmp(network, "host") != 0 && strcmp(network, "none") != 0)
                return error_say(error, EINVAL, "network: expected \"host\" or \"none\"");
        if (network && (strcmp(network, "host") == 0) != reading->context->host_network)
                return 0;
        r = kind->add(reading, &item, error);
        return r < 0 ? error_prefix(error, "%s", item.path) : 0;
}

static int add_file_of(struct reading *reading, int fd, const char *file, struct error *error);

static int add_named(struct reading *reading, const char *name, struct error *error)
{
        cleanup_free char *file = NULL;
        cleanup_fd int fd =
                template_open_named(reading->root, reading->context, name, &file, error);

        return fd < 0 ? fd : add_file_of(reading, fd, file, error);
}

static int add_template(struct reading *reading, json_t *template, struct error *error)
{
        json_t *entries = json_object_get(template, "entries");
        json_t *include = json_object_get(template, "include");
        const char *name;
        json_t *value;
        size_t i;
        int r;

        if (!json_is_object(template))
                return error_say(error, EINVAL, "/: expected an object");
        json_object_foreach (template, name, value) {
                if (strcmp(name, "entries") != 0 && strcmp(name, "include") != 0 &&
                    strcmp(name, "description") != 0) {
                        error_say(error, EINVAL, "/%s: unknown key", name);
                        return error_remedy(error, "known are description, include and entries");
                }
        }
        if (!json_is_array(entries))
                return error_say(error, EINVAL, "/entries: expected an array");
        if (include && !json_is_string(include))
                return error_say(error, EINVAL, "/include: expected the name of a template");
        if (include) {
                if (++reading->depth > INCLUDE_DEPTH)
                        return error_set(error, ELOOP, "/include: more than %d templates in a row",
                                         INCLUDE_DEPTH);
                r = add_named(reading, json_string_value(include), error);
                reading->depth--;
                if (r < 0)
                        return error_prefix(error, "/include");
        }
        root_begin(reading->root);
        json_array_foreach (entries, i, value) {
                r = add_item(reading, value, error);
                if (r < 0)
                        return error_prefix(error, "/entries/%zu", i);
        }
        return 0;
}

static int add_file_of(struct reading *reading, int fd, const char *file, struct error *error)
{
        cleanup_free char *text = NULL;
        json_error_t where;
        json_t *template;
        size_t size;
        int r;

        r = fd_read_file(fd, TEMPLATE_MAX, &text, &size);
        if (r < 0)
                return error_set(error, -r, "read of the rootfs template %s", file);
        template = json_loadb(text, size, JSON_REJECT_DUPLICATES, &where);
        if (!template)
                return error_say(error, EINVAL, "rootfs template %s:%d:%d: %s", file, where.line,
                                 where.column, where.text);
        r = add_template(reading, template, error);
        json_decref(template);
        return r < 0 ? error_prefix(error, "rootfs template %s", file) : 0;
}

int template_add(struct root *root, const struct template_context *context, const char *rootfs,
                 struct error *error)
{
        struct reading reading = {.root = root, .context = context};
        cleanup_free char *file = NULL;
        cleanup_fd int fd = -1;
        char path[PATH_MAX];
        int r;

        if (rootfs[0] != '/')
                return add_named(&reading, rootfs, error);
        r = path_clean(rootfs, path, error);
        if (r < 0)
                return r;
        fd = template_open_path(root, path, &file, error);
        if (fd >= 0)
                return add_file_of(&reading, fd, file, error);
        if (fd != -ENOENT)
                return fd;
        r = add_named(&reading, "base", error);
        if (r < 0)
                return r;
        root_begin(root);
        return directory_add(root, path, error);
}
