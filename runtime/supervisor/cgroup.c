#include "runtime/supervisor/cgroup.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/own.h"
#include "isolation/cgroup.h"
#include "runtime/supervisor/application.h"

#define PREFIX         "clade-"
#define TRIES          8
#define REMOVE_FIRST   UINT64_C(10000) /* us: the kernel takes about that long for the last process */
#define REMOVE_LAST    UINT64_C(1000000)
#define LINGER_US      10000
#define LINGER_TRIES   100
#define STALE_TRIES    50
#define DIRECTORY_OPEN (O_RDONLY | O_DIRECTORY | O_CLOEXEC)

/* One that could not be removed yet. */
struct cgroup_leaving {
        struct cgroup_leaving *next;
        char name[CGROUP_NAME_SIZE];
};

/* Waits for the kernel, not for anybody's goodwill: all in there have got SIGKILL. */
static int remove_patiently(int parent, const char *name, unsigned tries)
{
        int r = cgroup_remove(parent, name);

        while (r == -EBUSY && tries-- > 0) {
                usleep(LINGER_US);
                r = cgroup_remove(parent, name);
        }
        return r;
}

/* --- those of the dead --------------------------------------------------------------------------- */

static void remove_if_stale(struct supervisor *supervisor, const char *name)
{
        int place = supervisor->cgroups.place;
        cleanup_fd int fd = openat(place, name, DIRECTORY_OPEN);

        if (fd < 0 || flock(fd, LOCK_EX | LOCK_NB) < 0)
                return;
        cgroup_kill(fd);
        if (remove_patiently(place, name, STALE_TRIES) == 0)
                log_event(&supervisor->log, LOG_INFO, "cgroup-removed", NULL,
                          LOG_TEXT_FIELD("cgroup", name),
                          LOG_TEXT_FIELD("message", "a clade that was killed has left it behind"));
}

static void remove_stale(struct supervisor *supervisor)
{
        cleanup_dir DIR *directory = NULL;
        const struct dirent *entry;
        int fd = openat(supervisor->cgroups.place, ".", DIRECTORY_OPEN);

        if (fd < 0)
                return;
        directory = fdopendir(fd);
        if (!directory) {
                fd_close(fd);
                return;
        }
        while ((entry = readdir(directory)))
                if (entry->d_type == DT_DIR && strncmp(entry->d_name, PREFIX, strlen(PREFIX)) == 0)
                        remove_if_stale(supervisor, entry->d_name);
}

/* --- ours ------------------------------------------------------------------------------------------ */

/* Between its making and its lock another clade can take it for a dead one's and remove it. */
static int make_locked(struct cgroup_tree *tree, struct error *error)
{
        for (unsigned i = 0; i < TRIES; i++) {
                cleanup_fd int fd = -1;
                struct stat held, named;

                snprintf(tree->name, sizeof(tree->name), i ? PREFIX "%d.%u" : PREFIX "%d",
                         (int)getpid(), i);
                fd = cgroup_make(tree->place, tree->name, error);
                if (fd == -EEXIST || fd == -ENOENT)
                        continue; /* of somebody with our pid, in another pid namespace */
                if (fd < 0)
                        return fd;
                if (flock(fd, LOCK_EX | LOCK_NB) == 0 && fstat(fd, &held) == 0 &&
                    fstatat(tree->place, tree->name, &named, 0) == 0 &&
                    held.st_ino == named.st_ino) {
                        *error = (struct error)ERROR_INIT;
                        tree->own = TAKE_FD(fd);
                        return 0;
                }
        }
        return error_say(error, EBUSY, "no control group of our own could be made");
}

static int divide(struct cgroup_tree *tree, struct error *error)
{
        const struct cgroup_place *place = &tree->found.place;
        int r;

        if (place->ours) {
                cleanup_fd int inner = cgroup_make(tree->own, "supervisor", error);

                if (inner < 0)
                        return inner;
                r = cgroup_move(inner, 0, error);
                if (r < 0)
                        return r;
                tree->inside = true;
        }
        r = cgroup_enable(tree->place, place->controllers, error);
        if (r == 0)
                r = cgroup_enable(tree->own, place->controllers, error);
        if (r < 0)
                return r;
        tree->applications = cgroup_make(tree->own, "applications", error);
        if (tree->applications < 0)
                return tree->applications;
        return cgroup_enable(tree->applications, place->controllers, error);
}

static int take_place(struct supervisor *supervisor, struct error *error)
{
        struct cgroup_tree *tree = &supervisor->cgroups;
        int r;

        tree->place = cgroup_open_place(&tree->found.place, error);
        if (tree->place < 0)
                return tree->place;
        remove_stale(supervisor);
        r = make_locked(tree, error);
        return r < 0 ? r : divide(tree, error);
}

static bool wanted(const struct supervisor *supervisor)
{
        const struct config *config = supervisor->config;

        if (supervisor->cgroups.found.place.given)
                return true;
        for (size_t i = 0; i < config->application_count; i++)
                if (config_needs_cgroup(&config->applications[i].limits.resources))
                        return true;
        return false;
}

/* Out of our leaf again, so that it can be removed: PLACE takes processes once it divides nothing. */
static void move_out(struct cgroup_tree *tree)
{
        struct error error = ERROR_INIT;

        if (cgroup_disable(tree->own) == 0 && cgroup_disable(tree->place) == 0 &&
            cgroup_move(tree->place, 0, &error) == 0)
                tree->inside = false;
}

static void give_back(struct cgroup_tree *tree)
{
        if (tree->applications >= 0)
                remove_patiently(tree->own, "applications", LINGER_TRIES);
        if (tree->inside)
                move_out(tree);
        if (tree->own >= 0 && !tree->inside)
                remove_patiently(tree->place, tree->name, LINGER_TRIES);
        fd_close(TAKE_FD(tree->applications));
        fd_close(TAKE_FD(tree->own));
        fd_close(TAKE_FD(tree->place));
}

void cgroup_tree_open(struct supervisor *supervisor)
{
        struct cgroup_tree *tree = &supervisor->cgroups;
        struct error error = ERROR_INIT;

        compile_find_cgroups(supervisor->config, &tree->found);
        if (!tree->found.found || !wanted(supervisor))
                return;
        if (take_place(supervisor, &error) == 0)
                return;
        error_prefix(&error, "%s", tree->found.place.path);
        tree->found.found = false;
        tree->found.error = error;
        give_back(tree);
        log_error(&supervisor->log, LOG_WARNING, "cgroup-failed", NULL, &error);
}

void cgroup_tree_close(struct supervisor *supervisor)
{
        struct cgroup_tree *tree = &supervisor->cgroups;

        tree->timer = sd_event_source_disable_unref(tree->timer);
        while (tree->leaving) {
                struct cgroup_leaving *leaving = tree->leaving;

                tree->leaving = leaving->next;
                free(leaving);
        }
        give_back(tree);
}

int cgroup_tree_watch(struct supervisor *supervisor, struct error *error)
{
        int applications = supervisor->cgroups.applications;
        cleanup_fd int fd = -1;

        if (applications < 0)
                return 0;
        fd = openat(applications, "cgroup.kill", O_WRONLY | O_CLOEXEC);
        if (fd < 0)
                return error_set(error, errno, "cgroup.kill");
        return watcher_add_cgroup(&supervisor->watcher, fd, error);
}

/* --- one prototype's ------------------------------------------------------------------------------- */

static int on_remove(sd_event_source *source, uint64_t usec, void *userdata)
{
        struct supervisor *supervisor = userdata;
        struct cgroup_tree *tree = &supervisor->cgroups;
        struct cgroup_leaving **link = &tree->leaving;

        (void)source;
        (void)usec;
        while (*link) {
                struct cgroup_leaving *leaving = *link;

                if (cgroup_remove(tree->applications, leaving->name) == -EBUSY) {
                        link = &leaving->next;
                        continue;
                }
                *link = leaving->next;
                free(leaving);
        }
        if (!tree->leaving)
                return 0;
        tree->delay_us = tree->delay_us < REMOVE_LAST ? tree->delay_us * 2 : tree->delay_us;
        return timer_arm(supervisor, &tree->timer, tree->delay_us, on_remove, supervisor);
}

/* What cannot be remembered stays until we close, or the next one starts. */
static void remove_soon(struct supervisor *supervisor, const char *name)
{
        struct cgroup_tree *tree = &supervisor->cgroups;
        struct cgroup_leaving *leaving = malloc(sizeof(*leaving));

        if (!leaving)
                return;
        memcpy(leaving->name, name, sizeof(leaving->name));
        leaving->next = tree->leaving;
        tree->leaving = leaving;
        tree->delay_us = REMOVE_FIRST;
        timer_arm(supervisor, &tree->timer, tree->delay_us, on_remove, supervisor);
}

int cgroup_home_make(struct application *application, struct error *error)
{
        const struct plan_cgroup *limits = &compiled_launch(application->compiled)->plan.cgroup;
        struct cgroup_tree *tree = &application->supervisor->cgroups;
        struct cgroup_home *home = &application->home;
        int r;

        if (!limits->present)
                return 0;
        snprintf(home->name, sizeof(home->name), "%s-%" PRIu64, application->name, ++tree->serial);
        home->fd = cgroup_make(tree->applications, home->name, error);
        if (home->fd < 0)
                return home->fd;
        home->kills_told = home->kills_taken = home->refusals_told = 0;
        r = cgroup_limit(home->fd, limits, error);
        return r < 0 ? r : cgroup_home_watch(application, error);
}

void cgroup_home_kill(struct application *application)
{
        if (application->home.fd >= 0)
                cgroup_kill(application->home.fd);
}

void cgroup_home_leave(struct application *application)
{
        struct cgroup_home *home = &application->home;

        if (home->fd < 0)
                return;
        cgroup_kill(home->fd);
        cgroup_home_account(application);
        home->memory = sd_event_source_disable_unref(home->memory);
        home->tasks = sd_event_source_disable_unref(home->tasks);
        fd_close(TAKE_FD(home->fd));
        if (cgroup_remove(application->supervisor->cgroups.applications, home->name) == -EBUSY)
                remove_soon(application->supervisor, home->name);
}

const char *cgroup_home_path(const struct application *application, char *buffer)
{
        const struct cgroup_tree *tree = &application->supervisor->cgroups;

        buffer[0] = '\0';
        if (application->home.fd >= 0)
                snprintf(buffer, PATH_MAX, "%s/%s/applications/%s", tree->found.place.path,
                         tree->name, application->home.name);
        return buffer;
}
