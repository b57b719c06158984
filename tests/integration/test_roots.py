"""Roots: what is hidden and what can be written to in them, how much fits, and roots that a tenant has prepared."""

import ctypes
import os
import pathlib
import subprocess
import threading

import pytest

import clade
import expressions

USERS = pytest.mark.users("root", "user", "subuid")
RENAME_EXCHANGE = 2
AT_FDCWD = -100

MORE = """
def fill(path):
    try:
        with open(path, "wb") as file:
            for count in range(1000):
                file.write(bytes(65536))
                file.flush()
        return count
    except OSError as error:
        return errno.errorcode[error.errno]

def read(path):
    try:
        with open(path, "rb") as file:
            return file.read(1000)
    except OSError as error:
        return errno.errorcode[error.errno]

def mounts():
    return [line.split() for line in open("/proc/self/mountinfo")]

def options(path):
    return [line[5] for line in mounts() if line[4] == path][-1].split(",")

def terminal():
    leader, other = os.openpty()
    os.write(other, b"word")
    return os.read(leader, 100), os.ttyname(other)
"""


@pytest.fixture(name="run")
def run_fixture(place):
    return expressions.starter(place, MORE)


@USERS
def test_by_default(run):
    ask = run()
    assert ask("put('/proc/self/comm', 'x')") == "EROFS"
    assert ask("read('/proc/keys')") == b""
    assert ask("os.listdir('/proc/acpi') if os.path.exists('/proc/acpi') else []") == []
    for path in ("/proc/sys/kernel/hostname", "/proc/sysrq-trigger", "/proc/irq/default_smp_affinity"):
        assert ask(f"put({path!r}, '1')") in ("EROFS", "EACCES", "ENOENT")
    assert ask("call(os.mkdir, '/new')") == "EROFS"
    # What a runtime reads of the machine is there.
    assert ask("os.cpu_count()") >= 1
    assert ask("len(read('/proc/meminfo'))") > 100
    # No mount takes part in events of others', and none of ours can be undone.
    assert all(not field.startswith(("shared:", "master:"))
               for line in ask("mounts()") for field in line[6:line.index("-")])
    assert ask("__import__('ctypes').CDLL(None, use_errno=True).umount2(b'/proc/keys', 2)") == -1
    # Nothing is left of what the masks were made from.
    assert not [name for name in ask("os.listdir('/')") if name.startswith(".mask")]


@USERS
def test_paths_that_are_masked_or_read_only(place, run):
    data = place.path / "data"
    (data / "sub").mkdir(parents=True)
    (data / "secret").write_text("secret")
    for path in (data, data / "sub"):
        path.chmod(0o777)
    ask = run({"mounts": [{"destination": "/data", "source": str(data), "options": ["rw"]}],
               "maskedPaths": ["/data/secret", "/usr/include", "/proc/meminfo", "/tmp"],
               "readonlyPaths": ["/data/sub", "/run"]})
    assert ask("read('/data/secret')") == b""
    assert ask("write('/data/secret')") in ("EROFS", "EACCES")
    assert ask("read('/proc/meminfo')") == b""
    assert ask("os.listdir('/tmp')") == []
    assert ask("call(os.mkdir, '/tmp/x')") in ("EROFS", "ENOENT")
    assert ask("write('/data/new')") == "ok"
    assert ask("write('/data/sub/new')") == "EROFS"
    assert ask("write('/run/new')") == "EROFS"
    assert (data / "secret").read_text() == "secret"
    assert ask("len(read('/proc/keys'))") >= 0


@USERS
def test_a_root_that_can_be_written_to(run):
    ask = run({"writable": "tmpfs", "root_size": "2M", "root_inodes": 512})
    assert ask("call(os.mkdir, '/new')") is None
    assert ask("write('/new/file')") == "ok"
    assert ask("write('/etc/passwd')") == "ok"
    assert ask("write('/usr/new')") == "EROFS"
    assert "noexec" in ask("options('/')")
    assert ask("fill('/new/large')") == "ENOSPC"
    assert ask("os.unlink('/new/large')") is None
    assert ask("[call(os.mkdir, f'/new/{n}') for n in range(600)][-1]") == "ENOSPC"


@USERS
def test_sizes(place, run):
    ask = run({"mounts": [{"destination": "/tmp", "type": "tmpfs", "options": ["size=1m", "nr_inodes=50"]},
                          {"destination": "/cache", "type": "tmpfs",
                           "options": ["nosuid", "strictatime", "mode=0700", "size=512k"]}]})
    assert ask("sum(line[4] == '/tmp' for line in mounts())") == 1
    assert ask("fill('/tmp/large')") == "ENOSPC"
    assert ask("[call(os.mkdir, f'/tmp/{n}') for n in range(60)][-1]") == "ENOSPC"
    assert ask("fill('/cache/large')") == "ENOSPC"
    assert ask("oct(os.stat('/cache').st_mode & 0o7777)") == "0o700"
    for options in ("size=0", "size=9999999t", "size=18446744073709551616", "nr_inodes=99g", "size=1025g"):
        refused = place.command("check", place.configuration({"app": {
            "type": "external", "executable": "/bin/true", "isolation": {"rootfs": "host", "mounts": [
                {"destination": "/tmp", "type": "tmpfs", "options": [options]}]}}}))
        assert refused.returncode == 1
        assert "/applications/app/isolation/mounts/0: option" in refused.stderr


@USERS
def test_terminals_queues_and_processes(run):
    ask = run({"mounts": [
        {"destination": "/dev/pts", "type": "devpts",
         "options": ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620"]},
        {"destination": "/dev/mqueue", "type": "mqueue", "options": ["nosuid", "noexec", "nodev"]},
        {"destination": "/proc", "type": "proc", "options": ["subset=pid,hidepid=invisible"]}]})
    assert ask("terminal()") == (b"word", "/dev/pts/0")
    assert ask("os.listdir('/dev/pts')") == ["ptmx"] or ask("os.listdir('/dev/pts')") == ["0", "ptmx"]
    assert ask("os.path.ismount('/dev/mqueue')")
    assert ask("[name for name in os.listdir('/proc') if not name.isdigit()]") == ["self", "thread-self"] or \
        set(ask("[name for name in os.listdir('/proc') if not name.isdigit()]")) <= {"self", "thread-self"}
    assert ask("sum(line[4].startswith('/proc') for line in mounts())") == 1


@pytest.mark.users("root")
def test_read_only_is_so_below_a_source_too(place, run):
    data = place.path / "data"
    (data / "below").mkdir(parents=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "mode=1777,size=1m", "none", data / "below"], check=True)
    try:
        (data / "below" / "file").write_text("x")
        (data / "below" / "file").chmod(0o666)
        data.chmod(0o777)
        ask = run({"mounts": [{"destination": "/plain", "source": str(data)},
                              {"destination": "/rro", "source": str(data), "options": ["rbind", "rro"]},
                              {"destination": "/rw", "source": str(data), "options": ["rw", "noatime"]}]})
        for top in ("/plain", "/rro"):
            assert ask(f"write('{top}/below/file')") == "EROFS"
            assert {"ro", "nosuid", "nodev"} <= set(ask(f"options('{top}/below')"))
        assert ask("write('/rw/below/file')") == "ok"
        assert {"nosuid", "nodev", "noatime"} <= set(ask("options('/rw/below')"))
        ask.server.stop()
        refused = place.command("check", place.configuration({"app": {
            "type": "external", "executable": "/bin/true", "isolation": {"rootfs": "host", "mounts": [
                {"destination": "/x", "source": str(data), "options": ["bind"]}]}}}))
        assert refused.returncode == 1 and "is mounted below" in refused.stderr, refused.stderr
    finally:
        subprocess.run(["umount", "-l", data / "below"], check=True)


# --- roots of a tenant's, row 24 ------------------------------------------------------------------


TENANT = 62346


class Prepared:
    """A tree of a tenant's: a root, and a directory that is shown in it to write to, with a target below."""

    def __init__(self, place):
        self.top = place.path / "tenant"
        self.victim = place.path / "victim"
        for path in ("root/srv", "root/etc", "root/dev", "data/inner", "data/kept"):
            (self.top / path).mkdir(parents=True)
        self.victim.mkdir()
        (self.victim / "file").write_text("untouched")
        self.victim.chmod(0o755)
        self.before = self.state()
        owner = TENANT if place.root else place.who.uid
        (self.top / "data").chmod(0o777)
        (self.top / "data" / "link").symlink_to(self.victim)
        (self.top / "root" / "srv" / "link").symlink_to(self.victim)
        if os.geteuid() == 0:
            for path in (self.top, *self.top.rglob("*")):
                os.chown(path, owner, owner, follow_symlinks=False)

    def state(self):
        stat = self.victim.stat()
        return (stat.st_mode, stat.st_uid, sorted(os.listdir(self.victim)),
                (self.victim / "file").read_text(), (self.victim / "file").stat().st_mode)


class Racer:
    """A thread that exchanges two names all the time; without the interpreter's lock while it does."""

    def __init__(self, one, other):
        self.names = os.fsencode(one), os.fsencode(other)
        self.over = threading.Event()
        self.count = 0
        self.thread = threading.Thread(target=self.race, daemon=True)

    def race(self):
        libc = ctypes.CDLL(None, use_errno=True)
        one, other = self.names
        while not self.over.is_set():
            assert libc.renameat2(AT_FDCWD, one, AT_FDCWD, other, RENAME_EXCHANGE) == 0
            self.count += 1

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.over.set()
        self.thread.join()
        assert self.count > 100


@USERS
@pytest.mark.parametrize("names", [("data/inner", "data/link"), ("root/srv", "root/etc"),
                                   ("data", "root")], ids=["target", "top", "source"])
def test_a_thread_that_swaps(place, names):
    """Targets and sources change under the start's hands: it is refused, or what happens stays inside."""
    prepared = Prepared(place)
    mounts = clade.host_mounts()
    application = {
        "type": "external", "executable": "/bin/true", "isolation": {"rootfs": "host", "mounts": [
            {"destination": "/data", "source": str(prepared.top / "data"), "options": ["rw"]},
            {"destination": "/data/inner", "type": "tmpfs", "options": ["size=64k"]},
            {"destination": "/image", "source": str(prepared.top / "root")}]}}
    endings = set()
    with Racer(*(prepared.top / name for name in names)):
        for _ in range(2 if clade.sanitized() else 6):
            server = place.run({f"app{n}": application for n in range(4)}, {})
            for n in range(4):
                clade.wait_until(lambda n=n: server.find("application-ready", f"app{n}") or
                                 server.find("application-failed", f"app{n}") or
                                 server.process.poll() is not None, 20, "it is ready or refused")
                endings.add(bool(server.find("application-ready", f"app{n}")))
            server.stop()
    assert endings
    assert prepared.state() == prepared.before
    assert clade.host_mounts() == mounts
    # Nothing was made in the tenant's tree either.
    assert sorted(os.listdir(prepared.top / "data")) in (["inner", "kept", "link"], ["dev", "etc", "srv"])


@USERS
def test_a_template_in_a_tenants_root_is_none(place):
    prepared = Prepared(place)
    template = prepared.top / "root" / "template.json"
    template.write_text('{"entries": [{"bind": "/everything", "source": "/"}]}')
    if os.geteuid() == 0:
        os.chown(template, *2 * [TENANT if place.root else place.who.uid])
    template.chmod(0o666)
    application = {"type": "external", "executable": "/bin/true",
                   "isolation": {"rootfs": str(prepared.top / "root")}}
    refused = place.command("check", place.configuration({"app": application}))
    assert refused.returncode == 1
    assert "/applications/app/isolation/rootfs: " in refused.stderr
    assert "may be written by others than root and clade" in refused.stderr


@pytest.mark.users("root")
def test_a_device_that_is_none(place):
    """A host whose /dev/null is a directory, or another device."""
    configuration = place.configuration({"app": {"type": "external", "executable": "/bin/true",
                                                 "isolation": {"rootfs": "host"}}})
    false_null = pathlib.Path(place.write("null/x", "")).parent
    for over, what in ((false_null, "directory"), ("/dev/zero", "other device")):
        spoil = "umount -l /dev/null; touch /dev/null 2>&-; true"
        script = (f"mount --make-rprivate / && mount -t tmpfs none /mnt && mkdir /mnt/dev && "
                  f"cp -a /dev/zero /dev/full /dev/random /dev/urandom /dev/tty /mnt/dev/ && "
                  f"cp -a {over} /mnt/dev/null && mount --bind /mnt/dev /dev && {spoil}; "
                  f"exec {clade.CLADE} check {configuration}")
        refused = subprocess.run(["unshare", "-m", "sh", "-c", script], capture_output=True, text=True,
                                 check=False, stdin=subprocess.DEVNULL)
        assert refused.returncode == 1, (what, refused.stderr)
        assert "/dev/null is not the character device 1:3" in refused.stderr, (what, refused.stderr)


def test_a_mask_is_not_moved_away(place):
    """Whoever may rename the directory above it must not start without it."""
    port = clade.free_port()
    data = place.path / "data"
    (data / "conf").mkdir(parents=True)
    (data / "conf" / "secret").write_text("TOPSECRET")
    for path in (data, data / "conf", data / "conf" / "secret"):
        path.chmod(0o777)
        os.chown(path, place.who.uid, place.who.gid)
    server = place.run(
        {"app": clade.native("probe", isolation={
            "maskedPaths": ["/data/conf/secret"],
            "mounts": [{"destination": "/data", "source": str(data), "options": ["rw"]}]})},
        {f"127.0.0.1:{port}": "app"})
    server.wait_ready("app")
    assert clade.get(port, "/file?path=/data/conf/secret") == ""
    (data / "conf").rename(data / "moved")
    os.kill(server.prototypes()["app"], 9)
    failed = server.wait_event("application-failed", "app")
    assert failed["step"] == "entries" and "/data/conf/secret" in failed["message"]
    (data / "moved").rename(data / "conf")
    server.wait_event("application-ready", "app", count=2)
    assert clade.get(port, "/file?path=/data/conf/secret") == ""
    assert server.stop() == 0
