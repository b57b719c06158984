#include "runtime/compile/filters.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/missing.h"
#include "base/own.h"
#include "base/path.h"
#include "runtime/compile/compilation.h"
#include "runtime/profile/profile.h"

/* A file that has been read, and what it was then. */
struct filters_profile {
        struct filters_profile *next;
        struct stat file;
        struct seccomp_profile profile; /* knows its path */
};

/* --- profiles ----------------------------------------------------------------------------------- */

static bool same_file(const struct stat *a, const struct stat *b)
{
        return a->st_dev == b->st_dev && a->st_ino == b->st_ino && a->st_size == b->st_size &&
               a->st_mtim.tv_sec == b->st_mtim.tv_sec && a->st_mtim.tv_nsec == b->st_mtim.tv_nsec &&
               a->st_ctim.tv_sec == b->st_ctim.tv_sec && a->st_ctim.tv_nsec == b->st_ctim.tv_nsec;
}

/* Of an open file; `path` is for messages, and part of what it is known by. */
static const struct seccomp_profile *profile_of(struct filters *filters, int fd, const char *path,
                                                struct error *error)
{
        cleanup_free struct filters_profile *fresh = NULL;
        struct stat st;

        if (fstat(fd, &st) < 0) {
                error_set(error, errno, "fstat of seccomp profile %s", path);
                return NULL;
        }
        if (!S_ISREG(st.st_mode)) {
                error_say(error, EINVAL, "seccomp profile %s is not a file", path);
                return NULL;
        }
        for (const struct filters_profile *at = filters->profiles; at; at = at->next)
                if (same_file(&at->file, &st) && strcmp(at->profile.file, path) == 0)
                        return &at->profile;
        fresh = calloc(1, sizeof(*fresh));
        if (!fresh) {
                error_set(error, ENOMEM, "seccomp profile %s", path);
                return NULL;
        }
        if (profile_read(fd, path, &fresh->profile, error) < 0)
                return NULL;
        fresh->file = st;
        fresh->next = filters->profiles;
        filters->profiles = fresh;
        return &TAKE_PTR(fresh)->profile;
}

const struct seccomp_profile *filters_profile(struct filters *filters, const char *path,
                                              struct error *error)
{
        enum path_links links = geteuid() == 0 ? PATH_LINKS_OF_ROOT : PATH_LINKS_OF_OURS;
        cleanup_fd int fd = path_open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY, 0, links, error);

        if (fd < 0) {
                error_prefix(error, "seccomp profile");
                return NULL;
        }
        return profile_of(filters, fd, path, error);
}

/* Where clade itself lies no tenant can write: whose the links on the way are does not matter. */
static const struct seccomp_profile *own_profile(struct filters *filters, const char *name,
                                                 struct error *error)
{
        cleanup_fd int fd = -1;
        char path[PATH_MAX];

        if (snprintf(path, sizeof(path), "%s/%s.json", filters->directory, name) >=
            (int)sizeof(path)) {
                error_say(error, ENAMETOOLONG, "seccomp profile %s/%s.json", filters->directory,
                          name);
                return NULL;
        }
        fd = open(path, O_RDONLY | O_CLOEXEC);
        if (fd < 0) {
                error_set(error, errno, "open of clade's own seccomp profile %s", path);
                error_remedy(error, "install clade completely: its data files are missing");
                return NULL;
        }
        return profile_of(filters, fd, path, error);
}

void filters_finish(struct filters *filters)
{
        while (filters->profiles) {
                struct filters_profile *at = filters->profiles;

                filters->profiles = at->next;
                seccomp_profile_finish(&at->profile);
                free(at);
        }
        seccomp_cache_finish(&filters->programs);
}

/* --- the disk ----------------------------------------------------------------------------------- */

void filters_remember(struct filters *filters, const struct config *config)
{
        const char *cache = secure_getenv("XDG_CACHE_HOME"), *home = secure_getenv("HOME");
        char path[PATH_MAX];
        int n;

        if (geteuid() == 0)
                n = snprintf(path, sizeof(path), "%s/seccomp", config->settings.state_directory);
        else if (cache && cache[0] == '/')
                n = snprintf(path, sizeof(path), "%s/clade/seccomp", cache);
        else if (home && home[0] == '/')
                n = snprintf(path, sizeof(path), "%s/.cache/clade/seccomp", home);
        else
                return;
        if (n < (int)sizeof(path))
                (void)seccomp_cache_open(&filters->programs, path);
}

/* --- an application's --------------------------------------------------------------------------- */

/* Names that libseccomp and we have never heard of: those of newer kernels, and typing errors. */
static int notice_unknown(const struct compilation *compilation,
                          const struct seccomp_profile *profile, struct error *error)
{
        cleanup_free char *text = NULL;
        size_t size = 0, count = 0;
        FILE *stream = open_memstream(&text, &size);
        int number;

        if (!stream)
                return error_set(error, ENOMEM, "seccomp profile %s", profile->file);
        fprintf(stream,
                "the seccomp profile %s names system calls that are unknown here:", profile->file);
        for (size_t i = 0; i < profile->rule_count; i++)
                for (char **name = profile->rules[i].names; *name; name++)
                        if (seccomp_name_look_up(*name, &number) == SECCOMP_NAME_UNKNOWN)
                                fprintf(stream, "%s %s", count++ ? "," : "", *name);
        fputs("; what it says of them means nothing", stream);
        if (fclose(stream) != 0)
                return error_set(error, ENOMEM, "seccomp profile %s", profile->file);
        if (count)
                compile_notice(compilation, text);
        return 0;
}

/* A profile of the configuration's own is an administrator's, who may not know what clade calls. */
static int check_profile(const struct compilation *compilation,
                         const struct seccomp_profile *profile, uint64_t capabilities,
                         struct error *error)
{
        const char *lacks = seccomp_profile_lacks(profile, capabilities);

        if (lacks) {
                error_say(error, EINVAL,
                          "the profile %s does not allow %s, which clade itself calls in the "
                          "processes of an application",
                          profile->file, lacks);
                return error_remedy(error, "add %s to its allowed calls", lacks);
        }
        return notice_unknown(compilation, profile, error);
}

/* A worker's filters are on before it becomes the program: what refuses exec cannot be among them. */
static int refuse_strict(const struct compilation *compilation, struct error *error)
{
        if (strcmp(compilation->application->module->type, "external") != 0)
                return 0;
        error_say(error, EINVAL,
                  "\"strict\" refuses execve, by which an application of type \"external\" becomes "
                  "its program");
        return error_remedy(error, "Leave \"seccomp\" out, or name a profile of your own; or make "
                                   "the application one of type \"native\".");
}

static int choose(const struct compilation *compilation, struct seccomp_request *request,
                  struct error *error)
{
        struct filters *filters = compilation->compile->filters;
        const char *wanted = compilation->application->isolation.seccomp;
        bool strict = wanted && strcmp(wanted, "strict") == 0;
        bool own = !wanted || strict || strcmp(wanted, "default") == 0;

        if (strict && refuse_strict(compilation, error) < 0)
                return -error->code;
        request->profile = own ? own_profile(filters, "default", error)
                               : filters_profile(filters, wanted, error);
        if (request->profile && strict) {
                request->worker = own_profile(filters, "strict", error);
                if (!request->worker)
                        return -error->code;
        }
        if (!request->profile)
                return -error->code;
        return own ? 0 : check_profile(compilation, request->profile, request->capabilities, error);
}

/* Without a network namespace whatever socket an application makes is the host's. Where Landlock has no scopes
 * unix sockets, too, reach whoever listens on an abstract name. */
static void do_without_namespace(const struct compilation *compilation,
                                 struct seccomp_request *request)
{
        const struct plan *plan = compilation->plan;

        if (!request->own_network || plan->namespaces & CLONE_NEWNET)
                return;
        request->no_network_sockets = true;
        request->no_unix_sockets = !plan->prototype_domain.scoped;
}

int compile_filters(struct compilation *compilation, struct error *error)
{
        const struct config_isolation *isolation = &compilation->application->isolation;
        struct plan *plan = compilation->plan;
        struct seccomp_request request = {
                .capabilities = plan->capabilities.bounding,
                .own_network = isolation->network == CONFIG_NETWORK_NONE,
                /* Not where nothing else refuses TCP: compile_landlock has said so. */
                .unix_clients =
                        isolation->unix_clients && (isolation->network != CONFIG_NETWORK_NONE ||
                                                    plan->prototype_domain.handled_net != 0),
                .tcp_confined = plan->prototype_domain.handled_net != 0,
                .fixed_cpus = plan->scheduling.cpu_words > 0,
        };
        const struct seccomp_set *set;

        plan->deny_write_execute =
                isolation->deny_write_execute && prctl(PR_GET_MDWE, 0, 0, 0, 0) >= 0;
        request.deny_write_execute = isolation->deny_write_execute && !plan->deny_write_execute;
        do_without_namespace(compilation, &request);
        if (compilation->level == LADDER_NONE)
                return 0;
        if (choose(compilation, &request, error) < 0)
                return error_at(error, compilation, "/isolation/seccomp");
        set = seccomp_cache_get(&compilation->compile->filters->programs, &request, error);
        if (!set)
                return error_at(error, compilation, "/isolation/seccomp");
        plan->prototype_filter_count = 2;
        plan->prototype_filters =
                arena_alloc(compilation->arena, 2 * sizeof(*plan->prototype_filters));
        if (!plan->prototype_filters)
                return error_set(error, ENOMEM, "seccomp filters");
        plan->prototype_filters[0] = set->profile;
        plan->prototype_filters[1] = set->guards;
        plan->worker_filter = set->difference;
        return 0;
}
