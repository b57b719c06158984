#include "runtime/discovery/load.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/own.h"

/* The loader's words, without the name that it knows the file by. */
static const char *loader_words(const char *path)
{
        const char *words = dlerror();
        size_t length = strlen(path);

        if (!words)
                return "the loader gives no reason";
        if (strncmp(words, path, length) == 0 && strncmp(words + length, ": ", 2) == 0)
                return words + length + 2;
        return words;
}

static int open_library(void **ret_library, struct error *error)
{
        cleanup_fd int readable = -1;
        char path[32];

        snprintf(path, sizeof(path), "/proc/self/fd/%d", DISCOVERY_FD_MODULE);
        /* dlopen tells no errno, so this is tried first. */
        readable = open(path, O_RDONLY | O_CLOEXEC);
        if (readable < 0) {
                error_set(error, errno, "opening it by %s", path);
                return error_remedy(error, errno == EACCES ? "make the file readable by everybody: "
                                                             "applications load it with ids of "
                                                             "their own"
                                                           : "/proc must be there");
        }
        fd_close(TAKE_FD(readable)); /* the module shall find no descriptor but ours */
        *ret_library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
        if (*ret_library)
                return 0;
        error_say(error, EBADMSG, "dlopen: %s", loader_words(path));
        return error_remedy(error,
                            "ldd shows which libraries and symbols the file lacks; if it is no "
                            "module, let --modules name only those that are");
}

static int foreign(enum discovery_fault *fault, struct error *error)
{
        *fault = DISCOVERY_FAULT_FOREIGN;
        return error_remedy(error,
                            "compile the module anew, with the clade/module.h of this clade");
}

int load_module(const struct clade_module **ret_module, enum discovery_fault *ret_fault,
                struct error *error)
{
        const struct clade_module *module;
        char build[DISCOVERY_TYPE_SIZE];
        void *library;
        int r;

        *ret_fault = DISCOVERY_FAULT_MODULE;
        r = open_library(&library, error);
        if (r < 0)
                return r;
        module = dlsym(library, CLADE_MODULE_SYMBOL);
        if (!module) {
                error_say(error, EBADMSG, "it has no symbol \"%s\"", CLADE_MODULE_SYMBOL);
                return error_remedy(error,
                                    "a module exports const struct clade_module %s, see "
                                    "clade/module.h",
                                    CLADE_MODULE_SYMBOL);
        }

        /* In this order: a member means something only if all before it agree. */
        if (module->api != CLADE_MODULE_API) {
                error_say(error, EBADMSG, "it was built for module API %u, this clade has %u",
                          module->api, CLADE_MODULE_API);
                return foreign(ret_fault, error);
        }
        if (module->size != sizeof(*module)) {
                error_say(error, EBADMSG, "its struct clade_module has %u bytes, this clade's %zu",
                          module->size, sizeof(*module));
                return foreign(ret_fault, error);
        }
        snprintf(build, sizeof(build), "%s", module->build ? module->build : "nothing");
        if (strcmp(build, CLADE_MODULE_BUILD) != 0) {
                error_say(error, EBADMSG, "it was built for %s, this clade for %s", build,
                          CLADE_MODULE_BUILD);
                return foreign(ret_fault, error);
        }
        if (!module->start)
                return error_say(error, EBADMSG, "it has no start function");
        *ret_module = module;
        return 0;
}
