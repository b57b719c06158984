/* The supervisor: `clade run`. See supervisor.c for its story. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <systemd/sd-event.h>

#include "isolation/seccomp/compiler.h"
#include "runtime/catalogue/catalogue.h"
#include "runtime/config/config.h"
#include "runtime/paths/paths.h"
#include "runtime/supervisor/cgroup.h"
#include "runtime/supervisor/log.h"
#include "runtime/supervisor/watcher.h"

struct supervisor_options {
        enum log_format format;
        enum log_level level;
};

struct application;

struct supervisor {
        const struct config *config;
        const struct paths *paths;
        struct log log;
        sd_event *event;
        sd_event_source *look;    /* a timer, where it is needed */
        sd_event_source *changed; /* deferred: look at the whole */

        struct cgroup_tree cgroups;
        struct watcher watcher; /* kills what would outlive us */
        int prototype_image;    /* sealed memfd: the binary that every prototype is exec'd from */
        int relay_image;        /* ... and every relay */
        int *module_images;     /* the same for each module of the catalogue that is used; -1 */
        const struct catalogue *catalogue;
        struct ladder ladder; /* what this host allows, once it is known */
        bool ladder_known;
        struct filters filters; /* of all applications */
        bool exit_codes;        /* the kernel tells exit codes by pidfd (6.15) */
        uint64_t serial;        /* of the last clone ordered; counts over all applications */

        struct application **applications;
        size_t application_count;
        sd_event_source *starting; /* deferred: one more is started, `started` are */
        size_t started;
        bool stopping;
        uint64_t stopped_us; /* when it was last told so; monotonic */
        int status;          /* exit status of `clade run` */
};

/* Runs a configuration until told to stop. The exit status: 0 after SIGTERM, SIGINT or SIGQUIT, 1 when
 * nothing could start. Config, catalogue and paths must outlive it. */
int supervisor_run(const struct config *config, const struct catalogue *catalogue,
                   const struct paths *paths, const struct supervisor_options *options);

/* Called by an application's machine whenever it came to a state that the whole may depend on: all are
 * stopped, or each has failed its first start. */
void supervisor_application_changed(struct supervisor *supervisor);

/* The sealed copy of a module's shared object, made when it is first asked for. The supervisor keeps it. */
int supervisor_module_image(struct supervisor *supervisor, const struct catalogue_module *module,
                            struct error *error);
