/* The controllers' names, for the files of isolation/cgroup*.c. */
#pragma once

#include <stdint.h>

#define CGROUP_CONTROLLERS 4

struct cgroup_controller_name {
        const char *name;
        uint32_t flag; /* enum cgroup_controller */
};

extern const struct cgroup_controller_name cgroup_controllers[CGROUP_CONTROLLERS];

/* The controllers that a file lists ("cgroup.controllers", "cgroup.subtree_control"). 0 or -errno. */
int cgroup_controllers_read(int cgroup, const char *file, uint32_t *ret_controllers);
