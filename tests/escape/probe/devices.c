/* Rows 19, 22 and 23, and 43: devices, and the kernel's own files. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "probe.h"

static void try_mknod(const struct probe *probe, const struct attempt *attempt,
                      struct outcome *outcome)
{
        (void)probe;
        outcome_call(outcome, mknod("/tmp/device", (mode_t)attempt->arguments[0] | 0600,
                                    makedev((unsigned)attempt->arguments[1],
                                            (unsigned)attempt->arguments[2])));
        unlink("/tmp/device");
}

/* Any of the disks that machines have. */
static void try_disks(const struct probe *probe, const struct attempt *attempt,
                      struct outcome *outcome)
{
        static const char *const names[] = {
                "sda",  "sda1", "vda",  "vda1",  "xvda", "nvme0n1",      "loop0",
                "dm-0", "md0",  "ram0", "zram0", "sr0",  "loop-control", "mapper/control"};
        struct many many = {.done = false};
        char path[64];

        (void)probe, (void)attempt;
        for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
                snprintf(path, sizeof(path), "/dev/%s", names[i]);
                many_call(&many, path, open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC));
        }
        many_tell(&many, outcome);
}

/* Symbols are there for everybody; where they lie is for nobody: all zeroes. */
static void find_kallsyms(const struct probe *probe, const struct attempt *attempt,
                          struct outcome *outcome)
{
        FILE *file = fopen(attempt->path, "re");
        char line[512];
        bool shown = false;

        (void)probe;
        if (!file) {
                outcome_call(outcome, -1);
                return;
        }
        while (!shown && fgets(line, sizeof(line), file))
                shown = line[strspn(line, "0 :-")] && strspn(line, "0") == 0 && line[0] != ' ';
        outcome_set(outcome, shown ? "addresses" : "zeroed");
        fclose(file);
}

static void try_ioctl(const struct probe *probe, const struct attempt *attempt,
                      struct outcome *outcome)
{
        char text[2] = "x";
        int fd = attempt->path ? open(attempt->path, O_RDWR | O_NOCTTY | O_CLOEXEC) : 0;

        (void)probe;
        outcome_call(outcome, fd < 0 ? fd : syscall(SYS_ioctl, fd, attempt->number, text));
}

#define SYSCTL "/proc/sys/kernel/"

const struct attempt device_attempts[] = {
        {19, "mknod-mem", try_mknod, .arguments = {S_IFCHR, 1, 1}},
        {19, "mknod-disk", try_mknod, .arguments = {S_IFBLK, 8, 0}},
        {19, "mknod-null", try_mknod, .arguments = {S_IFCHR, 1, 3}},
        {19, "mknod-whiteout", try_mknod, .arguments = {S_IFCHR, 0, 0}},
        {19, "dev-mem", try_open, "/dev/mem"},
        {19, "dev-kmsg", try_open, "/dev/kmsg"},
        {19, "dev-port", try_open, "/dev/port"},
        {19, "dev-fuse", try_open, "/dev/fuse"},
        {19, "dev-tun", try_open, "/dev/net/tun"},
        {19, "dev-kvm", try_open, "/dev/kvm"},
        {19, "dev-vsock", try_open, "/dev/vsock"},
        {19, "dev-rfkill", try_open, "/dev/rfkill"},
        {19, "dev-uinput", try_open, "/dev/uinput"},
        {19, "dev-hpet", try_open, "/dev/hpet"},
        {19, "dev-tty1", try_open, "/dev/tty1"},
        {19, "dev-console", try_open, "/dev/console"},
        {19, "dev-disks", try_disks},
        {22, "core_pattern", try_write, SYSCTL "core_pattern"},
        {22, "modprobe", try_write, SYSCTL "modprobe"},
        {22, "hostname", try_write, SYSCTL "hostname"},
        {22, "domainname", try_write, SYSCTL "domainname"},
        {22, "uevent_helper", try_write, "/sys/kernel/uevent_helper"},
        {22, "hotplug", try_write, SYSCTL "hotplug"},
        {22, "randomize_va_space", try_write, SYSCTL "randomize_va_space"},
        {22, "ns_last_pid", try_write, SYSCTL "ns_last_pid", "1"},
        {22, "panic_on_oom", try_write, "/proc/sys/vm/panic_on_oom"},
        {22, "protected_symlinks", try_write, "/proc/sys/fs/protected_symlinks"},
        {22, "max_user_namespaces", try_write, "/proc/sys/user/max_user_namespaces"},
        {22, "sysrq-trigger", try_write, "/proc/sysrq-trigger"},
        {22, "binfmt_misc", try_write, "/proc/sys/fs/binfmt_misc/register"},
        {22, "ip_forward", try_write, "/proc/sys/net/ipv4/ip_forward"},
        {22, "ping_group_range", try_write, "/proc/sys/net/ipv4/ping_group_range"},
        {22, "unprivileged_port_start", try_write, "/proc/sys/net/ipv4/ip_unprivileged_port_start"},
        {22, "mtrr", try_write, "/proc/mtrr"},
        {22, "timens_offsets", try_write, "/proc/self/timens_offsets", "monotonic 10 0"},
        {23, "kcore", try_read, "/proc/kcore"},
        {23, "keys", try_read, "/proc/keys"},
        {23, "key-users", try_read, "/proc/key-users"},
        {23, "timer_list", try_read, "/proc/timer_list"},
        {23, "kmsg", try_read, "/proc/kmsg"},
        {23, "kpageflags", try_read, "/proc/kpageflags"},
        {23, "sched_debug", try_read, "/proc/sched_debug"},
        {23, "slabinfo", try_read, "/proc/slabinfo"},
        {23, "vmallocinfo", try_read, "/proc/vmallocinfo"},
        {23, "debugfs", try_open, "/sys/kernel/debug/sched"},
        {23, "tracefs", try_open, "/sys/kernel/tracing/trace"},
        {23, "security", try_open, "/sys/kernel/security"},
        {23, "kallsyms", find_kallsyms, "/proc/kallsyms"},
        {23, "iomem", find_kallsyms, "/proc/iomem"},
        {43, "TIOCSTI", try_ioctl, .number = TIOCSTI},
        {43, "TIOCSTI-high", try_ioctl, .number = TIOCSTI | 1L << 32},
        {43, "TIOCSTI-high-bits", try_ioctl, .number = (long)(TIOCSTI | 0xffffffff00000000ul)},
        {43, "TIOCLINUX", try_ioctl, .number = TIOCLINUX},
        {43, "TIOCLINUX-high", try_ioctl, .number = TIOCLINUX | 1L << 32},
        {43, "TIOCSTI-tty", try_ioctl, "/dev/tty", .number = TIOCSTI},
        {0},
};
