/* Starting Python. It is not a user's: no command line, no user's packages, no signal handlers, and
 * nothing that an environment variable could name is run, since the last lock is still to come. */
#include "modules/python/python.h"

#include <dlfcn.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void interpreter_version(char *text, size_t size)
{
        const char *version =
                Py_GetVersion(); /* "3.11.2 (main, ...) [GCC ...]", "3.13.0rc1+ ..." */

        snprintf(text, size, "%.*s", (int)strspn(version, "0123456789."), version);
}

const char *interpreter_library(void)
{
        Dl_info info;

        return dladdr((const void *)Py_GetVersion, &info) ? info.dli_fname : NULL;
}

/* The directory whose lib/pythonX.Y belongs to the library: some parent of where it lies. False where there is
 * none; then Python looks by itself. */
static bool find_prefix(char *prefix, size_t size, char *program, size_t program_size)
{
        char version[32], real[PATH_MAX], landmark[PATH_MAX + 64];
        const char *library = interpreter_library();
        unsigned major, minor;

        interpreter_version(version, sizeof(version));
        if (!library || !realpath(library, real) || sscanf(version, "%u.%u", &major, &minor) != 2)
                return false;
        for (;;) {
                char *slash = strrchr(real, '/');

                if (!slash || slash == real)
                        return false;
                *slash = '\0';
                snprintf(landmark, sizeof(landmark), "%s/lib/python%u.%u/os.py", real, major,
                         minor);
                if (access(landmark, R_OK) == 0)
                        break;
        }
        snprintf(prefix, size, "%s", real);
        snprintf(program, program_size, "%s/bin/python%u.%u", real, major, minor);
        return true;
}

/* Extension modules take Python's functions from wherever they are, and do not name the library. Ours came with
 * a module that nobody else sees into. */
static const char *publish_library(void)
{
        const char *library = interpreter_library();

        if (!library || !dlopen(library, RTLD_NOW | RTLD_GLOBAL | RTLD_NOLOAD))
                return "libpython cannot be made visible to extension modules";
        return NULL;
}

/* UTF-8, whatever the locale: there is none inside. */
static PyStatus preinitialize(void)
{
        PyPreConfig config;

        PyPreConfig_InitPythonConfig(&config);
        config.parse_argv = 0;
        config.coerce_c_locale = 0;
        config.utf8_mode = 1;
        return Py_PreInitialize(&config);
}

/* The environment is the application's: PYTHONOPTIMIZE and the like are meant, and honoured. But what would make
 * Python look for code elsewhere waits for preload (PYTHONPATH) or is not for it to say. */
static PyStatus initialize(PyConfig *config)
{
        char prefix[PATH_MAX], program[PATH_MAX + 64];
        PyStatus status;

        config->parse_argv = 0;
        config->install_signal_handlers = 0;
        config->user_site_directory = 0;
        config->pathconfig_warnings = 0;
        status = PyConfig_SetBytesString(config, &config->pythonpath_env, "");
        if (!PyStatus_Exception(status) &&
            find_prefix(prefix, sizeof(prefix), program, sizeof(program))) {
                status = PyConfig_SetBytesString(config, &config->home, prefix);
                if (!PyStatus_Exception(status))
                        status = PyConfig_SetBytesString(config, &config->program_name, program);
        }
        if (!PyStatus_Exception(status))
                status = PyConfig_SetBytesArgv(config, 1, (char *[]){(char *)"clade"});
        if (!PyStatus_Exception(status))
                status = Py_InitializeFromConfig(config);
        return status;
}

const char *interpreter_start(void)
{
        const char *fault = publish_library();
        PyConfig config;
        PyStatus status;

        if (fault)
                return fault;
        status = preinitialize();
        if (!PyStatus_Exception(status)) {
                PyConfig_InitPythonConfig(&config);
                status = initialize(&config);
                PyConfig_Clear(&config);
        }
        if (!PyStatus_Exception(status))
                return NULL;
        return status.err_msg ? status.err_msg : "Python cannot be started";
}

PyObject *interpreter_module(const char *name, const char *source)
{
        char file[64];
        PyObject *code, *module;

        snprintf(file, sizeof(file), "<clade: %s.py>", name);
        code = Py_CompileString(source, file, Py_file_input);
        if (!code)
                return NULL;
        module = PyImport_ExecCodeModule(name, code);
        Py_DECREF(code);
        return module;
}
