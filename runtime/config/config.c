/* From a file to a struct config: read, parsed, checked against the tables, and freed again. */
#include "runtime/config/config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "base/fd.h"
#include "base/own.h"
#include "runtime/config/landlock.h"
#include "runtime/config/rootfs.h"
#include "runtime/config/schema.h"
#include "runtime/config/syntax.h"
#include "runtime/config/values.h"

/* The applications are before the listeners, which name them. */
static const struct key config_keys[] = {
        {"settings", read_settings, offsetof(struct config, settings), NULL, NULL},
        {"applications", read_applications, 0, NULL, "an object of applications by their names"},
        {"listeners", read_listeners, 0, NULL, NULL},
};

static const struct schema config_schema = {
        .what = "the configuration",
        .keys = config_keys,
        .count = ARRAY_SIZE(config_keys),
};

int config_parse(const char *file, const char *text, size_t size, const struct catalogue *catalogue,
                 struct config *config, struct diagnostics *diagnostics)
{
        struct reader reader = {.catalogue = catalogue, .config = config};
        struct node node = {.up = NULL};
        int r;

        *config = (struct config){0};
        if (size > CONFIG_FILE_MAX) {
                r = diagnostics_add(diagnostics, file, 0, 0, "",
                                    "the file has %zu bytes: expected at most %u", size,
                                    CONFIG_FILE_MAX);
                return r < 0 ? r : -EINVAL;
        }
        r = syntax_parse(file, text, size, &node.json, diagnostics);
        if (r < 0)
                return r;
        store_string(&reader, &config->file, file);
        settings_defaults(&reader, &config->settings);
        if (read_object(&reader, &node, &config_schema, config))
                check_starts(&reader, &node);
        r = reader_finish(&reader, file, text, size, diagnostics);
        json_decref(node.json);
        if (r < 0)
                config_finish(config);
        return r;
}

int config_load(const char *file, const struct catalogue *catalogue, struct config *config,
                struct diagnostics *diagnostics, struct error *error)
{
        cleanup_fd int fd = open(file, O_RDONLY | O_CLOEXEC | O_NOCTTY);
        cleanup_free char *text = NULL;
        size_t size;
        int r;

        *config = (struct config){0};
        if (fd < 0) {
                error_set(error, errno, "open of configuration %s", file);
                return error_remedy(error, "Name a JSON file that you can read.");
        }
        r = fd_read_file(fd, CONFIG_FILE_MAX, &text, &size);
        if (r < 0) {
                error_set(error, -r, "reading of configuration %s", file);
                if (r == -EFBIG)
                        error_remedy(error, "A configuration has at most %u bytes.",
                                     CONFIG_FILE_MAX);
                return error_remedy(error, "Name a JSON file that you can read.");
        }
        r = config_parse(file, text, size, catalogue, config, diagnostics);
        if (r < 0 && r != -EINVAL)
                error_set(error, -r, "configuration %s", file);
        return r;
}

static void strings_free(char **strings)
{
        for (char **string = strings; string && *string; string++)
                free(*string);
        free(strings);
}

static void isolation_finish(struct config_isolation *isolation)
{
        for (size_t i = 0; i < isolation->mount_count; i++) {
                struct config_mount *mount = &isolation->mounts[i];

                free(mount->destination);
                free(mount->type);
                free(mount->source);
                strings_free(mount->options);
                free(mount->pointer);
        }
        free(isolation->mounts);
        free(isolation->rootfs);
        paths_free(&isolation->masked);
        paths_free(&isolation->read_only);
        free(isolation->seccomp);
        free(isolation->hostname);
        landlock_finish(&isolation->landlock);
        free(isolation->uid_map.extents);
        free(isolation->gid_map.extents);
}

static void application_finish(struct config_application *application)
{
        for (size_t i = 0; i < application->value_count; i++) {
                free(application->values[i].name);
                free(application->values[i].string);
                strings_free(application->values[i].strings);
        }
        free(application->values);
        strings_free(application->environment);
        free(application->name);
        free(application->type);
        free(application->working_directory);
        free(application->stdout_path);
        free(application->stderr_path);
        free(application->user);
        free(application->group);
        free(application->pointer);
        isolation_finish(&application->isolation);
        limits_finish(&application->limits);
}

void config_finish(struct config *config)
{
        for (size_t i = 0; i < config->application_count; i++)
                application_finish(&config->applications[i]);
        for (size_t i = 0; i < config->listener_count; i++) {
                free(config->listeners[i].address);
                free(config->listeners[i].target);
        }
        free(config->applications);
        free(config->listeners);
        free(config->settings.templates);
        free(config->settings.cgroup);
        free(config->settings.state_directory);
        free(config->file);
        *config = (struct config){0};
}
