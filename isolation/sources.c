#include "isolation/sources.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include "base/own.h"
#include "isolation/mount_owners.h"

static int source_changed(const struct plan_source *source, struct error *error)
{
        error_say(error, ESTALE, "%s is not the file any more that the plan was made for",
                  source->path);
        return error_remedy(error, "it was replaced since the configuration was read: start again, "
                                   "and keep those who may replace it out of its directory");
}

static int source_open(const struct plan_source *source, struct error *error)
{
        cleanup_fd int tree = open_tree(AT_FDCWD, source->path,
                                        OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_RECURSIVE |
                                                AT_NO_AUTOMOUNT | AT_SYMLINK_NOFOLLOW);
        struct stat st;

        if (tree < 0) {
                error_set(error, errno, "open_tree of %s", source->path);
                if (errno == EACCES)
                        error_remedy(error,
                                     "the user that clade runs as cannot reach it: look at "
                                     "the directories on the way (namei -l %s)",
                                     source->path);
                return -error->code;
        }
        if (fstat(tree, &st) < 0)
                return error_set(error, errno, "fstat of %s", source->path);
        if (st.st_dev != source->device || st.st_ino != source->inode ||
            (st.st_mode & S_IFMT) != source->type ||
            ((S_ISCHR(st.st_mode) || S_ISBLK(st.st_mode)) && st.st_rdev != source->special))
                return source_changed(source, error);
        return TAKE_FD(tree);
}

int sources_open(const struct plan *plan, int *trees, struct error *error)
{
        for (size_t i = 0; i < plan->source_count; i++) {
                int r = source_open(&plan->sources[i], error);

                if (r < 0)
                        return r;
                trees[i] = r;
                if (plan->sources[i].owner_map == PLAN_OWNERS_KEPT)
                        continue;
                r = mount_owners_set(trees[i], &plan->sources[i], &plan->identity, error);
                if (r < 0)
                        return r;
        }
        return 0;
}
