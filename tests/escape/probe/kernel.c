/* Rows 32 to 40: system calls that a worker has no business with. The arguments are such that nothing would
 * come of a call that is let through: what counts is whether the refusal comes first. */
#include <errno.h>
#include <fcntl.h>
#include <linux/keyctl.h>
#include <stdio.h>
#include <string.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/timex.h>
#include <time.h>
#include <unistd.h>

#include "probe.h"

#ifndef SYS_io_uring_setup
#define SYS_io_uring_setup    425
#define SYS_io_uring_enter    426
#define SYS_io_uring_register 427
#endif

/* getpid, and what asks for more, by the gate of 32-bit programs. Elsewhere there is no such gate. */
static void try_int80(const struct probe *probe, const struct attempt *attempt,
                      struct outcome *outcome)
{
        (void)probe;
#ifdef __x86_64__
        long result;

        __asm__ volatile("int $0x80"
                         : "=a"(result)
                         : "a"(attempt->number), "b"(attempt->arguments[0])
                         : "memory", "r8", "r9", "r10", "r11");
        if (result < 0)
                errno = (int)-result;
        outcome_call(outcome, result < 0 ? -1 : 0);
#else
        (void)attempt;
        outcome_set(outcome, "SIGSYS");
#endif
}

/* Ours may be 64 bits wide, with anything in the upper half. */
static void try_numbers(const struct probe *probe, const struct attempt *attempt,
                        struct outcome *outcome)
{
        struct many many = {.done = false};
        char name[32];

        (void)probe;
        for (long number = attempt->arguments[0]; number <= attempt->arguments[1]; number++) {
                snprintf(name, sizeof(name), "%ld", number);
                many_call(&many, name, syscall(number, -1L, 0, 0, 0, 0, 0));
        }
        many_tell(&many, outcome);
}

/* The same time as it is: whoever may set it changes nothing. */
static void try_clock(const struct probe *probe, const struct attempt *attempt,
                      struct outcome *outcome)
{
        struct timespec now;

        (void)probe;
        clock_gettime((clockid_t)attempt->number, &now);
        outcome_call(outcome, syscall(SYS_clock_settime, attempt->number, &now));
}

static void try_settimeofday(const struct probe *probe, const struct attempt *attempt,
                             struct outcome *outcome)
{
        struct timeval now;

        (void)probe, (void)attempt;
        gettimeofday(&now, NULL);
        outcome_call(outcome, syscall(SYS_settimeofday, &now, NULL));
}

static void try_adjtimex(const struct probe *probe, const struct attempt *attempt,
                         struct outcome *outcome)
{
        struct timex timex = {.modes = 0};

        (void)probe, (void)attempt;
        if (attempt->number) {
                timex.modes = ADJ_TICK;
                timex.tick = 10000; /* what it is anyway */
        }
        outcome_call(outcome, syscall(SYS_adjtimex, &timex));
}

static void try_personality(const struct probe *probe, const struct attempt *attempt,
                            struct outcome *outcome)
{
        (void)probe;
        outcome_call(outcome, personality((unsigned long)attempt->number));
}

static void try_mm(const struct probe *probe, const struct attempt *attempt,
                   struct outcome *outcome)
{
        (void)probe;
        outcome_call(outcome, prctl(PR_SET_MM, attempt->number, sbrk(0), 0, 0));
}

static void try_key(const struct probe *probe, const struct attempt *attempt,
                    struct outcome *outcome)
{
        (void)probe;
        outcome_call(outcome, syscall(attempt->number, "user", "escape:intruder", "x", 1L,
                                      attempt->arguments[0]));
}

/* What keyctl(2) says of a key whose description only the host knows. */
static void find_session_key(const struct probe *probe, const struct attempt *attempt,
                             struct outcome *outcome)
{
        char description[64];

        (void)attempt;
        if (!parameter(probe, "key", description, sizeof(description)))
                outcome_set(outcome, "untold");
        else
                outcome_call(outcome, syscall(SYS_keyctl, KEYCTL_SEARCH, KEY_SPEC_SESSION_KEYRING,
                                              "user", description, 0));
}

/* Pages of somebody else: pid 1's. */
static void try_move_pages(const struct probe *probe, const struct attempt *attempt,
                           struct outcome *outcome)
{
        void *page = (char *)&try_move_pages - ((uintptr_t)&try_move_pages & 4095);
        int status = 0;

        (void)probe;
        outcome_call(outcome,
                     syscall(SYS_move_pages, attempt->number, 1UL, &page, NULL, &status, 0));
}

static void try_mbind(const struct probe *probe, const struct attempt *attempt,
                      struct outcome *outcome)
{
        (void)probe, (void)attempt;
        outcome_call(outcome, syscall(SYS_mbind, (uintptr_t)&try_mbind & ~4095ul, 4096UL, 0, NULL,
                                      0UL, 2 /* MPOL_MF_MOVE */));
}

static void try_sethostname(const struct probe *probe, const struct attempt *attempt,
                            struct outcome *outcome)
{
        (void)probe;
        outcome_call(outcome, syscall(attempt->number, "intruder", 8UL));
}

#define CALL(row, name, ...)                                                                       \
        {                                                                                          \
                row, #name, try_syscall, .number = SYS_##name, .arguments = { __VA_ARGS__ }        \
        }
#define X32 0x40000000L

const struct attempt kernel_attempts[] = {
        {32, "int80-getpid", try_int80, .number = 20},
        {32, "int80-unshare", try_int80, .number = 310, .arguments = {0x10000000}},
        {32, "int80-unknown", try_int80, .number = 9999},
        {32, "x32-getpid", try_numbers, .arguments = {X32 | 39, X32 | 39}},
        {32, "x32-own", try_numbers, .arguments = {X32 | 512, X32 | 547}},
        {33, "unknown-500", try_numbers, .arguments = {500, 700}},
        {33, "unknown-1000", try_numbers, .arguments = {1000, 1010}},
        {33, "unknown-100000", try_numbers, .arguments = {100000, 100003}},
        {33, "unknown-high", try_numbers, .arguments = {0x3fffffff, 0x3fffffff}},
        {33, "statmount-listmount", try_numbers, .arguments = {457, 458}},
        {33, "lsm", try_numbers, .arguments = {459, 461}},
        CALL(34, bpf, 0, 0, 0),
        CALL(34, perf_event_open, 0, 0, -1, -1),
        CALL(34, userfaultfd, 0),
        CALL(34, io_uring_setup, 1, 0),
        CALL(34, io_uring_enter, -1, 1, 0, 0),
        CALL(34, io_uring_register, -1, 0, 0, 0),
        {35, "add_key", try_key, .number = SYS_add_key, .arguments = {KEY_SPEC_PROCESS_KEYRING}},
        {35, "request_key", try_key, .number = SYS_request_key},
        {35, "join-session", try_syscall, .number = SYS_keyctl,
         .arguments = {KEYCTL_JOIN_SESSION_KEYRING, 0}},
        {35, "session-keyring", try_syscall, .number = SYS_keyctl,
         .arguments = {KEYCTL_GET_KEYRING_ID, KEY_SPEC_SESSION_KEYRING, 0}},
        {35, "user-keyring", try_syscall, .number = SYS_keyctl,
         .arguments = {KEYCTL_GET_KEYRING_ID, KEY_SPEC_USER_KEYRING, 0}},
        {35, "host-key", find_session_key},
        CALL(36, init_module, 0, 0, (long)""),
        CALL(36, finit_module, -1, (long)"", 0),
        CALL(36, delete_module, (long)"intruder", 0),
        CALL(36, kexec_load, 0, 0, 0, 0),
#ifdef SYS_kexec_file_load
        CALL(36, kexec_file_load, -1, -1, 0, (long)""),
#endif
        CALL(36, reboot, 0, 0, 0, 0), /* not the magic numbers */
        CALL(36, swapon, (long)"/nowhere", 0),
        CALL(36, swapoff, (long)"/nowhere"),
        CALL(36, acct, (long)"/nowhere"),
        CALL(36, quotactl, 0x80000100L, 0, 0, 0), /* Q_SYNC */
#ifdef SYS_iopl
        CALL(36, iopl, 3),
        CALL(36, ioperm, 0x80, 1, 1),
#endif
#ifdef SYS_modify_ldt
        CALL(36, modify_ldt, 0, 0, 0),
#endif
        {37, "clock_settime", try_clock, .number = CLOCK_REALTIME},
        {37, "clock_settime-tai", try_clock, .number = CLOCK_TAI},
        {37, "settimeofday", try_settimeofday},
        {37, "adjtimex", try_adjtimex, .number = 1},
        {38, "sethostname", try_sethostname, .number = SYS_sethostname},
        {38, "setdomainname", try_sethostname, .number = SYS_setdomainname},
        CALL(38, syslog, 10 /* SYSLOG_ACTION_SIZE_BUFFER */, 0, 0),
        CALL(38, vhangup, 0),
        CALL(39, fanotify_init, 0, 0),
        CALL(39, fanotify_mark, -1, 0, 0, -1),
        {39, "mbind", try_mbind},
        CALL(39, set_mempolicy, 0, 0, 0),
        CALL(39, migrate_pages, 1, 0, 0, 0),
        {39, "move_pages-1", try_move_pages, .number = 1},
        {40, "no-randomize", try_personality, .number = ADDR_NO_RANDOMIZE},
        {40, "no-randomize-high", try_personality, .number = ADDR_NO_RANDOMIZE | 1L << 40},
        {40, "read-implies-exec", try_personality, .number = READ_IMPLIES_EXEC},
        {40, "mmap-page-zero", try_personality, .number = MMAP_PAGE_ZERO},
        {40, "compat-layout", try_personality, .number = ADDR_COMPAT_LAYOUT},
        {40, "limit-3gb", try_personality, .number = ADDR_LIMIT_3GB},
        {40, "set-mm-brk", try_mm, .number = PR_SET_MM_BRK},
        {40, "set-mm-exe-file", try_mm, .number = PR_SET_MM_EXE_FILE},
        {0},
};
