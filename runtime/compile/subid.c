#include "runtime/compile/subid.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/own.h"
#include "runtime/compile/subid_service.h"

#define SUBID_FILE_MAX (8u << 20) /* bytes */
#define ID_END         UINT32_MAX /* (uid_t)-1 is no id: setuid(2) takes it as "leave alone" */

/* A decimal number that is all of `text`. */
static bool parse_id(const char *text, uint64_t *ret_value)
{
        char *end;

        if (*text < '0' || *text > '9')
                return false;
        errno = 0;
        *ret_value = strtoull(text, &end, 10);
        return errno == 0 && *end == '\0' && *ret_value <= ID_END;
}

static bool is_user(const char *owner, const char *name, uid_t uid)
{
        uint64_t number;

        if (name && strcmp(owner, name) == 0)
                return true;
        return parse_id(owner, &number) && number == uid;
}

/* A line's owner and range. False for what is no grant, or one of ids that nobody gets. */
static bool parse_grant(char *line, const char **ret_owner, struct subid_range *ret_range)
{
        char *rest = line;
        const char *owner = strsep(&rest, ":");
        const char *first_text = strsep(&rest, ":");
        const char *count_text = rest;
        uint64_t first, count;

        if (!first_text || !count_text || !parse_id(first_text, &first) ||
            !parse_id(count_text, &count))
                return false;
        if (first == 0 || first >= ID_END || count == 0)
                return false;
        if (count > ID_END - first)
                count = ID_END - first;
        *ret_owner = owner;
        *ret_range = (struct subid_range){(uint32_t)first, (uint32_t)count};
        return true;
}

/* The next line that is a grant; false after the last. Cuts up what it goes through. */
static bool next_grant(char **rest, const char **ret_owner, struct subid_range *ret_range)
{
        while (*rest)
                if (parse_grant(strsep(rest, "\n"), ret_owner, ret_range))
                        return true;
        return false;
}

static int read_file(const char *file, char **ret_text, struct error *error)
{
        cleanup_fd int fd = open(file, O_RDONLY | O_CLOEXEC);
        size_t size;
        int r;

        *ret_text = NULL;
        if (fd < 0 && errno == ENOENT)
                return 0;
        if (fd < 0)
                return error_set(error, errno, "open of %s", file);
        r = fd_read_file(fd, SUBID_FILE_MAX, ret_text, &size);
        return r < 0 ? error_set(error, -r, "reading %s", file) : 0;
}

int subid_grants_add(struct subid_grants *grants, struct subid_range range, struct error *error)
{
        if (grants->count == grants->room) {
                size_t room = grants->room ? grants->room * 2 : 8;
                struct subid_range *grown = reallocarray(grants->list, room, sizeof(*grown));

                if (!grown)
                        return error_set(error, ENOMEM, "listing subordinate ids");
                grants->list = grown;
                grants->room = room;
        }
        grants->list[grants->count++] = range;
        return 0;
}

void subid_grants_finish(struct subid_grants *grants)
{
        free(grants->list);
        *grants = (struct subid_grants){.count = 0};
}

int subid_find(const char *file, const char *name, uid_t uid, struct subid_grants *grants,
               struct error *error)
{
        cleanup_free char *text = NULL;
        int r = read_file(file, &text, error);
        char *rest = text;
        struct subid_range range;
        const char *owner;

        *grants = (struct subid_grants){.count = 0};
        while (r == 0 && next_grant(&rest, &owner, &range))
                if (is_user(owner, name, uid))
                        r = subid_grants_add(grants, range, error);
        return r;
}

int subid_all(const char *file, enum id_kind kind, struct id_owners *owners, struct error *error)
{
        cleanup_free char *text = NULL;
        int r = read_file(file, &text, error);
        char *rest = text;
        struct subid_range range;
        const char *owner;

        while (r == 0 && next_grant(&rest, &owner, &range)) {
                char words[64];

                snprintf(words, sizeof(words), "the subordinate %s of %s",
                         kind == ID_USERS ? "users" : "groups", owner);
                r = id_owners_add(owners, range.first, range.count, words, error);
        }
        return r;
}

struct subid_range subid_largest(const struct subid_grants *grants)
{
        struct subid_range largest = {0, 0};

        for (size_t i = 0; i < grants->count; i++)
                if (grants->list[i].count > largest.count)
                        largest = grants->list[i];
        return largest;
}

bool subid_covers(const struct subid_grants *grants, uint32_t first, uint32_t count)
{
        uint64_t at = first, end = (uint64_t)first + count;
        bool moved = true;

        while (at < end && moved) {
                moved = false;
                for (size_t i = 0; i < grants->count; i++) {
                        const struct subid_range *range = &grants->list[i];

                        if (at < range->first || at >= (uint64_t)range->first + range->count)
                                continue;
                        at = (uint64_t)range->first + range->count;
                        moved = true;
                }
        }
        return at >= end;
}

/* One line of a map, "INSIDE OUTSIDE COUNT" padded with spaces. */
static bool parse_extent(const char *line, uint64_t numbers[3])
{
        char *end;

        for (size_t i = 0; i < 3; i++, line = end) {
                numbers[i] = strtoull(line, &end, 10);
                if (end == line)
                        return false;
        }
        return true;
}

/* How far beyond `id` a line reaches; 0 when it does not contain it. */
static uint64_t reach(const char *line, uint64_t id)
{
        uint64_t numbers[3];

        if (!parse_extent(line, numbers))
                return 0;
        return id >= numbers[0] && id - numbers[0] < numbers[2] ? numbers[0] + numbers[2] : 0;
}

int subid_mapped(const char *map, uint32_t first, uint32_t count, bool *ret_mapped,
                 struct error *error)
{
        cleanup_file FILE *file = fopen(map, "re");
        uint64_t at = first, end = (uint64_t)first + count;
        bool moved = true;
        char line[128];

        if (!file)
                return error_set(error, errno, "open of %s", map);
        /* The kernel keeps at most 340 lines, in the order in which they were written. */
        while (at < end && moved) {
                moved = false;
                rewind(file);
                while (at < end && fgets(line, sizeof(line), file)) {
                        uint64_t next = reach(line, at);

                        if (next > at) {
                                at = next;
                                moved = true;
                        }
                }
        }
        *ret_mapped = at >= end;
        return 0;
}

int subid_root(const char *map, int64_t *ret_id, struct error *error)
{
        cleanup_file FILE *file = fopen(map, "re");
        uint64_t numbers[3];
        char line[128];

        if (!file)
                return error_set(error, errno, "open of %s", map);
        *ret_id = -1;
        while (*ret_id < 0 && fgets(line, sizeof(line), file))
                if (parse_extent(line, numbers) && numbers[1] == 0)
                        *ret_id = (int64_t)numbers[0];
        return 0;
}

static bool is_privileged(const char *path)
{
        struct statvfs system;
        struct stat st;

        if (stat(path, &st) < 0 || !S_ISREG(st.st_mode) || access(path, X_OK) < 0)
                return false;
        if (statvfs(path, &system) < 0 || (system.f_flag & ST_NOSUID))
                return false;
        return ((st.st_mode & S_ISUID) && st.st_uid == 0) ||
               getxattr(path, "security.capability", NULL, 0) > 0;
}

/* The first of that name in PATH counts, as it does for whoever runs it. */
static bool find_privileged(const char *program)
{
        const char *path = getenv("PATH");
        cleanup_free char *copy = strdup(path ? path : "/usr/bin:/bin");
        char *rest = copy;

        while (rest) {
                const char *directory = strsep(&rest, ":");
                char file[PATH_MAX];

                snprintf(file, sizeof(file), "%s/%s", directory[0] ? directory : ".", program);
                if (access(file, X_OK) == 0)
                        return is_privileged(file);
        }
        return false;
}

bool subid_helpers_usable(void)
{
        return prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 0 && find_privileged("newuidmap") &&
               find_privileged("newgidmap");
}
