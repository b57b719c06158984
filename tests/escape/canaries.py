"""What stands outside while something inside tries to reach it; afterwards it must be as it was."""

import contextlib
import ctypes
import os
import pathlib
import secrets
import signal
import socket
import subprocess

import time

LIBC = ctypes.CDLL(None, use_errno=True)
LIBC.shmat.restype = ctypes.c_void_p
LIBC.shmat.argtypes = (ctypes.c_int, ctypes.c_void_p, ctypes.c_int)
LIBC.shmdt.argtypes = (ctypes.c_void_p,)
IPC_CREAT, IPC_RMID, PR_SET_PDEATHSIG = 0o1000, 0, 1
SYSCTLS = ("kernel/core_pattern", "kernel/hostname", "kernel/domainname", "kernel/modprobe",
           "kernel/randomize_va_space", "net/ipv4/ip_forward", "net/ipv4/ip_unprivileged_port_start",
           "fs/protected_symlinks", "vm/panic_on_oom")
# Counts what reaches it, and lives until it is told otherwise.
VICTIM = """
import signal, sys
signal.signal(signal.SIGCONT, lambda *_: print("hit", flush=True))
print("up", flush=True)
while True:
    signal.pause()
"""


def read(path):
    try:
        return pathlib.Path(path).read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        return error.strerror


class Canaries:
    """`directory` is somebody's own; `uid` is who the application is for the host, whom they must resist."""

    def __init__(self, directory, uid, gid, become=True):
        self.mark = secrets.token_hex(6)
        self.stack = contextlib.ExitStack()
        self.file = pathlib.Path(directory) / f"canary-{self.mark}"
        self.file.write_text(self.mark)
        self.file.chmod(0o600)
        self.posix = pathlib.Path("/dev/shm") / f"canary-{self.mark}"
        self.posix.write_text(self.mark)
        self.posix.chmod(0o666)
        self.stack.callback(lambda: [path.unlink(missing_ok=True) for path in (self.file, self.posix)])
        self.key = int(self.mark[:7], 16) | 1
        self.shm = LIBC.shmget(self.key, 4096, IPC_CREAT | 0o666)
        if self.shm < 0:
            raise OSError(ctypes.get_errno(), "shmget")
        self.stack.callback(LIBC.shmctl, self.shm, IPC_RMID, None)
        self.memory = LIBC.shmat(self.shm, None, 0)
        ctypes.memmove(self.memory, self.mark.encode(), 12)
        self.stack.callback(LIBC.shmdt, self.memory)
        self.sockets = [self.listening(socket.AF_UNIX, f"\0escape-{self.mark}"),
                        self.listening(socket.AF_INET, ("127.0.0.1", 0))]
        self.datagram = self.stack.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM))
        self.datagram.bind(f"\0escape-{self.mark}-datagram")
        self.datagram.setblocking(False)
        self.victim = self.live(uid, gid, become)
        self.before = self.snapshot()

    def listening(self, family, address):
        sock = self.stack.enter_context(socket.socket(family))
        sock.bind(address)
        sock.listen(8)
        sock.setblocking(False)
        return sock

    def live(self, uid, gid, become):
        more = {"user": uid, "group": gid, "extra_groups": []} if become else {}
        process = subprocess.Popen(["/usr/bin/python3", "-c", VICTIM], stdout=subprocess.PIPE, cwd="/",
                                   preexec_fn=lambda: LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL),
                                   stdin=subprocess.DEVNULL, **more)
        self.stack.callback(process.stdout.close)
        self.stack.callback(process.wait)
        self.stack.callback(process.kill)
        assert process.stdout.readline() == b"up\n"
        os.set_blocking(process.stdout.fileno(), False)
        return process

    def parameters(self):
        """What the probe is told about them."""
        return {"file": str(self.file), "shm": self.key, "posix": self.posix.name,
                "abstract": f"escape-{self.mark}", "datagram": f"escape-{self.mark}-datagram",
                "port": self.sockets[1].getsockname()[1], "key": f"escape:{self.mark}"}

    @staticmethod
    def snapshot():
        found = {name: read(f"/proc/sys/{name}") for name in SYSCTLS}
        found["mounts"] = sorted(line.split(" ", 1)[1] for line in read("/proc/self/mountinfo").splitlines())
        found["interfaces"] = sorted(os.listdir("/sys/class/net"))
        found["boot"] = [line for line in read("/proc/stat").splitlines() if line.startswith("btime")]
        return found

    def touched(self):
        """What is not as it was; nothing, that is."""
        found = []
        time.sleep(0.05)
        now = self.snapshot()
        found += [f"{name} was {value!r} and is {now[name]!r}" for name, value in self.before.items()
                  if value != now[name] and not (name == "boot" and drifted(value, now[name]))]
        for path in (self.file, self.posix):
            if read(path) != self.mark:
                found.append(f"{path}: {read(path)!r}")
        if ctypes.string_at(self.memory, 12) != self.mark.encode():
            found.append("System V shared memory")
        for sock in self.sockets:
            with contextlib.suppress(BlockingIOError):
                sock.accept()[0].close()
                found.append(f"a connection to {sock.getsockname()!r}")
        with contextlib.suppress(BlockingIOError):
            found.append(f"a datagram: {self.datagram.recv(100)!r}")
        if self.victim.poll() is not None:
            found.append(f"a process of the same id has died: {self.victim.returncode}")
        elif self.victim.stdout.read():
            found.append("a process of the same id was signalled")
        return found

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stack.close()


def drifted(before, now):
    """btime is computed, and off by one now and then."""
    return abs(int(before[0].split()[1]) - int(now[0].split()[1])) <= 1
