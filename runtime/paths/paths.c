#include "runtime/paths/paths.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "runtime/paths/places.h"

/* The parts of the build tree whose programs belong to it. An installation below the build root, as
 * packagers make them, is not among them. */
static const char *const built_in[] = {BUILD_ROOT "/runtime/", BUILD_ROOT "/tests/"};

static const struct paths installed = {
        .prototype = (char *)LIBEXEC_DIRECTORY "/clade-prototype",
        .relay = (char *)LIBEXEC_DIRECTORY "/clade-relay",
        .discovery = (char *)LIBEXEC_DIRECTORY "/clade-discovery",
        .modules = (char *)MODULE_DIRECTORY "/*.clade.so",
        .templates = (char *)TEMPLATE_DIRECTORY,
        .profiles = (char *)PROFILE_DIRECTORY,
};

static const struct paths built = {
        .prototype = (char *)BUILD_ROOT "/runtime/prototype/clade-prototype",
        .relay = (char *)BUILD_ROOT "/runtime/relay/clade-relay",
        .discovery = (char *)BUILD_ROOT "/runtime/discovery/clade-discovery",
        .modules = (char *)BUILD_ROOT "/modules/*/*.clade.so",
        .templates = (char *)SOURCE_ROOT "/rootfs-templates",
        .profiles = (char *)SOURCE_ROOT "/seccomp-profiles",
};

int paths_for(const char *self, struct paths *paths, struct error *error)
{
        const struct paths *from = &installed;

        for (size_t i = 0; i < sizeof(built_in) / sizeof(built_in[0]); i++)
                if (strncmp(self, built_in[i], strlen(built_in[i])) == 0)
                        from = &built;
        *paths = (struct paths){
                .prototype = strdup(from->prototype),
                .relay = strdup(from->relay),
                .discovery = strdup(from->discovery),
                .modules = strdup(from->modules),
                .templates = strdup(from->templates),
                .profiles = strdup(from->profiles),
        };
        if (paths->prototype && paths->relay && paths->discovery && paths->modules &&
            paths->templates && paths->profiles)
                return 0;
        paths_finish(paths);
        return error_set(error, ENOMEM, "paths");
}

int paths_find(struct paths *paths, struct error *error)
{
        char self[PATH_MAX];
        ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);

        if (n < 0) {
                error_set(error, errno, "readlink of /proc/self/exe");
                return error_remedy(error, "clade needs /proc: mount it");
        }
        self[n] = '\0';
        return paths_for(self, paths, error);
}

void paths_finish(struct paths *paths)
{
        free(paths->prototype);
        free(paths->relay);
        free(paths->discovery);
        free(paths->modules);
        free(paths->templates);
        free(paths->profiles);
        *paths = (struct paths){.prototype = NULL};
}
