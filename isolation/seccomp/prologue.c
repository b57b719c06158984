/* What comes before a profile's own rules.
 *
 * A libc or a runtime tries a younger call and falls back on an older one when it is told ENOSYS, and only
 * then. A profile was written before the calls of tomorrow, and its default is often EPERM or worse: so a
 * number that we have no name for answers ENOSYS here, as it does from a kernel without that call. So do
 * the numbers of x32, which have a bit in them that none of ours has, and whatever is above.
 *
 * The first thing is the architecture: a number means another call in another one. */
#include "isolation/seccomp/program.h"

#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <string.h>

#include "base/machine.h"
#include "base/own.h"
#include "isolation/seccomp/compiler.h"

#define NUMBERS_MAX 1024 /* far beyond what any table has (470 in Linux 6.18) */
#define GAPS_MAX    64   /* so that jumps stay within their 8 bits */

struct gap {
        uint32_t first, end; /* the first number behind it; 0: there is none */
};

/* Runs of numbers without a name, ascending; the last one has no end. */
static size_t find_gaps(struct gap gaps[GAPS_MAX])
{
        size_t count = 0;
        bool within = false;

        for (unsigned number = 0; number < NUMBERS_MAX; number++) {
                bool known = program_knows(number);

                if (known && within)
                        gaps[count++].end = number;
                /* In a table with more holes the later ones are taken for calls: the profile's
                 * default answers them. No machine's has half as many. */
                else if (!known && !within && count < GAPS_MAX - 1)
                        gaps[count] = (struct gap){.first = number};
                else
                        continue;
                within = !known;
        }
        if (!within)
                gaps[count] = (struct gap){.first = NUMBERS_MAX};
        return count + 1;
}

/* Ascending, two comparisons for each gap: below its beginning it is a call, below its end it is none. */
static size_t emit(const struct gap *gaps, size_t count, struct sock_filter *out)
{
        size_t body = 4 + 2 * count + 1, n = 0; /* where the profile begins */
        size_t refuse = body - 1;

        out[n++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
                                                offsetof(struct seccomp_data, arch));
        out[n++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, MACHINE, 1, 0);
        out[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS);
        out[n++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
                                                offsetof(struct seccomp_data, nr));
        for (size_t i = 0; i < count; i++) {
                uint8_t to_body = (uint8_t)(body - n - 1);

                out[n++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, gaps[i].first, 0,
                                                        to_body);
                if (gaps[i].end)
                        out[n] =
                                (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, gaps[i].end,
                                                             0, (uint8_t)(refuse - n - 1));
                else
                        out[n] = (struct sock_filter)BPF_STMT(BPF_JMP | BPF_JA,
                                                              (uint32_t)(refuse - n - 1));
                n++;
        }
        out[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS);
        return n;
}

static int describe(struct plan_filter *filter, const struct gap *gaps, size_t count,
                    struct error *error)
{
        cleanup_free char *text = NULL;
        size_t size = 0;
        FILE *stream = open_memstream(&text, &size);

        if (!stream)
                return error_set(error, ENOMEM, "seccomp program %s", filter->name);
        fputs("ERRNO(ENOSYS): numbers that are no system call:", stream);
        for (size_t i = 0; i < count; i++)
                if (gaps[i].end == gaps[i].first + 1)
                        fprintf(stream, " %u,", gaps[i].first);
                else if (gaps[i].end)
                        fprintf(stream, " %u to %u,", gaps[i].first, gaps[i].end - 1);
                else
                        fprintf(stream, " from %u on\n", gaps[i].first);
        if (fclose(stream) != 0)
                return error_set(error, ENOMEM, "seccomp program %s", filter->name);
        return program_text_prefix(filter, error, "%s", text);
}

int program_prologue(struct plan_filter *filter, struct error *error)
{
        struct sock_filter prologue[4 + 2 * GAPS_MAX + 1], *program;
        struct gap gaps[GAPS_MAX] = {{0}};
        size_t count = find_gaps(gaps);
        size_t length = emit(gaps, count, prologue);

        if (length + filter->length > BPF_MAXINSNS)
                return error_say(error, E2BIG,
                                 "seccomp program %s has %zu instructions, more than %d",
                                 filter->name, length + filter->length, BPF_MAXINSNS);
        program = reallocarray(NULL, length + filter->length, sizeof(*program));
        if (!program)
                return error_set(error, ENOMEM, "seccomp program %s", filter->name);
        memcpy(program, prologue, length * sizeof(*program));
        memcpy(program + length, filter->program, filter->length * sizeof(*program));
        free(filter->program);
        filter->program = program;
        filter->length += length;
        return describe(filter, gaps, count, error);
}
