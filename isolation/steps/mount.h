/* Making detached mounts with the new mount API (fsopen(2) and kin), for the steps that need them. */
#pragma once

#include "base/error.h"
#include "isolation/report.h"

#define MOUNT_TMPFS_SIZE   UINT64_C(16777216) /* bytes, where the plan says 0 */
#define MOUNT_TMPFS_INODES UINT64_C(4096)

/* A detached tmpfs, as a descriptor, or a negative errno. */
int mount_tmpfs(uint64_t size, uint64_t inodes, uint32_t mode, uint64_t attributes,
                struct error *error);
void mount_tmpfs_describe(uint64_t size, uint64_t inodes, uint32_t mode, uint64_t attributes,
                          const struct isolation_report *report);

/* A detached proc of our pid namespace. */
int mount_proc(uint64_t attributes, struct error *error);
void mount_proc_describe(uint64_t attributes, const struct isolation_report *report);
