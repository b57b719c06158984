/* Landlock domains while they are being made (landlock(7)). */
#pragma once

#include "runtime/compile/compilation.h"

#define LANDLOCK_REFER_ABI    2
#define LANDLOCK_TRUNCATE_ABI 3
#define LANDLOCK_NETWORK_ABI  4
#define LANDLOCK_IOCTL_ABI    5
#define LANDLOCK_SCOPES_ABI   6
#define LANDLOCK_AUDIT_ABI    7

/* All rights for files that the ABI knows. */
uint64_t landlock_fs_rights(int abi);

/* landlock_mounts.c: what the entries of the new root allow, and nothing else. `domain` has its handled_fs. */
int landlock_derive(struct compilation *compilation, struct plan_landlock *domain,
                    struct error *error);

/* landlock_rules.c: isolation.landlock, as a domain of its own. */
int landlock_configured(struct compilation *compilation, int abi, struct plan_landlock *domain,
                        struct error *error);
