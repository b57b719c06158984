"""Limits in control groups, by what the kernel does when they are met."""

import contextlib
import http.client
import os
import pathlib

import pytest

import clade
import groups

MEGABYTE = 1 << 20


def greedy(**more):
    return clade.native("greedy", symbol="takes", **more)


@pytest.fixture(name="host")
def host_fixture(place):
    """Starts applications where their limits can be had: root names a control group, others are in one."""
    group = groups.make("clade-vm", None if place.root else place.who)

    def start(applications, settings=None):
        ports = {name: clade.free_port() for name in applications}
        listeners = {f"127.0.0.1:{port}": name for name, port in ports.items()}
        if place.root:
            server = place.run(applications, listeners, {"cgroup": str(group), **(settings or {})})
        else:
            server = groups.start_in(place, group, applications, listeners, settings)
        return server, ports

    def again(applications):
        """After one that was killed: its place is divided, and takes no processes but below it."""
        if place.root:
            return start(applications)
        inner = group / "again"
        inner.mkdir()
        os.chown(inner, place.who.uid, place.who.gid)
        return groups.start_in(place, inner, applications, None, {"cgroup": str(group)}), None

    start.again = again
    yield start
    place.close()
    left = groups.below(group)
    groups.remove(group)
    if place.root:
        assert not left, left


def ask_and_lose(port, target):
    with contextlib.suppress(http.client.HTTPException, OSError):
        clade.get(port, target, timeout=30)


def test_a_worker_out_of_memory_is_killed_alone_and_replaced(host):
    server, ports = host({"a": greedy(processes=2, limits={"memory": "64M"})})
    server.wait_ready("a")
    before = server.workers("a")
    prototype = server.prototypes()["a"]
    ask_and_lose(ports["a"], "/eat?megabytes=200")
    dead = server.wait_event("worker-exited", "a")
    assert (dead["signal"], dead["out_of_memory"]) == (9, 1), dead
    told = server.wait_event("memory-limit", "a")
    assert (told["kills"], told["limit"], told["errno"]) == (1, 64 * MEGABYTE, "ENOMEM")
    server.wait_event("worker-ready", "a", count=3)
    after = server.workers("a")
    assert set(before) - set(after) == {dead["pid"]} and len(after) == 2
    assert server.prototypes()["a"] == prototype
    assert int(clade.get(ports["a"])) > 0
    assert clade.get(ports["a"], "/eat?megabytes=20") == "20\n"
    groups.stop(server)


def test_with_oom_group_all_of_it_is_ended_and_started_anew(host):
    server, ports = host({"a": greedy(processes=2, limits={"memory": "64M", "oom_group": True})})
    server.wait_ready("a")
    ask_and_lose(ports["a"], "/eat?megabytes=200")
    ended = server.wait_event("prototype-exited", "a")
    assert ended["signal"] == 9 and ended["out_of_memory"] == 1
    server.wait_event("prototype-started", "a", count=2)
    server.wait_event("application-ready", "a", count=2)
    groups.stop(server)


def test_a_fork_bomb_stops_at_tasks(host):
    server, ports = host({"a": greedy(processes=2, limits={"tasks": 20})})
    server.wait_ready("a")
    group = groups.application_group(server, "a")
    assert (group / "pids.max").read_text() == "20\n"
    # The prototype and two workers are there already.
    assert clade.get(ports["a"], "/forks", timeout=30) == "17 EAGAIN\n"
    assert int(clade.get(ports["a"])) > 0
    groups.stop(server)


@pytest.mark.users("root")
def test_the_limit_on_tasks_is_told_once(host):
    # Without a user namespace RLIMIT_NPROC counts a user's processes everywhere, so it is not used.
    server, ports = host({"a": greedy(limits={"tasks": 10},
                                      isolation={"namespaces": {"credential": False}})})
    server.wait_ready("a")
    for _ in range(3):
        assert clade.get(ports["a"], "/forks", timeout=30) == "8 EAGAIN\n"
    assert server.wait_event("tasks-limit", "a")["limit"] == 10
    groups.settle()
    assert len(server.find("tasks-limit", "a")) == 1
    groups.stop(server)


@pytest.mark.users("root")
def test_processor_time_is_bounded(host):
    server, ports = host({"a": greedy(limits={"cpu": 0.2}), "b": greedy()})
    server.wait_ready("a", "b")
    assert (groups.application_group(server, "a") / "cpu.max").read_text() == "20000 100000\n"
    limited, free = (float(clade.get(ports[name], "/burn", timeout=60)) for name in "ab")
    assert limited < 0.3 and free > 2 * limited, (limited, free)
    groups.stop(server)


def test_io_of_a_device_is_bounded(host):
    limits = {"io": {"/dev/nullb0": {"write_bytes": "1M", "read_requests": 50}}}
    server, _ = host({"a": greedy(limits=limits)})
    server.wait_ready("a")
    number = os.stat("/dev/nullb0").st_rdev
    line = (groups.application_group(server, "a") / "io.max").read_text().split()
    assert line[0] == f"{os.major(number)}:{os.minor(number)}"
    assert dict(word.split("=") for word in line[1:]) == {
        "rbps": "max", "wbps": str(MEGABYTE), "riops": "50", "wiops": "max"}
    groups.stop(server)


def test_it_is_the_root_of_its_cgroup_namespace_and_pressure_can_be_read(host):
    server, ports = host({"a": greedy(processes=2, limits={"memory": "64M"})})
    server.wait_ready("a")
    assert clade.get(ports["a"], "/cgroup") == "0::/\n"
    group = groups.application_group(server, "a")
    assert groups.members(group) == {server.prototypes()["a"], *server.workers("a")}
    for name in ("memory", "cpu", "io"):
        assert (group / f"{name}.pressure").read_text().startswith("some avg10=")
    assert (group / "memory.swap.max").read_text() == "0\n"
    groups.stop(server)
    assert not group.exists()


def test_every_prototype_has_a_control_group_of_its_own(host):
    server, _ = host({"a": greedy(limits={"tasks": 30})})
    server.wait_ready("a")
    first = groups.application_group(server, "a")
    os.kill(server.prototypes()["a"], 9)
    server.wait_event("application-ready", "a", count=2)
    second = groups.application_group(server, "a")
    assert first != second and second.exists()
    clade.wait_until(lambda: not first.exists(), 5, f"{first} is still there")
    groups.stop(server)


@pytest.mark.parametrize("end", ["stop", "kill"])
def test_without_a_pid_namespace_strays_go_with_clade(host, end):
    server, ports = host({"a": greedy(limits={"tasks": 30}, isolation={"namespaces": {"pid": False}})})
    server.wait_ready("a")
    group = groups.application_group(server, "a")
    clade.get(ports["a"], "/stray")
    assert len(groups.members(group)) == 3
    if end == "stop":
        groups.stop(server)
        assert not group.exists()
        return
    os.kill(server.pid, 9)
    server.wait()
    clade.wait_until(lambda: not groups.members(group), 10, "strays outlive clade")
    # What is left is empty, and the next one removes it.
    again, _ = host.again({"a": greedy(limits={"tasks": 30})})
    again.wait_ready("a")
    assert again.find("cgroup-removed")
    assert not group.exists()
    groups.stop(again)


@pytest.mark.users("root")
def test_two_clades_share_a_place(place):
    settings = {"cgroup": str(groups.TOP / "made-by-clade")}
    servers = [place.run({"a": greedy(limits={"memory": "64M"})}, {}, settings) for _ in range(2)]
    for server in servers:
        server.wait_ready("a")
    directories = {groups.application_group(server, "a") for server in servers}
    assert len(directories) == 2 and all(path.exists() for path in directories)
    for server in servers:
        groups.stop(server)
    group = pathlib.Path(settings["cgroup"])
    assert not groups.below(group)
    groups.remove(group)
