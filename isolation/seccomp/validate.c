/* Whether a program is one: what seccomp_check_filter and bpf_check_classic of the kernel demand, and of
 * that the part that libseccomp and we ourselves make use of. */
#include <errno.h>
#include <linux/seccomp.h>
#include <stddef.h>

#include "isolation/seccomp/compiler.h"

static bool valid_return(const struct sock_filter *at)
{
        switch (at->k & SECCOMP_RET_ACTION_FULL) {
        case SECCOMP_RET_ALLOW:
        case SECCOMP_RET_LOG:
        case SECCOMP_RET_TRACE:
        case SECCOMP_RET_ERRNO:
        case SECCOMP_RET_TRAP:
        case SECCOMP_RET_KILL_THREAD:
        case SECCOMP_RET_KILL_PROCESS:
                return true;
        }
        return false;
}

/* `left` instructions follow this one. */
static bool valid_instruction(const struct sock_filter *at, size_t left)
{
        switch (at->code) {
        case BPF_LD | BPF_W | BPF_ABS:
                return at->k % sizeof(uint32_t) == 0 && at->k < sizeof(struct seccomp_data);
        case BPF_ALU | BPF_AND | BPF_K:
                return true;
        case BPF_JMP | BPF_JA:
                return at->k < left;
        case BPF_JMP | BPF_JEQ | BPF_K:
        case BPF_JMP | BPF_JGT | BPF_K:
        case BPF_JMP | BPF_JGE | BPF_K:
        case BPF_JMP | BPF_JSET | BPF_K:
                return at->jt < left && at->jf < left;
        case BPF_RET | BPF_K:
                return valid_return(at);
        }
        return false;
}

/* Jumps lead forwards only, and the last instruction returns: so every way ends in a return. */
bool seccomp_program_valid(const struct sock_filter *program, size_t length)
{
        if (length == 0 || length > BPF_MAXINSNS || program[length - 1].code != (BPF_RET | BPF_K))
                return false;
        for (size_t i = 0; i < length; i++)
                if (!valid_instruction(&program[i], length - i - 1))
                        return false;
        return true;
}
