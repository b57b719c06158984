#include "scan.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* AddressSanitizer's books, and what it keeps in reserve: no data of ours is in there. */
#define SHADOW_SIZE  (16ull << 30)
#define RESERVE_SIZE (256ull << 20)

#define NEEDLE_MAX 128 /* bytes */
#define AROUND     64  /* bytes that are told before and after what was found */

struct needle {
        unsigned char veiled[NEEDLE_MAX];
        size_t length;
};

struct mapping {
        uint64_t start, end;
        const char *line; /* of maps */
};

static int needle_read(struct needle *needle, const char *digits)
{
        size_t count = strlen(digits);

        *needle = (struct needle){.length = count / 2};
        if (count == 0 || count % 2 || count / 2 > NEEDLE_MAX)
                goto invalid;
        for (size_t i = 0; i < needle->length; i++)
                if (sscanf(digits + 2 * i, "%2hhx", &needle->veiled[i]) != 1)
                        goto invalid;
        return 0;
invalid:
        errno = EINVAL;
        return -1;
}

/* Byte by byte: memcmp() would load much at once into registers, which may be written down anywhere. */
static bool needle_at(const struct needle *needle, const unsigned char *at)
{
        for (size_t i = 0; i < needle->length; i++)
                if ((at[i] ^ needle->veiled[i]) != 0xff)
                        return false;
        return true;
}

/* In digits, or it would be found there as well. */
static void tell_place(struct scan *scan, uint64_t address, const unsigned char *bytes,
                       size_t length, const struct mapping *mapping)
{
        size_t at = strlen(scan->places);
        size_t room = sizeof(scan->places) - at;

        if (32 + 2 * length + strlen(mapping->line) > room)
                return;
        at += (size_t)snprintf(scan->places + at, room, "%" PRIx64 " ", address);
        for (size_t i = 0; i < length; i++)
                at += (size_t)snprintf(scan->places + at, 3, "%02x", bytes[i]);
        snprintf(scan->places + at, sizeof(scan->places) - at, " %s\n", mapping->line);
}

static void scan_mapping(int memory, const struct mapping *mapping, const struct needle *needle,
                         struct scan *scan)
{
        static unsigned char window[1 << 20];
        size_t length = needle->length;

        for (uint64_t at = mapping->start; at < mapping->end;) {
                uint64_t left = mapping->end - at;
                ssize_t got = pread(memory, window, left < sizeof(window) ? left : sizeof(window),
                                    (off_t)at);
                size_t n = got > 0 ? (size_t)got : 0;

                for (size_t i = 0; i + length <= n; i++) {
                        size_t before = i < AROUND ? i : AROUND;
                        size_t after = n - i - length < AROUND ? n - i - length : AROUND;

                        if (!needle_at(needle, window + i) ||
                            (at + i + length > (uintptr_t)window &&
                             at + i < (uintptr_t)window + sizeof(window)))
                                continue;
                        scan->found++;
                        tell_place(scan, at + i, window + i - before, before + length + after,
                                   mapping);
                }
                scan->scanned += n;
                if (n == 0) /* a guard page, or [vvar] */
                        at += 4096;
                else if (n < left && n >= length) /* what lies across the border is still to come */
                        at += n - (length - 1);
                else
                        at += n;
        }
}

int scan_memory(const char *veiled, struct scan *ret)
{
        struct needle needle;
        FILE *maps = NULL;
        char line[512];
        int memory, code;

        *ret = (struct scan){.found = 0};
        if (needle_read(&needle, veiled) < 0)
                return -1;
        memory = open("/proc/self/mem", O_RDONLY | O_CLOEXEC);
        if (memory >= 0)
                maps = fopen("/proc/self/maps", "re");
        if (!maps) {
                code = errno;
                if (memory >= 0)
                        close(memory);
                errno = code;
                return -1;
        }
        while (fgets(line, sizeof(line), maps)) {
                struct mapping mapping = {.line = line};
                char readable;

                line[strcspn(line, "\n")] = '\0';
                if (sscanf(line, "%" SCNx64 "-%" SCNx64 " %c", &mapping.start, &mapping.end,
                           &readable) != 3 ||
                    mapping.end - mapping.start > SHADOW_SIZE ||
                    (readable == '-' && mapping.end - mapping.start > RESERVE_SIZE))
                        continue;
                scan_mapping(memory, &mapping, &needle, ret);
        }
        fclose(maps);
        close(memory);
        return 0;
}
