/* Names of system calls, and those that libseccomp has not heard of yet. */
#include "isolation/seccomp/program.h"

#include <string.h>

#include "base/own.h"
#include "isolation/seccomp/profile.h"

/* From 424 on a number is the same on every machine that we serve (Linux, scripts/syscall.tbl). The kernel
 * that brought it stands beside it. What libseccomp knows by itself it is not asked about here. */
static const struct younger {
        const char *name;
        int number; /* -1: not on this machine */
} younger[] = {
        {"pidfd_send_signal", 424},
        {"io_uring_setup", 425},
        {"io_uring_enter", 426},
        {"io_uring_register", 427},
        {"open_tree", 428},
        {"move_mount", 429},
        {"fsopen", 430},
        {"fsconfig", 431},
        {"fsmount", 432},
        {"fspick", 433},
        {"pidfd_open", 434},
        {"clone3", 435},
        {"close_range", 436},
        {"openat2", 437},
        {"pidfd_getfd", 438},
        {"faccessat2", 439},
        {"process_madvise", 440},
        {"epoll_pwait2", 441},            /* 5.11 */
        {"mount_setattr", 442},           /* 5.12 */
        {"quotactl_fd", 443},             /* 5.14 */
        {"landlock_create_ruleset", 444}, /* 5.13 */
        {"landlock_add_rule", 445},
        {"landlock_restrict_self", 446},
        {"memfd_secret", 447},            /* 5.14 */
        {"process_mrelease", 448},        /* 5.15 */
        {"futex_waitv", 449},             /* 5.16 */
        {"set_mempolicy_home_node", 450}, /* 5.17 */
        {"cachestat", 451},               /* 6.5 */
        {"fchmodat2", 452},               /* 6.6 */
        {"map_shadow_stack", 453},        /* 6.6 */
        {"futex_wake", 454},              /* 6.7 */
        {"futex_wait", 455},
        {"futex_requeue", 456},
        {"statmount", 457}, /* 6.8 */
        {"listmount", 458},
        {"lsm_get_self_attr", 459},
        {"lsm_set_self_attr", 460},
        {"lsm_list_modules", 461},
        {"mseal", 462},      /* 6.10 */
        {"setxattrat", 463}, /* 6.13 */
        {"getxattrat", 464},
        {"listxattrat", 465},
        {"removexattrat", 466},
        {"open_tree_attr", 467}, /* 6.15 */
        {"file_getattr", 468},   /* 6.17 */
        {"file_setattr", 469},
#ifdef __x86_64__
        {"uretprobe", 335}, /* 6.11 */
#else
        {"uretprobe", -1},
#endif
#ifdef __riscv
        {"riscv_hwprobe", 258},
        {"riscv_flush_icache", 259},
#else
        {"riscv_hwprobe", -1},
        {"riscv_flush_icache", -1},
#endif
};

enum seccomp_name seccomp_name_look_up(const char *name, int *ret_number)
{
        int number = seccomp_syscall_resolve_name(name);

        if (number == __NR_SCMP_ERROR) {
                for (size_t i = 0; i < ARRAY_SIZE(younger); i++)
                        if (strcmp(younger[i].name, name) == 0) {
                                *ret_number = younger[i].number;
                                return younger[i].number < 0 ? SECCOMP_NAME_ELSEWHERE
                                                             : SECCOMP_NAME_HERE;
                        }
                *ret_number = -1;
                return SECCOMP_NAME_UNKNOWN;
        }
        /* A negative number stands for a call that exists, but on other machines. */
        *ret_number = number < 0 ? -1 : number;
        return number < 0 ? SECCOMP_NAME_ELSEWHERE : SECCOMP_NAME_HERE;
}

bool program_knows(unsigned number)
{
        char *name = seccomp_syscall_resolve_num_arch(SCMP_ARCH_NATIVE, (int)number);
        bool known = name != NULL;

        free(name);
        for (size_t i = 0; i < ARRAY_SIZE(younger) && !known; i++)
                known = younger[i].number == (int)number;
        return known;
}
