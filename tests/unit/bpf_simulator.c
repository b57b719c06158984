#include "tests/unit/bpf_simulator.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"

struct machine {
        uint32_t a, x;
        uint32_t memory[BPF_MEMWORDS];
};

static bool load_data(const struct seccomp_data *data, uint32_t at, uint32_t *ret_value)
{
        if (at > sizeof(*data) - sizeof(uint32_t) || at % sizeof(uint32_t))
                return false;
        memcpy(ret_value, (const char *)data + at, sizeof(*ret_value));
        return true;
}

/* LD, LDX, ST, STX, MISC; false for what the kernel refuses. */
static bool move(struct machine *machine, const struct sock_filter *at,
                 const struct seccomp_data *data)
{
        switch (at->code) {
        case BPF_LD | BPF_W | BPF_ABS:
                return load_data(data, at->k, &machine->a);
        case BPF_LD | BPF_W | BPF_LEN:
                machine->a = sizeof(*data);
                return true;
        case BPF_LDX | BPF_W | BPF_LEN:
                machine->x = sizeof(*data);
                return true;
        case BPF_LD | BPF_IMM:
                machine->a = at->k;
                return true;
        case BPF_LDX | BPF_IMM:
                machine->x = at->k;
                return true;
        case BPF_MISC | BPF_TAX:
                machine->x = machine->a;
                return true;
        case BPF_MISC | BPF_TXA:
                machine->a = machine->x;
                return true;
        }
        if (at->k >= BPF_MEMWORDS)
                return false;
        switch (at->code) {
        case BPF_LD | BPF_MEM:
                machine->a = machine->memory[at->k];
                return true;
        case BPF_LDX | BPF_MEM:
                machine->x = machine->memory[at->k];
                return true;
        case BPF_ST:
                machine->memory[at->k] = machine->a;
                return true;
        case BPF_STX:
                machine->memory[at->k] = machine->x;
                return true;
        }
        return false;
}

static bool compute(struct machine *machine, const struct sock_filter *at)
{
        uint32_t operand = BPF_SRC(at->code) == BPF_X ? machine->x : at->k;

        switch (BPF_OP(at->code)) {
        case BPF_ADD:
                machine->a += operand;
                return true;
        case BPF_SUB:
                machine->a -= operand;
                return true;
        case BPF_MUL:
                machine->a *= operand;
                return true;
        case BPF_DIV:
                /* the kernel refuses a constant 0 and returns 0 for one in X; ours never divide */
                if (operand == 0)
                        return false;
                machine->a /= operand;
                return true;
        case BPF_AND:
                machine->a &= operand;
                return true;
        case BPF_OR:
                machine->a |= operand;
                return true;
        case BPF_XOR:
                machine->a ^= operand;
                return true;
        case BPF_LSH:
                machine->a = operand < 32 ? machine->a << operand : 0;
                return true;
        case BPF_RSH:
                machine->a = operand < 32 ? machine->a >> operand : 0;
                return true;
        case BPF_NEG:
                machine->a = -machine->a;
                return true;
        }
        return false;
}

/* How many instructions to skip; false for an unknown jump. */
static bool jump(const struct machine *machine, const struct sock_filter *at, size_t *ret_skip)
{
        uint32_t operand = BPF_SRC(at->code) == BPF_X ? machine->x : at->k;
        bool taken;

        switch (BPF_OP(at->code)) {
        case BPF_JA:
                *ret_skip = at->k;
                return true;
        case BPF_JEQ:
                taken = machine->a == operand;
                break;
        case BPF_JGT:
                taken = machine->a > operand;
                break;
        case BPF_JGE:
                taken = machine->a >= operand;
                break;
        case BPF_JSET:
                taken = machine->a & operand;
                break;
        default:
                return false;
        }
        *ret_skip = taken ? at->jt : at->jf;
        return true;
}

uint32_t bpf_run(const struct sock_filter *program, size_t length, const struct seccomp_data *data)
{
        struct machine machine = {.a = 0};

        for (size_t i = 0; i < length; i++) {
                const struct sock_filter *at = &program[i];
                size_t skip = 0;
                bool good;

                switch (BPF_CLASS(at->code)) {
                case BPF_RET:
                        if (BPF_RVAL(at->code) == BPF_A)
                                return machine.a;
                        return BPF_RVAL(at->code) == BPF_K ? at->k : BPF_BROKEN;
                case BPF_JMP:
                        good = jump(&machine, at, &skip);
                        break;
                case BPF_ALU:
                        good = compute(&machine, at);
                        break;
                default:
                        good = move(&machine, at, data);
                        break;
                }
                if (!good || skip >= length - i)
                        return BPF_BROKEN;
                i += skip;
        }
        return BPF_BROKEN;
}

uint32_t bpf_run_stack(const struct plan_filter *filters, size_t count,
                       const struct seccomp_data *data)
{
        uint32_t strictest = SECCOMP_RET_ALLOW;

        /* From the last one installed to the first, as the kernel walks. */
        for (size_t i = count; i > 0; i--) {
                uint32_t action = bpf_run(filters[i - 1].program, filters[i - 1].length, data);

                if (action == BPF_BROKEN)
                        return BPF_BROKEN;
                /* KILL_PROCESS has the sign bit: the kernel compares the actions as signed. */
                if ((int32_t)(action & SECCOMP_RET_ACTION_FULL) <
                    (int32_t)(strictest & SECCOMP_RET_ACTION_FULL))
                        strictest = action;
        }
        return strictest;
}

const char *bpf_action_text(uint32_t action, char *text, size_t size)
{
        switch (action == BPF_BROKEN ? 0xff : action & SECCOMP_RET_ACTION_FULL) {
        case SECCOMP_RET_ALLOW:
                return "ALLOW";
        case SECCOMP_RET_KILL_PROCESS:
                return "KILL_PROCESS";
        case SECCOMP_RET_ERRNO:
                snprintf(text, size, "ERRNO(%s)", error_name((int)(action & SECCOMP_RET_DATA)));
                return text;
        }
        snprintf(text, size, "%s 0x%08x", action == BPF_BROKEN ? "broken program" : "action",
                 action);
        return text;
}
