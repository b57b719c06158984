#include "isolation/mount_owners.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/own.h"
#include "isolation/idmap.h"

/* What the kernel reads as "on the disk" is the inner side of the namespace's map. */
static int open_namespace(pid_t pid, const struct plan_source *source,
                          const struct plan_identity *identity, struct error *error)
{
        struct plan_id_extent uids = {source->owner_uid, plan_host_uid(identity), 1};
        struct plan_id_extent gids = {source->owner_gid, plan_host_gid(identity), 1};
        const struct plan_identity owners = {
                .method = PLAN_IDS_DIRECT, .uid_map = {&uids, 1}, .gid_map = {&gids, 1}};
        char path[64];
        int fd, r = idmap_write(pid, &owners, error);

        if (r < 0)
                return r;
        snprintf(path, sizeof(path), "/proc/%d/ns/user", (int)pid);
        fd = open(path, O_RDONLY | O_CLOEXEC);
        return fd < 0 ? error_set(error, errno, "open of %s", path) : fd;
}

/* A user namespace with that map, which lives by its descriptor. The child does nothing but be there. */
static int make_namespace(const struct plan_source *source, const struct plan_identity *identity,
                          struct error *error)
{
        cleanup_fd int pidfd = -1;
        siginfo_t info;
        int fd, namespace;
        long pid;

        pid = syscall(SYS_clone, CLONE_NEWUSER | CLONE_PIDFD | SIGCHLD, NULL, &fd, NULL, NULL);
        if (pid < 0)
                return error_set(error, errno, "clone of a user namespace for owners");
        if (pid == 0) {
                prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
                for (;;)
                        pause();
        }
        pidfd = fd;
        namespace = open_namespace((pid_t)pid, source, identity, error);
        syscall(SYS_pidfd_send_signal, pidfd, SIGKILL, NULL, 0);
        while (waitid(P_PIDFD, (id_t)pidfd, &info, WEXITED) < 0 && errno == EINTR)
                ;
        return namespace;
}

int mount_owners_set(int tree, const struct plan_source *source,
                     const struct plan_identity *identity, struct error *error)
{
        unsigned flags = AT_EMPTY_PATH | (source->owner_map == PLAN_OWNERS_TREE ? AT_RECURSIVE : 0);
        cleanup_fd int namespace = make_namespace(source, identity, error);
        struct mount_attr attributes = {.attr_set = MOUNT_ATTR_IDMAP};

        if (namespace < 0)
                return namespace;
        attributes.userns_fd = (uint64_t) namespace;
        if (mount_setattr(tree, "", flags, &attributes, sizeof(attributes)) == 0)
                return 0;
        error_set(error, errno, "mount_setattr of %s with MOUNT_ATTR_IDMAP", source->path);
        switch (error->code) {
        case EINVAL:
                return error_remedy(error,
                                    "the kernel cannot map owners on this file system%s: ext4, xfs "
                                    "and btrfs can from 5.15 on, tmpfs from 6.3; move the "
                                    "directory, or give its files to the application's id",
                                    source->owner_map == PLAN_OWNERS_TREE
                                            ? ", or on one mounted below it (ridmap)"
                                            : "");
        case EPERM:
                return error_remedy(error, "only root of the namespace that the file system was "
                                           "mounted in may map owners (and of a mount that is "
                                           "mapped already nobody): give the files to the "
                                           "application's id instead");
        default:
                return -error->code;
        }
}

void mount_owners_describe(const struct plan_source *source, const struct plan_identity *identity,
                           const struct isolation_report *report)
{
        report_call(report, "mount_setattr",
                    "\"%s\"%s, MOUNT_ATTR_IDMAP, user %u on the disk is %u, group %u is %u",
                    source->path, source->owner_map == PLAN_OWNERS_TREE ? ", AT_RECURSIVE" : "",
                    source->owner_uid, plan_host_uid(identity), source->owner_gid,
                    plan_host_gid(identity));
}
