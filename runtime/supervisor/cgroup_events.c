/* What the kernel tells of an application's control group: limits that were met, and what it has used. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/own.h"
#include "isolation/cgroup.h"
#include "runtime/supervisor/application.h"

/* The number of times, 0 where there is no such file. */
static uint64_t count(const struct cgroup_home *home, const char *file, const char *key)
{
        uint64_t value = 0;

        return cgroup_read(home->fd, file, key, &value) == 0 ? value : 0;
}

bool cgroup_home_out_of_memory(struct application *application)
{
        struct cgroup_home *home = &application->home;

        if (home->fd < 0 || count(home, "memory.events", "oom_kill") <= home->kills_taken)
                return false;
        home->kills_taken++;
        return true;
}

/* A poll(2) of these files reports EPOLLPRI from each change until the file is read again. */
static void read_again(int fd)
{
        char text[512];

        while (pread(fd, text, sizeof(text), 0) < 0 && errno == EINTR)
                ;
}

static int on_memory(sd_event_source *source, int fd, uint32_t revents, void *userdata)
{
        struct application *application = userdata;
        const struct plan_cgroup *limits = &compiled_launch(application->compiled)->plan.cgroup;
        struct cgroup_home *home = &application->home;
        struct error error = ERROR_INIT;
        uint64_t kills;

        (void)source;
        (void)revents;
        read_again(fd);
        kills = count(home, "memory.events", "oom_kill");
        if (kills <= home->kills_told)
                return 0;
        error_say(&error, ENOMEM, "out of memory: the kernel has killed %" PRIu64 " process%s",
                  kills - home->kills_told, kills - home->kills_told == 1 ? "" : "es");
        error_remedy(&error, "raise limits.memory, or find out what needs so much (memory.stat of "
                             "the control group)");
        home->kills_told = kills;
        log_error(&application->supervisor->log, LOG_WARNING, "memory-limit", application->name,
                  &error, LOG_NUMBER("kills", kills),
                  limits->memory == PLAN_UNLIMITED ? LOG_TEXT_FIELD("limit", NULL)
                                                   : LOG_NUMBER("limit", limits->memory));
        return 0;
}

/* Told once for each prototype: a fork bomb meets the limit thousands of times in a second. */
static int on_tasks(sd_event_source *source, int fd, uint32_t revents, void *userdata)
{
        struct application *application = userdata;
        const struct plan_cgroup *limits = &compiled_launch(application->compiled)->plan.cgroup;
        struct cgroup_home *home = &application->home;
        struct error error = ERROR_INIT;

        (void)revents;
        read_again(fd);
        if (count(home, "pids.events", "max") == 0)
                return 0;
        sd_event_source_set_enabled(source, SD_EVENT_OFF);
        home->refusals_told = 1;
        error_say(&error, EAGAIN, "the application has as many processes and threads as it may");
        error_remedy(&error, "raise limits.tasks, if it is not a fork bomb");
        log_error(&application->supervisor->log, LOG_WARNING, "tasks-limit", application->name,
                  &error, LOG_NUMBER("limit", limits->tasks));
        return 0;
}

static int watch_file(struct application *application, const char *name, sd_event_source **source,
                      sd_event_io_handler_t handler, struct error *error)
{
        cleanup_fd int fd = openat(application->home.fd, name, O_RDONLY | O_CLOEXEC);
        int r;

        if (fd < 0)
                return error_set(error, errno, "%s of the control group", name);
        read_again(fd);
        r = sd_event_add_io(application->supervisor->event, source, fd, EPOLLPRI, handler,
                            application);
        if (r >= 0)
                r = sd_event_source_set_io_fd_own(*source, true);
        if (r < 0)
                return error_set(error, -r, "watching %s", name);
        (void)TAKE_FD(fd);
        return 0;
}

int cgroup_home_watch(struct application *application, struct error *error)
{
        const struct plan_cgroup *limits = &compiled_launch(application->compiled)->plan.cgroup;
        uint32_t needs = cgroup_needs(limits);
        struct cgroup_home *home = &application->home;
        int r = 0;

        if (needs & CGROUP_MEMORY)
                r = watch_file(application, "memory.events", &home->memory, on_memory, error);
        if (r == 0 && (needs & CGROUP_PIDS))
                r = watch_file(application, "pids.events", &home->tasks, on_tasks, error);
        return r;
}

/* The total stall of "some ... total=N" in us (the kernel's accounting/psi.rst). */
static struct log_field pressure(const struct cgroup_home *home, const char *key, const char *file)
{
        cleanup_fd int fd = openat(home->fd, file, O_RDONLY | O_CLOEXEC);
        char text[512];
        const char *total;
        ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
        uint64_t value;

        text[n > 0 ? n : 0] = '\0';
        total = strstr(text, "total=");
        if (!total || sscanf(total, "total=%" SCNu64, &value) != 1)
                return LOG_TEXT_FIELD(key, NULL);
        return LOG_NUMBER(key, value);
}

static struct log_field used(const struct cgroup_home *home, const char *key, const char *file,
                             const char *inner)
{
        uint64_t value;

        if (cgroup_read(home->fd, file, inner, &value) < 0)
                return LOG_TEXT_FIELD(key, NULL);
        return LOG_NUMBER(key, value);
}

void cgroup_home_account(struct application *application)
{
        const struct cgroup_home *home = &application->home;
        struct log *log = &application->supervisor->log;

        if (log->minimum > LOG_DEBUG)
                return;
        log_event(log, LOG_DEBUG, "cgroup-account", application->name,
                  used(home, "memory_peak", "memory.peak", NULL),
                  used(home, "memory_kills", "memory.events", "oom_kill"),
                  used(home, "cpu_us", "cpu.stat", "usage_usec"),
                  used(home, "throttled_us", "cpu.stat", "throttled_usec"),
                  used(home, "tasks_refused", "pids.events", "max"),
                  pressure(home, "memory_pressure_us", "memory.pressure"),
                  pressure(home, "cpu_pressure_us", "cpu.pressure"),
                  pressure(home, "io_pressure_us", "io.pressure"));
}
