#include "runtime/compile/id_store.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/own.h"

#define FILE_NAME  "ids"
#define NEW_NAME   "ids.new"
#define FILE_MAX   (64u << 20) /* bytes: far beyond a full default range */
#define LOCK_TRIES 100

int id_store_add(struct id_registry *registry, const uint32_t first[ID_KINDS], uint32_t count,
                 const char *file, const char *application, struct error *error)
{
        cleanup_free char *own_file = strdup(file), *own_application = strdup(application);

        if (registry->count == registry->room) {
                size_t room = registry->room ? registry->room * 2 : 64;
                struct id_entry *grown = reallocarray(registry->entries, room, sizeof(*grown));

                if (!grown)
                        return error_set(error, ENOMEM, "remembering ids");
                registry->entries = grown;
                registry->room = room;
        }
        if (!own_file || !own_application)
                return error_set(error, ENOMEM, "remembering ids");
        registry->entries[registry->count++] = (struct id_entry){
                .first = {first[ID_USERS], first[ID_GROUPS]},
                .count = count,
                .file = TAKE_PTR(own_file),
                .application = TAKE_PTR(own_application),
        };
        return 0;
}

static void write_escaped(FILE *stream, const char *text)
{
        for (; *text; text++) {
                if (*text == '\t')
                        fputs("\\t", stream);
                else if (*text == '\n')
                        fputs("\\n", stream);
                else if (*text == '\\')
                        fputs("\\\\", stream);
                else
                        fputc(*text, stream);
        }
}

/* In place. False for an escape that we never write, and for nothing at all. */
static bool unescape(char *text)
{
        char *to = text;

        if (!text || !*text)
                return false;
        for (const char *from = text; *from; from++, to++) {
                *to = *from;
                if (*from != '\\')
                        continue;
                from++;
                if (*from == 't')
                        *to = '\t';
                else if (*from == 'n')
                        *to = '\n';
                else if (*from != '\\')
                        return false;
        }
        *to = '\0';
        return true;
}

static void write_first(FILE *stream, uint32_t id)
{
        if (id)
                fprintf(stream, "%u\t", id);
        else
                fputs("-\t", stream);
}

/* The lines of some entries as they stand in the file. The caller frees *ret_text. */
static int format_lines(const struct id_entry *entries, size_t count, char **ret_text,
                        size_t *ret_size, struct error *error)
{
        cleanup_free char *text = NULL;
        FILE *stream = open_memstream(&text, ret_size);

        if (!stream)
                return error_set(error, ENOMEM, "writing ids");
        for (size_t i = 0; i < count; i++) {
                write_first(stream, entries[i].first[ID_USERS]);
                write_first(stream, entries[i].first[ID_GROUPS]);
                fprintf(stream, "%u\t", entries[i].count);
                write_escaped(stream, entries[i].file);
                fputc('\t', stream);
                write_escaped(stream, entries[i].application);
                fputc('\n', stream);
        }
        if (fclose(stream) != 0)
                return error_set(error, ENOMEM, "writing ids");
        *ret_text = TAKE_PTR(text);
        return 0;
}

static int write_failed(const struct id_registry *registry, int code, struct error *error)
{
        error_set(error, code, "writing %s/" FILE_NAME, registry->directory);
        return error_remedy(error,
                            "an application starts only when its id is on the disk; make room "
                            "there, or name another settings.state_directory");
}

int id_store_append(struct id_registry *registry, size_t from, struct error *error)
{
        cleanup_free char *text = NULL;
        size_t size;
        int r = format_lines(registry->entries + from, registry->count - from, &text, &size, error);

        if (r < 0)
                return r;
        /* Behind the last complete line: what a crash left half written goes. */
        if (ftruncate(registry->fd, (off_t)registry->size) < 0 ||
            lseek(registry->fd, (off_t)registry->size, SEEK_SET) < 0)
                return write_failed(registry, errno, error);
        r = fd_write_full(registry->fd, text, size);
        if (r < 0)
                return write_failed(registry, -r, error);
        /* The first line is also the time to make sure of the file's own name. */
        if (fsync(registry->fd) < 0 || (registry->size == 0 && fsync(registry->directory_fd) < 0))
                return write_failed(registry, errno, error);
        registry->size += size;
        return 0;
}

int id_store_rewrite(struct id_registry *registry, struct error *error)
{
        cleanup_free char *text = NULL;
        cleanup_fd int fd = -1;
        size_t size;
        int r = format_lines(registry->entries, registry->count, &text, &size, error);

        if (r < 0)
                return r;
        /* We hold the lock of the old file, so a leftover is a dead writer's. */
        if (unlinkat(registry->directory_fd, NEW_NAME, 0) < 0 && errno != ENOENT)
                return write_failed(registry, errno, error);
        fd = openat(registry->directory_fd, NEW_NAME,
                    O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
        if (fd < 0)
                return write_failed(registry, errno, error);
        r = fd_write_full(fd, text, size);
        if (r < 0)
                return write_failed(registry, -r, error);
        /* Locked before it has the name: whoever opens it waits for us as with the old one. */
        if (fsync(fd) < 0 || flock(fd, LOCK_EX) < 0 ||
            renameat(registry->directory_fd, NEW_NAME, registry->directory_fd, FILE_NAME) < 0 ||
            fsync(registry->directory_fd) < 0)
                return write_failed(registry, errno, error);
        fd_close(registry->fd);
        registry->fd = TAKE_FD(fd);
        registry->size = size;
        return 0;
}

/* A number of the file's, from 1 on, or "-" where there may be none. */
static bool parse_number(const char *text, bool none, uint32_t *ret_number)
{
        unsigned long number;
        char *end;

        *ret_number = 0;
        if (none && text && strcmp(text, "-") == 0)
                return true;
        if (!text || *text < '1' || *text > '9')
                return false;
        errno = 0;
        number = strtoul(text, &end, 10);
        *ret_number = (uint32_t)number;
        return errno == 0 && *end == '\0' && number < UINT32_MAX;
}

static int parse_line(struct id_registry *registry, char *line, struct error *error)
{
        uint32_t first[ID_KINDS], count;
        char *rest = line, *file;

        for (size_t kind = 0; kind < ID_KINDS; kind++)
                if (!parse_number(strsep(&rest, "\t"), true, &first[kind]))
                        return error_say(error, EINVAL,
                                         "it does not start with two ids, or \"-\", and tabs");
        if (!parse_number(strsep(&rest, "\t"), false, &count) ||
            (!first[ID_USERS] && !first[ID_GROUPS]) || count > UINT32_MAX - first[ID_USERS] ||
            count > UINT32_MAX - first[ID_GROUPS])
                return error_say(error, EINVAL, "its number of ids makes no sense");
        file = strsep(&rest, "\t");
        if (!rest || strchr(rest, '\t') || !unescape(file) || file[0] != '/' || !unescape(rest))
                return error_say(error, EINVAL,
                                 "a path and an application were expected behind "
                                 "the ids");
        return id_store_add(registry, first, count, file, rest, error);
}

/* An entry by one kind of its ids. */
struct held {
        uint32_t first;
        const struct id_entry *entry;
};

static int compare_held(const void *a, const void *b)
{
        const struct held *left = a, *right = b;

        if (left->first != right->first)
                return left->first > right->first ? 1 : -1;
        return (left->entry > right->entry) - (left->entry < right->entry);
}

static bool same_application(const struct id_entry *a, const struct id_entry *b)
{
        return strcmp(a->file, b->file) == 0 && strcmp(a->application, b->application) == 0;
}

/* Each entry is a line, so an entry's place is its line's number less one. */
static int refuse_twice(const struct id_registry *registry, const struct id_entry *a,
                        const struct id_entry *b, uint32_t id, struct error *error)
{
        const struct id_entry *earlier = a < b ? a : b, *later = a < b ? b : a;

        return error_say(error, EINVAL,
                         "%s/" FILE_NAME " line %td: id %u has an owner already, in line %td",
                         registry->directory, later - registry->entries + 1, id,
                         earlier - registry->entries + 1);
}

/* By their first ids, it is enough to compare each with the one before it that reaches farthest: of two that
 * are not the same application's, both would have the id in question. */
static int check_kind(const struct id_registry *registry, enum id_kind kind, struct held *held,
                      struct error *error)
{
        const struct id_entry *farthest = NULL;
        size_t count = 0;

        for (size_t i = 0; i < registry->count; i++)
                if (registry->entries[i].first[kind])
                        held[count++] = (struct held){registry->entries[i].first[kind],
                                                      &registry->entries[i]};
        qsort(held, count, sizeof(*held), compare_held);
        for (size_t i = 0; i < count; i++) {
                const struct id_entry *entry = held[i].entry;
                uint32_t first = held[i].first;

                if (farthest && first - farthest->first[kind] < farthest->count &&
                    !same_application(farthest, entry))
                        return refuse_twice(registry, farthest, entry, first, error);
                if (!farthest || (uint64_t)first + entry->count >
                                         (uint64_t)farthest->first[kind] + farthest->count)
                        farthest = entry;
        }
        return 0;
}

static int check_unique(const struct id_registry *registry, struct error *error)
{
        cleanup_free struct held *held = calloc(registry->count + 1, sizeof(*held));
        int r = 0;

        if (!held)
                return error_set(error, ENOMEM, "reading ids");
        for (unsigned kind = 0; r == 0 && kind < ID_KINDS; kind++)
                r = check_kind(registry, kind, held, error);
        return r;
}

static int distrust(struct error *error)
{
        return error_remedy(error,
                            "correct or remove that line; nothing was changed, and nothing starts "
                            "before: a wrong id would open one application's files to another");
}

static int load(struct id_registry *registry, struct error *error)
{
        cleanup_free char *text = NULL;
        char *at, *newline;
        unsigned number = 0;
        size_t size;
        int r = fd_read_file(registry->fd, FILE_MAX, &text, &size);

        if (r < 0)
                return error_set(error, -r, "reading %s/" FILE_NAME, registry->directory);
        if (memchr(text, '\0', size)) {
                error_say(error, EINVAL, "%s/" FILE_NAME " has NUL bytes in it",
                          registry->directory);
                return error_remedy(error,
                                    "restore the file from a backup; see who owns which files "
                                    "before you remove it");
        }
        for (at = text; (newline = strchr(at, '\n')); at = newline + 1) {
                *newline = '\0';
                number++;
                r = parse_line(registry, at, error);
                if (r < 0) {
                        error_prefix(error, "%s/" FILE_NAME " line %u", registry->directory,
                                     number);
                        return distrust(error);
                }
        }
        registry->size = (size_t)(at - text);
        r = check_unique(registry, error);
        return r < 0 ? distrust(error) : 0;
}

/* Only the owner, who is us, can have written what we are going to believe. */
static int check_trusted(const struct id_registry *registry, int fd, mode_t type, const char *name,
                         struct error *error)
{
        struct stat st;

        if (fstat(fd, &st) < 0)
                return error_set(error, errno, "fstat of %s%s", registry->directory, name);
        if ((st.st_mode & S_IFMT) != type) {
                error_say(error, EINVAL, "%s%s is not a %s", registry->directory, name,
                          type == S_IFDIR ? "directory" : "regular file");
                return error_remedy(error, "remove it, or name another settings.state_directory");
        }
        if (st.st_uid == geteuid() && !(st.st_mode & 022))
                return 0;
        error_say(error, EPERM,
                  "%s%s has owner %u and mode %04o, so others can change who owns what",
                  registry->directory, name, st.st_uid, st.st_mode & 07777);
        return error_remedy(error,
                            "chown %u %s%s && chmod go-w %s%s, once you know who wrote there",
                            geteuid(), registry->directory, name, registry->directory, name);
}

static int open_directory(struct id_registry *registry, bool make, struct error *error)
{
        const int flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;

        registry->directory_fd = open(registry->directory, flags);
        if (registry->directory_fd < 0 && errno == ENOENT && make) {
                if (mkdir(registry->directory, 0755) < 0 && errno != EEXIST) {
                        error_set(error, errno, "mkdir of %s", registry->directory);
                        return error_remedy(error, "create the directory, or name another one in "
                                                   "settings.state_directory");
                }
                registry->directory_fd = open(registry->directory, flags);
        }
        if (registry->directory_fd < 0) {
                error_set(error, errno, "open of the directory %s", registry->directory);
                return error_remedy(error, "it must be a real directory, not a symbolic link; name "
                                           "another one in settings.state_directory");
        }
        return check_trusted(registry, registry->directory_fd, S_IFDIR, "", error);
}

static int open_file(struct id_registry *registry, bool remember, struct error *error)
{
        int flags = O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK | (remember ? O_RDWR | O_CREAT : O_RDONLY);

        registry->fd = openat(registry->directory_fd, FILE_NAME, flags, 0600);
        if (registry->fd < 0) {
                error_set(error, errno, "open of %s/" FILE_NAME, registry->directory);
                return error_remedy(error,
                                    "it must be a regular file of yours, not a symbolic link");
        }
        return check_trusted(registry, registry->fd, S_IFREG, "/" FILE_NAME, error);
}

/* Waits for the lock. Somebody who held it may have put a new file in the place of ours: again, then. */
static int lock_file(struct id_registry *registry, struct error *error)
{
        for (int i = 0; i < LOCK_TRIES; i++) {
                struct stat ours, named;
                int r;

                while (flock(registry->fd, LOCK_EX) < 0)
                        if (errno != EINTR)
                                return error_set(error, errno, "lock of %s/" FILE_NAME,
                                                 registry->directory);
                if (fstat(registry->fd, &ours) < 0)
                        return error_set(error, errno, "fstat of %s/" FILE_NAME,
                                         registry->directory);
                if (fstatat(registry->directory_fd, FILE_NAME, &named, AT_SYMLINK_NOFOLLOW) == 0 &&
                    named.st_ino == ours.st_ino && named.st_dev == ours.st_dev)
                        return 0;
                fd_close(TAKE_FD(registry->fd));
                r = open_file(registry, true, error);
                if (r < 0)
                        return r;
        }
        return error_say(error, EBUSY, "%s/" FILE_NAME " is being replaced again and again",
                         registry->directory);
}

static bool may_be_missing(int code)
{
        return code == -ENOENT || code == -EACCES || code == -ENOTDIR;
}

int id_registry_open(struct id_registry *registry, const char *directory, bool remember,
                     struct error *error)
{
        int r;

        *registry = (struct id_registry){.directory_fd = -1, .fd = -1};
        registry->directory = strdup(directory);
        if (!registry->directory)
                return error_set(error, ENOMEM, "opening %s", directory);
        r = open_directory(registry, remember, error);
        if (r == 0)
                r = open_file(registry, remember, error);
        if (r < 0 && !remember && may_be_missing(r)) {
                *error = (struct error)ERROR_INIT;
                return 0;
        }
        if (r == 0 && remember)
                r = lock_file(registry, error);
        if (r == 0)
                r = load(registry, error);
        if (!remember)
                fd_close(TAKE_FD(registry->fd));
        return r;
}

void id_registry_finish(struct id_registry *registry)
{
        for (size_t i = 0; i < registry->count; i++) {
                free(registry->entries[i].file);
                free(registry->entries[i].application);
        }
        free(registry->entries);
        free(registry->directory);
        fd_close(registry->fd);
        fd_close(registry->directory_fd);
        *registry = (struct id_registry){.directory_fd = -1, .fd = -1};
}
