/* Where clade's own parts are: the binaries that it execs, its modules, its templates.
 *
 * Installed, they are where the installation put them. Run from the build tree, they are those of that very
 * build, so that a developer never tests a mixture of two. Nothing of it comes from the environment: whoever
 * starts clade with other modules says so on the command line. */
#pragma once

#include "base/error.h"

struct paths {
        char *prototype; /* binaries, absolute */
        char *relay;
        char *discovery;
        char *modules;   /* a glob(7) pattern */
        char *templates; /* a directory: NAME/template.json */
        char *profiles;  /* a directory: default.json, strict.json, for seccomp */
};

/* For the program that runs now (/proc/self/exe). */
int paths_find(struct paths *paths, struct error *error);

/* For a program at `self`. */
int paths_for(const char *self, struct paths *paths, struct error *error);

void paths_finish(struct paths *paths);
