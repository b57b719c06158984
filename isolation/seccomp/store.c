#include "isolation/seccomp/store.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/own.h"
#include "base/path.h"

#define MAGIC     0x636c6273u /* changes with the format */
#define FILE_MAX  (4u << 20)  /* bytes; a set has some 150 000 */
#define FILES_MAX 64          /* the oldest go: each kernel, and each clade, leaves some behind */
#define NAME_SIZE 32

#define KEY_DIGITS 16 /* that a name of ours begins with */

/* FNV-1a. Against accidents: whoever could write here on purpose could as well replace clade. */
static uint64_t checksum(const void *data, size_t size)
{
        const unsigned char *at = data;
        uint64_t sum = 0xcbf29ce484222325;

        for (size_t i = 0; i < size; i++)
                sum = (sum ^ at[i]) * 0x100000001b3;
        return sum;
}

static void file_name(const struct store_key *key, char name[NAME_SIZE])
{
        snprintf(name, NAME_SIZE, "%016" PRIx64, checksum(key->bytes, key->size));
}

static void filter_fields(struct codec *codec, struct plan_filter *filter)
{
        size_t size = filter->length * sizeof(*filter->program);
        void *program = filter->program;

        codec_string(codec, &filter->name);
        codec_string(codec, &filter->text);
        codec_u32(codec, &filter->flags);
        codec_bytes(codec, &program, &size);
        filter->program = program;
        filter->length = size / sizeof(*filter->program);
        if (codec->error == 0 &&
            (!filter->name || !filter->text || size % sizeof(*filter->program) ||
             !seccomp_program_valid(filter->program, filter->length)))
                codec->error = -EBADMSG;
}

static void set_fields(struct codec *codec, const struct store_key *key, struct seccomp_set *set)
{
        uint32_t magic = MAGIC;
        void *bytes = key->bytes;
        size_t size = key->size;

        codec_u32(codec, &magic);
        codec_bytes(codec, &bytes, &size);
        if (codec->error == 0 &&
            (magic != MAGIC || size != key->size || memcmp(bytes, key->bytes, size) != 0))
                codec->error = -EBADMSG;
        filter_fields(codec, &set->profile);
        filter_fields(codec, &set->guards);
        filter_fields(codec, &set->difference);
}

static int filter_copy(const struct plan_filter *from, struct plan_filter *to)
{
        *to = (struct plan_filter){
                .name = strdup(from->name),
                .text = strdup(from->text),
                .program = reallocarray(NULL, from->length, sizeof(*from->program)),
                .length = from->length,
                .flags = from->flags,
        };
        if (!to->name || !to->text || !to->program)
                return -ENOMEM;
        memcpy(to->program, from->program, from->length * sizeof(*from->program));
        return 0;
}

static int set_copy(const struct seccomp_set *from, struct seccomp_set *ret_set)
{
        struct seccomp_set set = {.profile = {.name = NULL}};

        if (filter_copy(&from->profile, &set.profile) < 0 ||
            filter_copy(&from->guards, &set.guards) < 0 ||
            filter_copy(&from->difference, &set.difference) < 0) {
                seccomp_filter_finish(&set.profile);
                seccomp_filter_finish(&set.guards);
                seccomp_filter_finish(&set.difference);
                return -ENOMEM;
        }
        *ret_set = set;
        return 0;
}

/* Ours, and nobody else's to write to. */
static bool believable(int fd, mode_t type)
{
        struct stat st;

        return fstat(fd, &st) == 0 && (st.st_mode & S_IFMT) == type && st.st_uid == geteuid() &&
               !(st.st_mode & (S_IWGRP | S_IWOTH));
}

int store_read(int directory, const struct store_key *key, struct seccomp_set *ret_set)
{
        struct codec_memory memory = {.base = NULL};
        struct seccomp_set set = {.profile = {.name = NULL}};
        cleanup_free char *data = NULL;
        cleanup_fd int fd = -1;
        char name[NAME_SIZE];
        struct codec codec;
        uint64_t sum;
        size_t size;
        int r;

        file_name(key, name);
        fd = openat(directory, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
        if (fd < 0)
                return -errno;
        if (!believable(fd, S_IFREG))
                return -EBADMSG;
        r = fd_read_file(fd, FILE_MAX, &data, &size);
        if (r < 0)
                return r;
        if (size < sizeof(sum))
                return -EBADMSG;
        memcpy(&sum, data, sizeof(sum));
        if (sum != checksum(data + sizeof(sum), size - sizeof(sum)))
                return -EBADMSG;
        r = codec_read_begin(&codec, &memory, data + sizeof(sum), size - sizeof(sum));
        if (r < 0)
                return r;
        set_fields(&codec, key, &set);
        r = codec_read_end(&codec);
        if (r == 0)
                r = set_copy(&set, ret_set);
        codec_memory_finish(&memory);
        return r;
}

/* Makes room: removes the file that was written first, when there are too many; of two programs of ours
 * that do so at the same time both may. */
static void forget_oldest(int directory)
{
        cleanup_dir DIR *dir = NULL;
        char oldest[NAME_MAX + 1] = "";
        struct timespec when = {.tv_sec = 0};
        unsigned count = 0;
        int fd = openat(directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

        dir = fd < 0 ? NULL : fdopendir(fd);
        if (!dir) {
                fd_close(fd);
                return;
        }
        for (struct dirent *at = readdir(dir); at; at = readdir(dir)) {
                struct stat st;

                if (strspn(at->d_name, "0123456789abcdef") != KEY_DIGITS ||
                    fstatat(directory, at->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0 ||
                    !S_ISREG(st.st_mode))
                        continue;
                if (count++ > 0 &&
                    (st.st_mtim.tv_sec > when.tv_sec ||
                     (st.st_mtim.tv_sec == when.tv_sec && st.st_mtim.tv_nsec >= when.tv_nsec)))
                        continue;
                when = st.st_mtim;
                snprintf(oldest, sizeof(oldest), "%s", at->d_name);
        }
        if (count >= FILES_MAX)
                unlinkat(directory, oldest, 0);
}

static int write_file(int directory, const char *name, const char *image, size_t size)
{
        uint64_t sum = checksum(image, size);
        cleanup_fd int fd = -1;
        int r;

        fd = openat(directory, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
        if (fd < 0)
                return -errno;
        r = fd_write_full(fd, &sum, sizeof(sum));
        return r < 0 ? r : fd_write_full(fd, image, size);
}

int store_write(int directory, const struct store_key *key, const struct seccomp_set *set)
{
        cleanup_free char *image = NULL;
        char name[NAME_SIZE], fresh[NAME_SIZE + 16];
        struct seccomp_set copy = *set; /* the codec takes what it may fill */
        struct codec codec;
        size_t size;
        int r;

        codec_write_begin(&codec);
        set_fields(&codec, key, &copy);
        r = codec_write_end(&codec, &image, &size);
        if (r < 0)
                return r;
        forget_oldest(directory);
        file_name(key, name);
        snprintf(fresh, sizeof(fresh), "%s.%d", name, (int)getpid());
        unlinkat(directory, fresh, 0); /* of a dead one that had our number */
        r = write_file(directory, fresh, image, size);
        if (r == 0 && renameat(directory, fresh, directory, name) < 0)
                r = -errno;
        if (r < 0 && r != -EEXIST)
                unlinkat(directory, fresh, 0);
        return r;
}

/* Whatever is missing of the path is made: 0755 like any directory, and the last one for ourselves. */
static int make_directories(const char *path)
{
        cleanup_free char *copy = strdup(path);

        if (!copy)
                return -ENOMEM;
        for (char *slash = strchr(copy + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
                *slash = '\0';
                if (mkdir(copy, 0755) < 0 && errno != EEXIST)
                        return -errno;
                *slash = '/';
        }
        return mkdir(copy, 0700) < 0 && errno != EEXIST ? -errno : 0;
}

/* Not by links of others: a user's home can lie where others make links, as in /tmp. */
static int open_directory(const char *path)
{
        struct error ignored = ERROR_INIT;

        return path_open(path, O_RDONLY | O_DIRECTORY, 0, PATH_LINKS_OF_OURS, &ignored);
}

int store_open(const char *path)
{
        cleanup_fd int fd = open_directory(path);
        int r;

        if (fd == -ENOENT) {
                r = make_directories(path);
                if (r < 0)
                        return r;
                fd = open_directory(path);
        }
        if (fd < 0)
                return fd;
        return believable(fd, S_IFDIR) ? TAKE_FD(fd) : -EPERM;
}
