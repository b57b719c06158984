"""Who may have control groups, and what is said to those who may not."""

import subprocess

import pytest

import clade
import groups


def greedy(**more):
    return clade.native("greedy", symbol="takes", **more)


def refused(server, application="a"):
    return server.wait_event("application-failed", application)


def test_nobody_has_delegated_anything(place):
    """We are at the top, which is the administrator's."""
    server = place.run({"a": greedy(limits={"memory": "64M"}), "b": greedy(limits={"cpu": 0.5}),
                        "c": greedy(limits={"tasks": 20}), "d": greedy()})
    server.wait_ready("c", "d")
    for name, limit in (("a", "memory"), ("b", "cpu")):
        failed = refused(server, name)
        assert failed["errno"] == "EPERM"
        assert f"/applications/{name}/limits/{limit}: this limit needs a control group" in failed["message"]
        assert "not delegated" in failed["message"]
        assert "Delegate=yes" in failed["remedy"] and "settings.cgroup" in failed["remedy"]
    assert "cgroup" not in server.find("prototype-started", "d")[0]
    assert not groups.below(groups.TOP)


def test_tasks_are_held_without_a_control_group(place):
    port = clade.free_port()
    server = place.run({"a": greedy(limits={"tasks": 12})}, {f"127.0.0.1:{port}": "a"})
    server.wait_ready("a")
    assert clade.get(port, "/forks", timeout=30) == "10 EAGAIN\n"
    groups.stop(server)


@pytest.mark.users("user", "subuid")
def test_an_ordinary_user_leaves_the_place_as_it_was(place):
    group = groups.make("delegated", place.who)
    try:
        server = groups.start_in(place, group, {"a": greedy(limits={"memory": "64M", "tasks": 20})})
        server.wait_ready("a")
        inside = groups.below(group)
        own = f"clade-{server.pid}"
        assert inside == sorted([own, f"{own}/applications", f"{own}/applications/a-1",
                                 f"{own}/supervisor"])
        assert groups.members(group / own / "supervisor") >= {server.pid}
        assert groups.members(group / own / "applications" / "a-1") == {
            server.prototypes()["a"], *server.workers("a")}
        groups.stop(server)
        assert not groups.below(group)
    finally:
        place.close()
        groups.remove(group)


@pytest.mark.users("user")
def test_a_place_with_others_in_it(place):
    group = groups.make("busy", place.who)
    other = subprocess.Popen(["/bin/busybox", "sleep", "1000"])
    try:
        (group / "cgroup.procs").write_text(str(other.pid))
        server = groups.start_in(place, group, {"a": greedy(limits={"memory": "64M"}), "b": greedy()})
        server.wait_ready("b")
        failed = refused(server)
        assert failed["errno"] == "EBUSY" and str(other.pid) in failed["remedy"], failed
        groups.stop(server)
    finally:
        other.kill()
        other.wait()
        place.close()
        groups.remove(group)


def test_a_configured_place_that_is_none(place):
    server = place.run({"a": greedy()}, settings={"cgroup": "/tmp"})
    failed = refused(server)
    assert "/tmp is no control group" in failed["message"] and failed["errno"] == "EOPNOTSUPP"


@pytest.mark.users("user")
def test_a_configured_place_of_somebody_else(place):
    group = groups.make("roots")
    try:
        server = place.run({"a": greedy()}, settings={"cgroup": str(group)})
        failed = refused(server)
        assert failed["errno"] == "EACCES" and "cgroup.procs" in failed["remedy"]
    finally:
        place.close()
        groups.remove(group)


@pytest.mark.users("user")
def test_a_configured_place_that_clade_is_not_in(place):
    """It is the user's, but to get there from outside one must be allowed to write above it."""
    group = groups.make("far", place.who)
    try:
        server = place.run({"a": greedy(limits={"memory": "64M"})}, settings={"cgroup": str(group)})
        failed = refused(server)
        assert failed["errno"] == "EACCES" and "start clade inside" in failed["remedy"]
    finally:
        place.close()
        groups.remove(group)
