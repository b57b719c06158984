/* The machine that this is compiled for, as the kernel tells a seccomp filter: a number means another call on
 * another one, so every filter begins by asking. */
#pragma once

#include <linux/audit.h>

#if defined(__x86_64__)
#define MACHINE AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define MACHINE AUDIT_ARCH_AARCH64
#elif defined(__riscv) && __riscv_xlen == 64
#define MACHINE AUDIT_ARCH_RISCV64
#elif defined(__s390x__)
#define MACHINE AUDIT_ARCH_S390X
#elif defined(__powerpc64__) && __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#define MACHINE AUDIT_ARCH_PPC64LE
#elif defined(__loongarch64)
#define MACHINE AUDIT_ARCH_LOONGARCH64
#else
#error "name this machine's AUDIT_ARCH_ (linux/audit.h)"
#endif
