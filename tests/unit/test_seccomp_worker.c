/* What lies over or under a profile: the guards, whatever it allows; a worker's "strict"; memory that is never
 * both written and executed. */
#include <criterion/criterion.h>

#include <errno.h>
#include <linux/audit.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/shm.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include "base/machine.h"
#include "base/own.h"
#include "tests/unit/bpf_simulator.h"
#include "tests/unit/profile_fixture.h"

#define ERRNO(code) (SECCOMP_RET_ERRNO | (code))
#define NO          ERRNO(EPERM)
#define ALLOW       SECCOMP_RET_ALLOW
#define HIGH        0xabcd000100000000ull

/* Profile, guards, difference: as prototype and worker have them. */
struct stack {
        struct plan_filter filters[3];
};

static struct stack stack_of(const struct seccomp_request *request)
{
        struct error error = ERROR_INIT;
        struct stack stack;

        cr_assert_eq(seccomp_compile_profile(request->profile, 0, &stack.filters[0], &error), 0,
                     "%s", error.text);
        cr_assert_eq(seccomp_compile_guards(request, &stack.filters[1], &error), 0, "%s",
                     error.text);
        cr_assert_eq(seccomp_compile_difference(request, &stack.filters[2], &error), 0, "%s",
                     error.text);
        for (size_t i = 0; i < 3; i++)
                cr_assert(seccomp_program_valid(stack.filters[i].program, stack.filters[i].length));
        return stack;
}

static void stack_finish(struct stack *stack)
{
        for (size_t i = 0; i < 3; i++)
                seccomp_filter_finish(&stack->filters[i]);
}

struct row {
        uint32_t architecture; /* 0: this one */
        uint32_t call;
        uint64_t args[4];
        uint32_t prototype, worker; /* the answers */
};

static void check(const struct stack *stack, const struct row *rows, size_t count)
{
        for (size_t i = 0; i < count; i++) {
                const struct row *row = &rows[i];
                const struct seccomp_data data = {
                        .nr = (int)row->call,
                        .arch = row->architecture ? row->architecture : MACHINE,
                        .args = {row->args[0], row->args[1], row->args[2], row->args[3]},
                };
                uint32_t prototype = bpf_run_stack(stack->filters, 2, &data);
                uint32_t worker = bpf_run_stack(stack->filters, 3, &data);
                char text[32];

                cr_expect_eq(prototype, row->prototype, "row %zu, call %u of a prototype: %s", i,
                             row->call, bpf_action_text(prototype, text, sizeof(text)));
                cr_expect_eq(worker, row->worker, "row %zu, call %u of a worker: %s", i, row->call,
                             bpf_action_text(worker, text, sizeof(text)));
        }
}

static const struct row whatever_it_allows[] = {
        {0, SYS_unshare, {CLONE_NEWUSER}, NO, NO},
        {0, SYS_setns, {3}, NO, NO},
        {0, SYS_clone, {CLONE_NEWUSER | SIGCHLD}, NO, NO},
        {0, SYS_clone, {SIGCHLD}, ALLOW, ALLOW},
        {0, SYS_clone3, {0}, ERRNO(ENOSYS), ERRNO(ENOSYS)},
        {0, SYS_io_uring_setup, {0}, NO, NO},
        {0, SYS_io_uring_enter, {0}, NO, NO},
        {0, SYS_io_uring_register, {0}, NO, NO},
        {0, SYS_ptrace, {16, 1}, NO, NO},
        {0, SYS_process_vm_readv, {1}, NO, NO},
        {0, SYS_process_vm_writev, {1}, NO, NO},
        {0, SYS_pidfd_getfd, {3}, NO, NO},
        {0, SYS_kcmp, {1, 2}, NO, NO},
        {0, SYS_open_tree, {0}, NO, NO},
        {0, 467 /* open_tree_attr */, {0}, NO, NO},
        {0, SYS_mount_setattr, {0}, NO, NO},
        {0, SYS_connect, {3}, NO, NO},
        {0, SYS_bind, {3, 4711, 16}, NO, NO},
        {0, SYS_sendto, {3, 0, 0, HIGH | MSG_FASTOPEN}, NO, NO},
        {0, SYS_ioctl, {0, HIGH | TIOCSTI}, NO, NO},
        {0, SYS_ioctl, {3, 0x8912}, NO, NO},
        {0, SYS_socket, {AF_VSOCK}, ERRNO(EAFNOSUPPORT), ERRNO(EAFNOSUPPORT)},
        {0, SYS_socket, {AF_INET, SOCK_SEQPACKET, 132}, NO, NO},
        {0, SYS_kill, {1, SIGTERM}, ALLOW, NO},
        {0, SYS_kill, {UINT64_MAX, SIGTERM}, ALLOW, NO},
        {0, SYS_mount, {0}, ALLOW, ALLOW}, /* the profile's own decision */
        {0, 500, {0}, ERRNO(ENOSYS), ERRNO(ENOSYS)},
        {0, 0x40000000 | SYS_read, {0}, ERRNO(ENOSYS), ERRNO(ENOSYS)},
#ifdef __x86_64__
        {AUDIT_ARCH_I386, 20, {0}, SECCOMP_RET_KILL_PROCESS, SECCOMP_RET_KILL_PROCESS},
#endif
};

Test(seccomp_worker, guards_stay_whatever_the_profile_allows)
{
        struct seccomp_profile profile = profile_from("{\"defaultAction\":\"SCMP_ACT_ALLOW\"}");
        struct stack stack =
                stack_of(&(struct seccomp_request){.profile = &profile, .own_network = true});

        check(&stack, whatever_it_allows, ARRAY_SIZE(whatever_it_allows));
        stack_finish(&stack);
        seccomp_profile_finish(&profile);
}

static const struct row strictly[] = {
        /* sockets, programs, processes: the prototype makes workers, so it may */
        {0, SYS_socket, {AF_UNIX, SOCK_STREAM}, ALLOW, NO},
        {0, SYS_socketpair, {AF_UNIX, SOCK_STREAM}, ALLOW, NO},
        {0, SYS_bind, {3, 0, 12}, ALLOW, NO},
        {0, SYS_connect, {3}, NO, NO},
        {0, SYS_execve, {0}, ALLOW, NO},
        {0, SYS_execveat, {0}, ALLOW, NO},
        {0, SYS_clone, {SIGCHLD}, ALLOW, NO},
        {0, SYS_clone, {HIGH | CLONE_VM | CLONE_VFORK | SIGCHLD}, ALLOW, NO},
        {0, SYS_clone3, {0}, ERRNO(ENOSYS), ERRNO(ENOSYS)},
#ifdef __x86_64__
        {0, SYS_fork, {0}, ALLOW, NO},
        {0, SYS_vfork, {0}, ALLOW, NO},
        {AUDIT_ARCH_I386, 11, {0}, SECCOMP_RET_KILL_PROCESS, SECCOMP_RET_KILL_PROCESS},
        {0, 0x40000000 | 520, {0}, ERRNO(ENOSYS), ERRNO(ENOSYS)},
#endif
        /* threads, as glibc and musl make them; with a namespace, the guards are there still */
        {0, SYS_clone, {0x3d0f00}, ALLOW, ALLOW},
        {0, SYS_clone, {0x7d0f00}, ALLOW, ALLOW},
        {0, SYS_clone, {0x3d0f00 | CLONE_NEWNET}, NO, NO},
        /* what serving takes */
        {0, SYS_accept4, {3}, ALLOW, ALLOW},
        {0, SYS_listen, {3, 128}, ALLOW, ALLOW},
        {0, SYS_recvmsg, {4}, ALLOW, ALLOW},
        {0, SYS_sendmsg, {4}, ALLOW, ALLOW},
        {0, SYS_sendmsg, {4, 0, MSG_FASTOPEN}, NO, NO},
        {0, SYS_epoll_pwait, {5}, ALLOW, ALLOW},
        {0, SYS_openat, {0}, ALLOW, ALLOW},
        {0, SYS_mmap, {0}, ALLOW, ALLOW},
        {0, SYS_futex, {0}, ALLOW, ALLOW},
        {0, SYS_exit_group, {0}, ALLOW, ALLOW},
        {0, SYS_prctl, {15}, ALLOW, ALLOW},
        /* and what it does not */
        {0, SYS_fchmodat, {0}, ALLOW, NO},
        {0, SYS_mknodat, {0, 0, 0010600}, ALLOW, NO},
        {0, SYS_memfd_create, {0}, ALLOW, NO},
        {0, SYS_shmget, {0}, ALLOW, NO},
        {0, SYS_setsid, {0}, ALLOW, NO},
        {0, SYS_mount, {0}, NO, NO},
        {0, SYS_ptrace, {0}, NO, NO},
        {0, 500, {0}, ERRNO(ENOSYS), ERRNO(ENOSYS)},
        {0, UINT32_MAX, {0}, ERRNO(ENOSYS), ERRNO(ENOSYS)},
        /* the difference is in the same program */
        {0, SYS_kill, {1, SIGTERM}, ALLOW, NO},
        {0, SYS_kill, {HIGH | UINT32_MAX, SIGTERM}, ALLOW, NO},
        {0, SYS_kill, {17, SIGTERM}, ALLOW, ALLOW},
        {0, SYS_tgkill, {17, 17, SIGABRT}, ALLOW, ALLOW},
};

Test(seccomp_worker, strict)
{
        struct seccomp_profile profile = profile_own("default"), worker = profile_own("strict");
        struct stack stack = stack_of(&(struct seccomp_request){
                .profile = &profile, .worker = &worker, .own_network = true});

        check(&stack, strictly, ARRAY_SIZE(strictly));
        cr_expect_str_eq(stack.filters[2].name, "difference, worker's profile");
        stack_finish(&stack);
        seccomp_profile_finish(&profile);
        seccomp_profile_finish(&worker);
}

/* Chained, two programs answer as two filters would: where both refuse, with the first one's errno. */
Test(seccomp_worker, chained_as_one_over_the_other)
{
        struct seccomp_profile profile = profile_own("default"), worker = profile_own("strict");
        struct seccomp_request request = {.profile = &profile, .worker = &worker};
        struct stack chained = stack_of(&request), single;
        struct plan_filter apart[2];
        struct error error = ERROR_INIT;
        static const uint64_t firsts[] = {0, 1, 17, 0x3d0f00, UINT32_MAX, HIGH | 1};

        request.worker = NULL;
        single = stack_of(&request);
        cr_assert_eq(seccomp_compile_profile(&worker, 0, &apart[0], &error), 0);
        apart[1] = single.filters[2]; /* installed last: the first to answer */
        for (uint32_t number = 0; number < 600; number++)
                for (size_t i = 0; i < ARRAY_SIZE(firsts); i++)
                        for (uint64_t second = 0; second < 16; second++) {
                                const struct seccomp_data data = {.nr = (int)number,
                                                                  .arch = MACHINE,
                                                                  .args = {firsts[i], second}};

                                cr_assert_eq(bpf_run_stack(&chained.filters[2], 1, &data),
                                             bpf_run_stack(apart, 2, &data), "%u(%lx, %lx)", number,
                                             firsts[i], second);
                        }
        seccomp_filter_finish(&apart[0]);
        stack_finish(&single);
        stack_finish(&chained);
        seccomp_profile_finish(&profile);
        seccomp_profile_finish(&worker);
}

Test(seccomp_worker, memory_is_not_written_and_executed)
{
        struct seccomp_profile profile = profile_own("default");
        struct seccomp_request request = {.profile = &profile, .deny_write_execute = true};
        static const int by_protection[] = {SYS_mprotect, SYS_pkey_mprotect};
        struct stack with = stack_of(&request), without;

        request.deny_write_execute = false;
        without = stack_of(&request);
        for (uint64_t bits = 0; bits < 64; bits++)
                for (uint64_t high = 0; high <= HIGH; high += HIGH) {
                        bool written = bits & PROT_WRITE && bits & PROT_EXEC;
                        struct seccomp_data data = {
                                .nr = SYS_mmap, .arch = MACHINE, .args = {0, 4096, high | bits}};

                        cr_expect_eq(bpf_run_stack(with.filters, 3, &data),
                                     written ? ERRNO(EACCES) : ALLOW, "mmap %lx", bits);
                        for (size_t i = 0; i < ARRAY_SIZE(by_protection); i++) {
                                data.nr = by_protection[i];
                                cr_expect_eq(bpf_run_stack(with.filters, 3, &data),
                                             bits & PROT_EXEC ? ERRNO(EACCES) : ALLOW);
                                cr_expect_eq(bpf_run_stack(without.filters, 3, &data), ALLOW);
                        }
                        data = (struct seccomp_data){
                                .nr = SYS_shmat, .arch = MACHINE, .args = {1, 0, bits << 12}};
                        cr_expect_eq(bpf_run_stack(with.filters, 3, &data),
                                     bits << 12 & SHM_EXEC ? ERRNO(EACCES) : ALLOW);
                }
        stack_finish(&with);
        stack_finish(&without);
        seccomp_profile_finish(&profile);
}
