/* The modules that were found: kept in order, looked up by what an application's "type" says. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/own.h"
#include "runtime/catalogue/catalogue.h"

void catalogue_init(struct catalogue *catalogue)
{
        *catalogue = (struct catalogue){0};
}

void catalogue_finish(struct catalogue *catalogue)
{
        for (size_t i = 0; i < catalogue->count; i++)
                catalogue_module_destroy(catalogue->modules[i]);
        free(catalogue->modules);
        *catalogue = (struct catalogue){0};
}

struct catalogue_module *catalogue_module_create(void)
{
        struct catalogue_module *module = calloc(1, sizeof(*module));

        if (module)
                module->fd = -1;
        return module;
}

void catalogue_module_destroy(struct catalogue_module *module)
{
        if (!module)
                return;
        for (char **alias = module->aliases; alias && *alias; alias++)
                free(*alias);
        for (size_t i = 0; i < module->option_count; i++) {
                free(module->options[i].name);
                free(module->options[i].choices);
                free(module->options[i].help);
        }
        for (size_t i = 0; i < module->mount_count; i++) {
                free(module->mounts[i].source);
                free(module->mounts[i].target);
        }
        fd_close(module->fd);
        free(module->path);
        free(module->type);
        free(module->version);
        free(module->aliases);
        free(module->options);
        free(module->mounts);
        free(module);
}

/* By type, then highest version first. */
static int module_order(const struct catalogue_module *a, const struct catalogue_module *b)
{
        int order = strcmp(a->type, b->type);

        return order ? order : version_compare(b->version, a->version);
}

int catalogue_add(struct catalogue *catalogue, struct catalogue_module *module)
{
        struct catalogue_module **grown;
        size_t at = 0;

        for (; at < catalogue->count; at++) {
                int order = module_order(module, catalogue->modules[at]);

                if (order == 0)
                        return -EEXIST;
                if (order < 0)
                        break;
        }

        grown = reallocarray(catalogue->modules, catalogue->count + 1, sizeof(*grown));
        if (!grown)
                return -ENOMEM;
        catalogue->modules = grown;
        memmove(grown + at + 1, grown + at, (catalogue->count - at) * sizeof(*grown));
        grown[at] = module;
        catalogue->count++;
        return 0;
}

static bool has_alias(const struct catalogue_module *module, const char *name)
{
        for (char **alias = module->aliases; alias && *alias; alias++)
                if (strcmp(*alias, name) == 0)
                        return true;
        return false;
}

/* A module's own type goes before another one's alias of the same name. */
static bool is_type(const struct catalogue *catalogue, const char *name)
{
        for (size_t i = 0; i < catalogue->count; i++)
                if (strcmp(catalogue->modules[i]->type, name) == 0)
                        return true;
        return false;
}

static bool answers_to(const struct catalogue_module *module, const char *name, bool own)
{
        return own ? strcmp(module->type, name) == 0 : has_alias(module, name);
}

/* Lists what there is into `text`: versions of one type, or all the types. Cut where it gets long. */
static void list_versions(const struct catalogue *catalogue, const char *name, bool own, char *text,
                          size_t size)
{
        size_t used = 0;

        text[0] = 0;
        for (size_t i = 0; i < catalogue->count && used < size; i++)
                if (answers_to(catalogue->modules[i], name, own))
                        used += (size_t)snprintf(text + used, size - used, "%s%s", used ? ", " : "",
                                                 catalogue->modules[i]->version);
}

static void list_types(const struct catalogue *catalogue, char *text, size_t size)
{
        const char *last = "";
        size_t used = 0;

        text[0] = 0;
        for (size_t i = 0; i < catalogue->count && used < size; i++) {
                const struct catalogue_module *module = catalogue->modules[i];

                if (strcmp(module->type, last) == 0)
                        continue;
                last = module->type;
                used += (size_t)snprintf(text + used, size - used, "%s%s", used ? ", " : "", last);
                for (char **alias = module->aliases; alias && *alias && used < size; alias++)
                        used += (size_t)snprintf(text + used, size - used, ", %s", *alias);
        }
}

static const struct catalogue_module *not_found(const struct catalogue *catalogue, const char *name,
                                                const char *version, bool own, struct error *error)
{
        char list[256];

        list_versions(catalogue, name, own, list, sizeof(list));
        if (list[0]) {
                error_say(error, EINVAL, "type %s has no version %s; there is %s", name, version,
                          list);
                error_remedy(error,
                             "Ask for one of the versions that there are, or for just \"%s\" "
                             "to get the highest.",
                             name);
                return NULL;
        }

        list_types(catalogue, list, sizeof(list));
        if (list[0])
                error_say(error, EINVAL, "no module for type %s; there are modules for %s", name,
                          list);
        else
                error_say(error, EINVAL, "no module for type %s: no modules were found at all",
                          name);
        error_remedy(error, "Install the module of that type, or name where it is with --modules.");
        return NULL;
}

const struct catalogue_module *catalogue_find(const struct catalogue *catalogue, const char *type,
                                              struct error *error)
{
        size_t length = strcspn(type, " ");
        const char *version = type[length] ? type + length + 1 : "";
        cleanup_free char *name = strndup(type, length);
        bool own;

        if (!name) {
                error_set(error, ENOMEM, "looking up type %s", type);
                return NULL;
        }
        if (!name[0] || (type[length] && !version_valid(version))) {
                error_say(error, EINVAL,
                          "\"%s\" is not a type; expected a name, or a name and a version "
                          "with one space between them, such as \"python 3.11\"",
                          type);
                return NULL;
        }

        /* The order is highest first, so the first that fits is the one. */
        own = is_type(catalogue, name);
        for (size_t i = 0; i < catalogue->count; i++) {
                const struct catalogue_module *module = catalogue->modules[i];

                if (answers_to(module, name, own) && version_matches(version, module->version))
                        return module;
        }
        return not_found(catalogue, name, version, own, error);
}
