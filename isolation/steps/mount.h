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

/* What an entry of kind TMPFS, PROC, DEVPTS or MQUEUE asks for, detached. */
int mount_entry(const struct plan_entry *entry, struct error *error);
void mount_entry_describe(const struct plan_entry *entry, const struct isolation_report *report);

/* "tmpfs"; NULL for a kind that makes no file system. */
const char *mount_type(uint32_t kind);
