"""Other sandboxes, as Debian packages them: the same probe, under each one's defaults, and under a filter of the size that
container engines use where it takes one. Nobody needs them but the report."""

import contextlib
import json
import os
import pathlib
import shutil
import struct
import subprocess
import tempfile

import clade
import inside

# Calls that engines' default profiles refuse to a process without capabilities. What is not named is allowed: a
# docker-sized profile lists what is allowed and answers EPERM to all others, unknown ones included.
REFUSED = """
    acct add_key bpf clock_adjtime clock_settime delete_module fanotify_init finit_module fsconfig fsmount fsopen
    fspick init_module io_uring_enter io_uring_register io_uring_setup ioperm iopl kcmp kexec_file_load kexec_load
    keyctl lookup_dcookie mbind migrate_pages mount mount_setattr move_mount move_pages name_to_handle_at
    open_by_handle_at open_tree perf_event_open pidfd_getfd pivot_root process_madvise process_vm_readv
    process_vm_writev ptrace quotactl reboot request_key set_mempolicy setdomainname sethostname setns settimeofday
    swapoff swapon syslog umount2 unshare userfaultfd vhangup
""".split()
NAMESPACE_FLAGS = 0x7e020000
# personality(2)'s bits that weaken the layout of memory.
WEAK_LAYOUT = 0x0040000 | 0x0100000 | 0x0200000 | 0x0400000 | 0x0800000 | 0x8000000
VSOCK = 40
# x86_64's numbers, for bubblewrap, which wants a finished program.
NUMBERS = dict(zip("""
    process_vm_readv process_vm_writev ptrace mount umount2 pivot_root unshare setns reboot swapon swapoff acct
    settimeofday sethostname setdomainname syslog vhangup iopl ioperm init_module finit_module delete_module kexec_load
    kexec_file_load quotactl add_key request_key keyctl bpf perf_event_open userfaultfd name_to_handle_at
    open_by_handle_at fanotify_init mbind set_mempolicy migrate_pages move_pages clock_settime clock_adjtime kcmp
    lookup_dcookie io_uring_setup io_uring_enter io_uring_register open_tree move_mount fsopen fsconfig fsmount fspick
    pidfd_getfd process_madvise mount_setattr""".split(),
    (310, 311, 101, 165, 166, 155, 272, 308, 169, 167, 168, 163, 164, 170, 171, 103, 153, 172, 173, 175, 313, 176,
     246, 320, 179, 248, 249, 250, 321, 298, 323, 303, 304, 300, 237, 238, 256, 279, 227, 305, 312, 212, 425, 426,
     427, 428, 429, 430, 431, 432, 433, 438, 440, 442)))
LAST_KNOWN = 448  # of a profile of that time
ALLOW, EPERM, ENOSYS, KILL = 0x7fff0000, 0x00050001, 0x00050026, 0x80000000


def instruction(code, jump_true, jump_false, value):
    return struct.pack("HBBI", code, jump_true, jump_false, value)


def program():
    """The filter in BPF: another architecture is the end, as are calls that are refused EPERM."""
    load, equal, greater, bits, answer = 0x20, 0x15, 0x25, 0x45, 0x06
    code = [instruction(load, 0, 0, 4), instruction(equal, 1, 0, 0xc000003e), instruction(answer, 0, 0, KILL),
            instruction(load, 0, 0, 0)]
    for number in sorted(NUMBERS.values()):
        code += [instruction(equal, 0, 1, number), instruction(answer, 0, 0, EPERM)]
    code += [instruction(equal, 0, 1, 435), instruction(answer, 0, 0, ENOSYS),  # clone3
             instruction(greater, 0, 1, LAST_KNOWN), instruction(answer, 0, 0, EPERM),
             instruction(equal, 0, 3, 56), instruction(load, 0, 0, 16),  # clone
             instruction(bits, 0, 1, NAMESPACE_FLAGS), instruction(answer, 0, 0, EPERM),
             instruction(load, 0, 0, 0),
             instruction(equal, 0, 4, 135), instruction(load, 0, 0, 16),  # personality, but for asking
             instruction(equal, 2, 0, 0xffffffff), instruction(bits, 0, 1, WEAK_LAYOUT),
             instruction(answer, 0, 0, EPERM),
             instruction(load, 0, 0, 0),
             instruction(equal, 0, 3, 41), instruction(load, 0, 0, 16),  # socket
             instruction(equal, 0, 1, VSOCK), instruction(answer, 0, 0, EPERM),
             instruction(answer, 0, 0, ALLOW)]
    return b"".join(code)


def oci_filter():
    """The same for runtimes that read the OCI form."""
    return {"defaultAction": "SCMP_ACT_ALLOW", "architectures": ["SCMP_ARCH_X86_64"], "syscalls": [
        {"names": REFUSED, "action": "SCMP_ACT_ERRNO", "errnoRet": 1},
        {"names": ["clone3"], "action": "SCMP_ACT_ERRNO", "errnoRet": 38},
        {"names": ["clone"], "action": "SCMP_ACT_ERRNO", "errnoRet": 1, "args": [
            {"index": 0, "value": flag, "valueTwo": flag, "op": "SCMP_CMP_MASKED_EQ"}
            for flag in (1 << bit for bit in range(32)) if flag & NAMESPACE_FLAGS]},
        {"names": ["personality"], "action": "SCMP_ACT_ERRNO", "errnoRet": 1, "args": [
            {"index": 0, "value": flag | 1 << 31, "valueTwo": flag, "op": "SCMP_CMP_MASKED_EQ"}
            for flag in (1 << bit for bit in range(31)) if flag & WEAK_LAYOUT]},
        {"names": ["socket"], "action": "SCMP_ACT_ERRNO", "errnoRet": 1, "args": [
            {"index": 0, "value": VSOCK, "op": "SCMP_CMP_EQ"}]}]}


class Peer:
    def __init__(self, name, tool, run, package=None):
        self.name, self.tool, self.package, self.start = name, tool, package or tool, run

    def run(self, parameters):
        """Answers, or a text that says why there are none."""
        path = shutil.which(self.tool)
        if not path:
            return f"{self.tool} is not installed (Debian 12: " + \
                (f"apt-get install {self.package})" if self.package != "-" else "no package)")
        with tempfile.TemporaryDirectory(prefix="clade-peer-") as directory:
            os.chmod(directory, 0o755)
            arguments = ["contained=yes", *(f"{name}={value}" for name, value in parameters.items())]
            result = self.start(path, pathlib.Path(directory), arguments)
        try:
            return inside.parse(result.stdout.splitlines())
        except (AssertionError, ValueError) as error:
            words = (result.stderr or "").strip().splitlines()
            return f"{self.tool} did not run it to the end: {words[-1] if words else error}"


def execute(command, **more):
    return subprocess.run([str(word) for word in command], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          stdin=subprocess.DEVNULL, text=True, errors="replace", check=False, timeout=180, **more)


def as_user(**more):
    """bubblewrap is run as its users do: unprivileged."""
    return {"user": clade.STRANGER, "group": clade.STRANGER, "extra_groups": [], **more} \
        if os.geteuid() == 0 else more


def bubblewrap(with_filter):
    def run(path, directory, arguments):
        command = [path, "--unshare-all", "--die-with-parent", "--new-session", "--clearenv",
                   "--setenv", "ONE", "1", "--setenv", "TWO", "zwei", "--proc", "/proc", "--dev", "/dev", "--tmpfs",
                   "/tmp", "--ro-bind", inside.PROGRAM, "/escape"]
        if not with_filter:
            return execute([*command, "/escape", *arguments], **as_user())
        (directory / "filter").write_bytes(program())
        with open(directory / "filter", "rb") as file:
            return execute([*command, "--seccomp", file.fileno(), "/escape", *arguments],
                           **as_user(pass_fds=[file.fileno()]))
    return run


def oci(with_filter):
    """crun and runc: the configuration that they write themselves, less its terminal, and not as root inside."""
    def run(path, directory, arguments):
        root = directory / "rootfs"
        for name in ("proc", "dev", "sys", "tmp"):
            (root / name).mkdir(parents=True)
        shutil.copy(inside.PROGRAM, root / "escape")
        execute([path, "spec"], cwd=directory)
        file = directory / "config.json"
        config = json.loads(file.read_text())
        config["process"] |= {"terminal": False, "args": ["/escape", *arguments],
                              "env": ["ONE=1", "TWO=zwei"], "user": {"uid": 1000, "gid": 1000}, "cwd": "/"}
        config["linux"].pop("resources", None)
        if with_filter:
            config["linux"]["seccomp"] = oci_filter()
        file.write_text(json.dumps(config))
        name = f"clade-peer-{os.getpid()}-{directory.name[-6:]}"
        more = ["--cgroup-manager=disabled"] if "crun" in path else []
        # Neither likes a machine with both versions of control groups: they get a tidy one of their own.
        script = "mount -t tmpfs none /sys/fs/cgroup && mount -t cgroup2 none /sys/fs/cgroup; exec \"$@\""
        try:
            return execute(["unshare", "-m", "--propagation", "private", "sh", "-c", script, "sh", path, *more,
                            "--root", directory / "state", "run", "--bundle", directory, name])
        finally:
            with contextlib.suppress(subprocess.TimeoutExpired):
                execute([path, "--root", directory / "state", "delete", "--force", name])
    return run


def nsjail(path, _directory, arguments):
    return execute([path, "-Mo", "--quiet", "--user", "1000", "--group", "1000", "-R", f"{inside.PROGRAM}:/escape",
                    "-E", "ONE=1", "-E", "TWO=zwei", "--", "/escape", *arguments], **as_user())


def minijail(path, _directory, arguments):
    return execute([path, "-Uvprle", "-m", "-M", "-n", "--", inside.PROGRAM, *arguments], **as_user())


PEERS = (
    Peer("bwrap", "bwrap", bubblewrap(False), "bubblewrap"),
    Peer("bwrap+filter", "bwrap", bubblewrap(True), "bubblewrap"),
    Peer("crun", "crun", oci(False)),
    Peer("crun+filter", "crun", oci(True)),
    Peer("runc", "runc", oci(False)),
    Peer("runc+filter", "runc", oci(True)),
    Peer("nsjail", "nsjail", nsjail, "-"),
    Peer("minijail", "minijail0", minijail, "-"),
)
