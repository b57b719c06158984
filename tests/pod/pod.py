"""Pods, imitated: a container with what Kubernetes' "restricted" leaves to it, made by crun.

Nothing of a cluster is needed for what matters to clade: an ordinary uid, no capabilities, no_new_privs, a read-only
root, a masked /proc, and an engine's seccomp profile. Three of those are made here, all from the one that is
shipped (docs/kubernetes/clade.json):

    runtime-default   what containerd and Docker do: no namespaces, EPERM; clone3 ENOSYS
    crio              the same, but what is not allowed answers ENOSYS
    nesting           the shipped one itself
"""

import json
import os
import pathlib
import shutil
import subprocess
import tempfile

SOURCE = pathlib.Path(__file__).resolve().parents[2]
SHIPPED = SOURCE / "docs" / "kubernetes" / "clade.json"
UID = 10001

EPERM, ENOSYS = 1, 38
NEW_NAMESPACES = 0x7E020000  # CLONE_NEW*, without time

MASKED = ["/proc/acpi", "/proc/kcore", "/proc/keys", "/proc/latency_stats", "/proc/timer_list",
          "/proc/sched_debug", "/proc/scsi", "/sys/firmware"]
READ_ONLY = ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"]


def without_nesting(errno):
    profile = json.loads(SHIPPED.read_text())
    profile["syscalls"] = [rule for rule in profile["syscalls"]
                           if not rule["comment"].startswith("nesting")]
    profile["syscalls"] += [
        {"names": ["clone"], "action": "SCMP_ACT_ALLOW",
         "args": [{"index": 0, "value": NEW_NAMESPACES, "valueTwo": 0,
                   "op": "SCMP_CMP_MASKED_EQ"}]},
        {"names": ["clone3"], "action": "SCMP_ACT_ERRNO", "errnoRet": ENOSYS},
    ]
    profile["defaultErrnoRet"] = errno
    return profile


PROFILES = {
    "runtime-default": lambda: without_nesting(EPERM),
    "crio": lambda: without_nesting(ENOSYS),
    "nesting": lambda: json.loads(SHIPPED.read_text()),
}


def crun_profile(profile):
    """What crun takes: no comments, and the machine's own architecture first."""
    profile = dict(profile)
    profile.pop("comment", None)
    profile["syscalls"] = [{key: value for key, value in rule.items() if key != "comment"}
                           for rule in profile["syscalls"]]
    profile["architectures"] = ["SCMP_ARCH_" + {"x86_64": "X86_64", "aarch64": "AARCH64"}
                                [os.uname().machine]]
    return profile


def bind(path, *options):
    return {"destination": str(path), "source": str(path), "type": "bind",
            "options": ["rbind", *(options or ("ro",))]}


class Pod:
    """One container; run() starts a program in it."""

    def __init__(self, profile, shown, masked=True, no_new_privs=True, uid=UID, capabilities=(),
                 shared_network=True):
        self.path = pathlib.Path(tempfile.mkdtemp(prefix="clade-pod-"))
        self.path.chmod(0o755)
        root = self.path / "rootfs"
        for name in ("usr", "etc", "proc", "sys", "dev", "tmp", "run", "var", "secrets"):
            (root / name).mkdir(parents=True, exist_ok=True)
        for name in ("bin", "sbin", "lib", "lib32", "lib64", "libx32"):
            if os.path.islink(f"/{name}"):
                (root / name).symlink_to(os.readlink(f"/{name}"))
        (root / "secrets" / "token").write_text("the pod's\n")
        mounts = [
            {"destination": "/proc", "type": "proc", "source": "proc"},
            {"destination": "/dev", "type": "tmpfs", "source": "tmpfs",
             "options": ["nosuid", "strictatime", "mode=755", "size=65536k"]},
            {"destination": "/dev/shm", "type": "tmpfs", "source": "shm",
             "options": ["nosuid", "noexec", "nodev", "mode=1777", "size=65536k"]},
            {"destination": "/tmp", "type": "tmpfs", "source": "tmpfs",
             "options": ["nosuid", "nodev", "mode=1777"]},
            {"destination": "/run", "type": "tmpfs", "source": "tmpfs",
             "options": ["nosuid", "nodev", "mode=1777"]},
            bind("/usr"), bind("/etc"),
        ]
        mounts += [bind(path, *options) for path, *options in shown]
        namespaces = [{"type": kind} for kind in ("pid", "ipc", "uts", "mount", "cgroup")]
        if not shared_network:
            namespaces.append({"type": "network"})
        sets = {name: list(capabilities) for name in ("bounding", "effective", "permitted")}
        self.config = {
            "ociVersion": "1.0.2",
            "process": {
                "terminal": False, "user": {"uid": uid, "gid": uid}, "cwd": "/",
                "env": ["PATH=/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/tmp", "LANG=C.UTF-8"]
                # LeakSanitizer traces, which no engine's profile allows.
                + [f"ASAN_OPTIONS={os.environ.get('ASAN_OPTIONS', '')}:detect_leaks=0"]
                + [f"{key}={value}" for key, value in os.environ.items()
                   if key.endswith("SAN_OPTIONS") and key != "ASAN_OPTIONS"],
                "capabilities": sets, "noNewPrivileges": no_new_privs,
            },
            "root": {"path": "rootfs", "readonly": True},
            "hostname": "pod",
            "mounts": mounts,
            "linux": {
                "namespaces": namespaces,
                "maskedPaths": MASKED if masked else [],
                "readonlyPaths": READ_ONLY if masked else [],
            },
        }
        if profile:
            self.config["linux"]["seccomp"] = crun_profile(PROFILES[profile]())
        self.processes = []

    def popen(self, arguments, **more):
        self.config["process"]["args"] = [str(argument) for argument in arguments]
        (self.path / "config.json").write_text(json.dumps(self.config, indent=1))
        # crun wants control groups of version 2 in sight, and is told to leave them alone.
        script = ('mount -t cgroup2 none /sys/fs/cgroup && exec crun --root "$1/state" '
                  '--cgroup-manager=disabled run --bundle "$1" "$2"')
        process = subprocess.Popen(
            ["unshare", "-m", "sh", "-c", script, "sh", self.path, self.path.name],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            start_new_session=True, **more)
        self.processes.append(process)
        return process

    def run(self, arguments, timeout=60):
        process = self.popen(arguments)
        out, err = process.communicate(timeout=timeout)
        return subprocess.CompletedProcess(process.args, process.returncode, out, err)

    def close(self):
        for process in self.processes:
            if process.poll() is None:
                # The container's first process ends the rest; crun follows it.
                subprocess.run(["unshare", "-m", "sh", "-c",
                                'mount -t cgroup2 none /sys/fs/cgroup; '
                                'exec crun --root "$1/state" --cgroup-manager=disabled kill "$2" KILL',
                                "sh", self.path, self.path.name],
                               check=False, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
                process.wait(timeout=20)
        shutil.rmtree(self.path, ignore_errors=True)
