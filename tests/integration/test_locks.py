"""Landlock rules, capabilities, limits, scheduling, clocks and the network of one's own: what they do to a worker."""

import json
import os
import pathlib
import socket
import time

import pytest

import clade
import expressions

USERS = pytest.mark.users("root", "user", "subuid")


@pytest.fixture(name="run")
def run_fixture(place):
    return expressions.starter(place)


def shared(place, *names):
    """A directory that any application may write to, with directories in it."""
    path = place.path / "data"
    for directory in (path, *(path / name for name in names)):
        directory.mkdir()
        directory.chmod(0o777)
    return path


@USERS
def test_rules_for_paths(place, run):
    data = shared(place, "in", "out")
    ask = run({"mounts": [{"destination": "/data", "source": str(data), "options": ["rw"]}],
               "landlock": {"paths": [{"path": "/", "rights": ["read", "execute"]},
                                      {"path": "/data/in", "rights": ["write", "make_reg"]}]}})
    assert ask("write('/data/in/x')") == "ok"
    assert ask("write('/data/out/x')") == "EACCES"
    assert ask("write('/tmp/x')") == "EACCES"
    assert ask("call(os.mkdir, '/data/in/d')") == "EACCES"
    assert ask("call(os.unlink, '/data/in/x')") == "EACCES"
    assert ask("call(os.rename, '/data/in/x', '/data/out/x')") in ("EXDEV", "EACCES")
    assert (data / "in" / "x").read_text() == "1" and not list((data / "out").iterdir())


@USERS
def test_what_is_not_named_cannot_be_read(place, run):
    ask = run({"landlock": {"paths": [{"path": path, "rights": ["read", "execute"]}
                                      for path in ("/usr", "/srv")]}})
    assert ask("call(os.listdir, '/srv')") == ["script.py"]
    assert ask("call(os.listdir, '/etc')") == "EACCES"
    assert ask("call(os.open, '/etc/passwd', 0)") == "EACCES"


@USERS
def test_a_domain_follows_from_the_mounts(place, run):
    """A fifo on a read-only mount is written to all the same, were it not for Landlock."""
    data = shared(place)
    os.mkfifo(data / "fifo")
    os.chmod(data / "fifo", 0o666)
    for options, answer in ((["ro"], "EACCES"), (["rw"], "ok")):
        ask = run({"mounts": [{"destination": "/data", "source": str(data), "options": options}]})
        reader = os.open(data / "fifo", os.O_RDONLY | os.O_NONBLOCK)
        assert ask("put('/data/fifo', 'x')") == answer
        os.close(reader)
        assert ask("call(os.stat, '/data/fifo').st_size") == 0
        # And what the mounts allow, it allows: files move between directories.
        assert ask("[call(os.mkdir, '/tmp/' + n) for n in 'ab']") == [None, None]
        assert ask("write('/tmp/a/f')") == "ok"
        assert ask("call(os.rename, '/tmp/a/f', '/tmp/b/f')") is None
        ask.server.stop()


@USERS
def test_ports_of_the_hosts_network(run):
    with socket.socket() as one, socket.socket() as other:
        for listener in (one, other):
            listener.bind(("127.0.0.1", 0))
            listener.listen()
        free, ports = clade.free_port(), [one.getsockname()[1], other.getsockname()[1]]
        ask = run({"network": "host", "landlock": {"connect": ports[:1], "bind": [free]}})
        assert ask(f"tcp('connect', {ports[0]})") == "ok"
        assert ask(f"tcp('connect', {ports[1]})") == "EACCES"
        assert ask(f"tcp('bind', {free})") == "ok"
        assert ask("tcp('bind', 0)") == "EACCES"


@USERS
def test_loopback(run):
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        port = listener.getsockname()[1]
        ask = run({"network": "loopback"})
        assert ask("[name for _, name in socket.if_nameindex()]") == ["lo"]
        assert ask("echo()") == "to oneself"
        assert ask(f"tcp('connect', {port})") == "ECONNREFUSED"
        assert ask("tcp('bind', 80)") == "EACCES"
        # Without it: nothing at all.
        ask = run()
        assert ask("tcp('connect', 80)") == "EPERM"
        assert ask("tcp('bind', 0)") == "EACCES"


@USERS
def test_capabilities(run):
    ask = run({"network": "loopback", "capabilities": "^cap_net_bind_service"})
    status = dict(line.split(":\t") for line in ask("open('/proc/self/status').read()").splitlines())
    for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
        assert int(status[name], 16) == 1 << 10, name
    assert status["NoNewPrivs"] == "1"
    assert ask("tcp('bind', 80)") == "ok"
    for pid in (*ask.server.prototypes().values(), *ask.server.workers()):
        assert int(clade.status(pid)["CapPrm"], 16) == 1 << 10


@USERS
def test_limits_and_scheduling_hold(run):
    own = os.getpriority(os.PRIO_PROCESS, 0)
    cpu = min(os.sched_getaffinity(0))
    ask = run(limits={"nice": 19, "cpus": str(cpu), "oom_score_adj": 700,
                      "rlimits": [{"type": "RLIMIT_FSIZE", "soft": 1000, "hard": 2000}]})
    assert ask("os.getpriority(0, 0)") == 19 > own
    assert ask("os.sched_getaffinity(0)") == {cpu}
    assert ask("open('/proc/self/oom_score_adj').read()") == "700\n"
    assert ask("resource.getrlimit(resource.RLIMIT_FSIZE)") == (1000, 2000)
    assert ask("resource.getrlimit(resource.RLIMIT_CORE)") == (1, 1)
    # None of it is the tenant's to take back.
    assert ask("call(os.setpriority, 0, 0, 18)") in ("EACCES", "EPERM")
    assert ask(f"call(os.sched_setaffinity, 0, {{{cpu}}})") == "EPERM"
    assert ask("put('/proc/self/oom_score_adj', '0')") in ("EACCES", "EROFS")
    assert ask("open('/proc/self/oom_score_adj').read()") == "700\n"
    more = ask("call(resource.setrlimit, resource.RLIMIT_FSIZE, (1000, 3000))")
    assert "not allowed" in str(more), more


@pytest.mark.users("root")
def test_root_gives_more_than_it_has(place, run, refuse):
    """Niceness below clade's own needs CAP_SYS_NICE on the host, which no tenant has."""
    wanted = os.getpriority(os.PRIO_PROCESS, 0) - 1
    if wanted < -20:
        refuse("the niceness of this test is the lowest already")
    ask = run(limits={"nice": wanted})
    assert ask("os.getpriority(0, 0)") == wanted
    assert ask(f"call(os.setpriority, 0, 0, {wanted - 1})") in ("EACCES", "EPERM")


@USERS
def test_host_name_and_clocks(run):
    ask = run({"hostname": "shop.example", "time_offsets": {"monotonic": 500000, "boottime": 700000}})
    assert ask("os.uname().nodename") == "shop.example"
    for clock, offset in (("MONOTONIC", 500000), ("BOOTTIME", 700000)):
        ours = time.clock_gettime(getattr(time, f"CLOCK_{clock}"))
        theirs = ask(f"time.clock_gettime(time.CLOCK_{clock})")
        assert 0 <= theirs - ours - offset < 60, clock


@pytest.mark.users("root")
def test_the_session_keyring_is_its_own(place, run):
    ask = run()
    plan = json.loads(place.command("plan", ask.server.configuration, "app").stdout)
    assert plan["keyring"]
    (worker,) = ask.server.workers()
    owner = clade.status(worker)["Uid"].split()[0]
    users = {line.split(":")[0].strip(): int(line.split()[2].split("/")[0])
             for line in pathlib.Path("/proc/key-users").read_text().splitlines()}
    assert users[owner] >= 1  # a key that counts as the application's
    assert ask("call(os.listdir, '/proc/self')")  # and nothing of it is to be seen
    assert ask("open('/proc/keys').read()") == ""


def refusal(place, isolation=None, listener=None, **more):
    """What `clade check` says to a configuration that it must refuse."""
    script = place.write("script.py", expressions.SCRIPT)
    configuration = place.configuration({"app": clade.python(script, isolation=isolation, **more)},
                                        {listener: "app"} if listener else None)
    done = place.command("check", configuration)
    assert done.returncode != 0, done.stdout
    return done.stderr


@USERS
def test_what_cannot_be_is_refused_beforehand(place):
    assert "cannot have the network \"loopback\"" in refusal(
        place, {"network": "loopback"}, f"127.0.0.1:{clade.free_port()}")
    assert "found true, expected false" in refusal(place, {"new_privs": True})
    assert "/absent inside the root" in refusal(
        place, {"landlock": {"paths": [{"path": "/absent", "rights": ["read"]}]}})
    assert "above clade's own hard limit" in refusal(place, limits={"rlimits": [
        {"type": "RLIMIT_NPROC", "soft": 100, "hard": 10 ** 15}]})
    assert "processor 8191 is not there" in refusal(place, limits={"cpus": "8191"})
    assert "the clock would show" in refusal(place, {"time_offsets": {"boottime": -2 ** 31}})
    confine = {"maximum": "confine", "minimum": "confine"}
    assert "no user namespace of its own, and so no capabilities" in refusal(
        place, {**confine, "capabilities": "^cap_net_bind_service"})
    if not place.root:
        assert "below clade's own" in refusal(place, limits={"nice": -20})
        assert "below clade's own" in refusal(place, limits={"oom_score_adj": -1000})


@USERS
def test_without_landlock_memory_cannot_be_read_all_the_same(place):
    """At the level "filter" nobody has a domain: then it is the kernel's flag for dumps that closes /proc."""
    path = place.path / "run" / "socket"
    server = place.run({"app": clade.native("probe", processes=2,
                                            isolation={"maximum": "filter", "minimum": "filter"})},
                       {f"unix:{path}": "app"})
    server.wait_ready("app")
    for pid in (*server.prototypes().values(), *server.workers()):
        assert os.stat(f"/proc/{pid}/mem").st_uid == 0  # not the application's
    text = clade.get(str(path), f"/peek?pid={server.prototypes()['app']}")
    answers = dict(line.rsplit(": ", 1) for line in text.splitlines())
    assert {answers[name] for name in ("mem", "environ", "maps")} <= {"EACCES", "EPERM"}, answers
