#include "scan.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* AddressSanitizer's books, and what it keeps in reserve: no data of ours is in there. */
#define SHADOW_SIZE  (16ull << 30)
#define RESERVE_SIZE (256ull << 20)

static void scan_range(int memory, uint64_t start, uint64_t end, const char *first,
                       const char *second, struct scan *scan)
{
        static char window[1 << 20];
        size_t first_length = strlen(first), second_length = strlen(second);

        for (uint64_t at = start; at < end;) {
                size_t want = end - at < sizeof(window) ? end - at : sizeof(window);
                ssize_t n = pread(memory, window, want, (off_t)at);

                if (n <= 0) { /* a guard page, or [vvar] */
                        at += 4096;
                        continue;
                }
                scan->scanned += (uint64_t)n;
                for (size_t i = 0; i + first_length + second_length <= (size_t)n; i++) {
                        uint64_t address = at + i;

                        if (memcmp(window + i, first, first_length) != 0 ||
                            memcmp(window + i + first_length, second, second_length) != 0)
                                continue;
                        if (address + sizeof(window) > (uintptr_t)window &&
                            address < (uintptr_t)window + sizeof(window))
                                continue;
                        scan->found++;
                }
                /* What lies across the border is seen by the next one. */
                at += (size_t)n > 256 && (uint64_t)n < end - at ? (uint64_t)n - 256 : (uint64_t)n;
        }
}

int scan_memory(const char *first, const char *second, struct scan *ret)
{
        int memory = open("/proc/self/mem", O_RDONLY | O_CLOEXEC);
        FILE *maps = memory < 0 ? NULL : fopen("/proc/self/maps", "re");
        char line[512];

        *ret = (struct scan){.found = 0};
        if (!maps) {
                int code = errno;

                if (memory >= 0)
                        close(memory);
                errno = code;
                return -1;
        }
        while (fgets(line, sizeof(line), maps)) {
                uint64_t start, end;
                char readable;

                if (sscanf(line, "%" SCNx64 "-%" SCNx64 " %c", &start, &end, &readable) != 3 ||
                    end - start > SHADOW_SIZE || (readable == '-' && end - start > RESERVE_SIZE))
                        continue;
                scan_range(memory, start, end, first, second, ret);
        }
        fclose(maps);
        close(memory);
        return 0;
}
