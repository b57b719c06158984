#include "runtime/supervisor/output_file.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "base/own.h"
#include "base/path.h"

static int check_kind(int fd, struct error *error)
{
        struct stat st;

        if (fstat(fd, &st) < 0)
                return error_set(error, errno, "fstat");
        if (S_ISREG(st.st_mode) || S_ISCHR(st.st_mode))
                return 0;
        return error_say(error, EINVAL, "it is neither a regular file nor a character device");
}

static int open_checked(const char *path, enum path_links links, struct error *error)
{
        cleanup_fd int fd = path_open(path, O_WRONLY | O_APPEND | O_CREAT | O_NONBLOCK | O_NOCTTY,
                                      0640, links, error);
        int r;

        if (fd == -ENXIO) /* a pipe that nobody reads, or a socket */
                return error_say(error, EINVAL,
                                 "it is neither a regular file nor a character device");
        if (fd < 0)
                return fd;
        r = check_kind(fd, error);
        return r < 0 ? r : TAKE_FD(fd);
}

int output_file_open(const char *path, enum path_links links, struct error *error)
{
        int fd = open_checked(path, links, error);

        if (fd >= 0)
                return fd;
        error_prefix(error, "opening %s for output", path);
        return error_remedy(error,
                            "name a file in an existing directory that clade may write to, or "
                            "leave the option out: the lines then go into clade's log");
}
