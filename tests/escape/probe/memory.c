/* Rows 41, 55 and 56: memory that is both written and executed, secrets of others, random numbers. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <unistd.h>

#include "probe.h"
#include "tests/integration/programs/scan.h"

/* At the address that null pointers lead to. */
static void try_map(const struct probe *probe, const struct attempt *attempt,
                    struct outcome *outcome)
{
        void *page = mmap(NULL, 4096, (int)attempt->arguments[0],
                          MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);

        (void)probe;
        outcome_call(outcome, page == MAP_FAILED ? -1 : 0);
}

/* A page that is written, and then executed: here, or twice mapped from a file in memory. */
static void try_write_execute(const struct probe *probe, const struct attempt *attempt,
                              struct outcome *outcome)
{
        int protection = PROT_READ | PROT_WRITE;
        void *page = mmap(NULL, 4096, protection | (attempt->number ? PROT_EXEC : 0),
                          MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

        (void)probe;
        if (page == MAP_FAILED || attempt->number) {
                outcome_call(outcome, page == MAP_FAILED ? -1 : 0);
                return;
        }
        *(char *)page = (char)0xc3;
        outcome_call(outcome, mprotect(page, 4096, PROT_READ | PROT_EXEC));
}

/* Told veiled (scan.h): whole, only the other application's memory has it. */
static void find_secret(const struct probe *probe, const struct attempt *attempt,
                        struct outcome *outcome)
{
        char veiled[257];
        struct scan scan;

        (void)attempt;
        if (!parameter(probe, "veiled", veiled, sizeof(veiled))) {
                outcome_set(outcome, "untold");
                return;
        }
        if (scan_memory(veiled, &scan) < 0)
                outcome_call(outcome, -1);
        else if (scan.scanned < 100u << 10)
                outcome_set(outcome, "too-little:%" PRIu64, scan.scanned);
        else if (scan.found)
                outcome_set(outcome, "found:%u", scan.found);
        else
                outcome_set(outcome, "none");
}

/* Told for the driver to compare with another worker's. */
static void find_random(const struct probe *probe, const struct attempt *attempt,
                        struct outcome *outcome)
{
        unsigned char bytes[16] = {0};
        char text[40] = "";

        (void)probe;
        if (attempt->number == 0 && getrandom(bytes, sizeof(bytes), 0) < 0)
                outcome_call(outcome, -1);
        if (attempt->number == 1)
                arc4random_buf(bytes, sizeof(bytes));
        for (size_t i = 0; i < sizeof(bytes); i++)
                snprintf(text + 2 * i, 3, "%02x", bytes[i]);
        outcome_set(outcome, "random:%s", text);
}

const struct attempt memory_attempts[] = {
        {41, "map-at-0", try_map, .arguments = {PROT_READ | PROT_WRITE}},
        {41, "write-then-execute", try_write_execute},
        {41, "write-and-execute", try_write_execute, .number = 1},
        {55, "secret", find_secret},
        {56, "getrandom", find_random, .number = 0},
        {56, "arc4random", find_random, .number = 1},
        {0},
};
