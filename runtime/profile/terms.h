/* The words of a profile that stand for machines, capabilities and kernels. */
#pragma once

#include "isolation/seccomp/profile.h"
#include "runtime/config/reader.h"

/* member: struct seccomp_terms */
void read_includes(struct reader *reader, const struct node *node, void *member, const void *rule);
void read_excludes(struct reader *reader, const struct node *node, void *member, const void *rule);

/* "architectures" and "archMap" at the top: this machine's must be among them. */
void read_architectures(struct reader *reader, const struct node *node, void *member,
                        const void *rule);
void read_architecture_map(struct reader *reader, const struct node *node, void *member,
                           const void *rule);

/* Which of `count` names a string is; -1 after a fault, which offers the nearest. `what` is "an action". */
int read_word(struct reader *reader, const struct node *node, const char *what, const char *example,
              const char *const *names, size_t count);
