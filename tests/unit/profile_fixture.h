/* Profiles for tests of seccomp programs: clade's own, as installed, and others from a text. */
#pragma once

#include "isolation/seccomp/compiler.h"

/* "default" or "strict"; the caller finishes it. */
struct seccomp_profile profile_own(const char *name);

/* From JSON that must be good. */
struct seccomp_profile profile_from(const char *json);
