"""Ids: a range for each application, maps of the configuration's own, and mounts whose files change owners."""

import json
import os
import subprocess
import time

import pytest

import clade

# Writes down who it is and what it could do in /data, and stays.
WHO = """
import json, os, time
def tried(action):
    try:
        return action()
    except OSError as error:
        return error.strerror
def make(name):
    with open("/data/" + name, "a") as file:
        file.write("x")
    return os.stat("/data/" + name).st_uid
found = {"uid": os.getuid(), "gid": os.getgid(),
         "uid_map": [[int(n) for n in line.split()] for line in open("/proc/self/uid_map")],
         "gid_map": [[int(n) for n in line.split()] for line in open("/proc/self/gid_map")],
         "made": tried(lambda: make("made")), "given": tried(lambda: make("given")),
         "roots": tried(lambda: make("roots")), "owner": os.stat("/data/roots").st_uid}
print("FOUND" + json.dumps(found), flush=True)
time.sleep(1000)
"""


def who(place, data=None, options=("rw",), **more):
    script = place.write("who.py", WHO)
    os.chmod(script, 0o644)
    isolation = dict(more.pop("isolation", {}))
    if data:
        isolation["mounts"] = [{"destination": "/data", "source": str(data), "options": list(options)}]
    return clade.python(script, isolation=isolation, **more)


def directory(place, name, owner=0, mode=0o700):
    """With a file of the owner's and one of root's, readable by all."""
    path = place.path / name
    path.mkdir()
    for file in ("given", "roots"):
        (path / file).write_text("")
        (path / file).chmod(0o644)
    os.chown(path / "given", owner, owner)
    os.chown(path, owner, owner)
    path.chmod(mode)
    return path


def found(server, application):
    """What WHO has printed."""
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        for event in list(server.events):
            text = event.get("text", "")
            if event.get("application") == application and text.startswith("FOUND"):
                return json.loads(text[len("FOUND"):])
        time.sleep(0.05)
    raise AssertionError(server.story())


def identity(place, path, application):
    result = place.command("plan", path, application)
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout)["identity"]


def ranges(one):
    return [range(extent["host"], extent["host"] + extent["size"]) for extent in one["uid_map"]]


@pytest.mark.users("root", "subuid")
def test_each_has_a_range_of_its_own(place):
    path = place.configuration({name: clade.native("probe") for name in "abc"})
    server = place.start(path)
    server.wait_ready(*"abc")
    plans = {name: identity(place, path, name) for name in "abc"}
    hosts = [host for one in plans.values() for part in ranges(one) for host in part]
    assert len(hosts) == len(set(hosts)) == 3 * (65536 if place.root else 256)
    server.stop()
    assert {name: identity(place, path, name) for name in "abc"} == plans


@pytest.mark.users("root")
def test_maps_of_ones_own(place):
    data = directory(place, "data", owner=3000001000)
    maps = {key: [{"container": 0, "host": 3000000000, "size": 1001},
                  {"container": 5000, "host": 3000002000, "size": 10}] for key in ("uidmap", "gidmap")}
    path = place.configuration({"a": who(place, data, isolation={"rootfs": "host", **maps})})
    server = place.start(path)
    here = found(server, "a")
    assert here["uid_map"] == here["gid_map"] == [[0, 3000000000, 1001], [5000, 3000002000, 10]]
    assert here["made"] == 1000 and here["given"] == 1000
    assert here["roots"] == "Permission denied" and here["owner"] == 65534
    assert (data / "made").stat().st_uid == 3000001000
    assert identity(place, path, "a")["host_uid"] == 3000001000


@pytest.mark.users("root")
@pytest.mark.parametrize("host, size, text", [
    (1, 2, "among these ids on the host are those of the user "),
    (1879048192, 1, "application a of"),
])
def test_ids_of_others_are_refused(place, host, size, text):
    maps = {key: [{"container": 1000, "host": host, "size": size}] for key in ("uidmap", "gidmap")}
    auto = {"a": clade.native("probe")}
    path = place.configuration(auto)
    place.start(path).wait_ready("a")
    result = place.command("check", place.configuration({"b": clade.native("probe", isolation=maps)}))
    assert result.returncode == 1 and text in result.stderr, result.stderr
    assert "/applications/b" in result.stderr


@pytest.mark.users("user")
def test_a_user_may_map_itself_and_nobody_else(place):
    def check(host):
        maps = {key: [{"container": 1000, "host": host, "size": 1}] for key in ("uidmap", "gidmap")}
        return place.configuration({"a": clade.native("probe", isolation=maps)})

    result = place.command("check", check(1))
    assert result.returncode == 1 and "may map its own id" in result.stderr, result.stderr
    assert place.who.uid == place.who.gid or os.geteuid() != 0
    if place.who.uid == place.who.gid:
        path = check(place.who.uid)
        server = place.start(path)
        server.wait_ready("a")
        assert identity(place, path, "a")["setgroups_denied"]


@pytest.mark.users("subuid")
def test_a_user_maps_its_subordinate_ids(place):
    granted = {}
    for key, option in (("uidmap", []), ("gidmap", ["-g"])):
        lines = subprocess.run(["getsubids", *option, place.who.name], capture_output=True, text=True,
                               check=True).stdout
        granted[key] = [{"container": 1000, "host": int(lines.split()[2]) + 40000, "size": 3}]
    path = place.configuration({"a": clade.native("probe", isolation=granted)})
    server = place.start(path)
    server.wait_ready("a")
    one = identity(place, path, "a")
    assert one["method"] == "newuidmap" and one["uid_map"] == granted["uidmap"]


@pytest.mark.users("root")
def test_files_keep_their_owner(place):
    data = directory(place, "data", owner=1234567)
    path = place.configuration({"a": who(place, data, ["rw", "idmap=1234567"], isolation={"rootfs": "host"})})
    check = place.command("check", path)
    assert check.returncode == 0, check.stderr
    here = found(place.start(path), "a")
    assert here["made"] == 1000 and here["given"] == 1000
    assert here["roots"] == "Permission denied" and here["owner"] == 65534
    made = (data / "made").stat()
    assert (made.st_uid, made.st_gid) == (1234567, 1234567)
    steps = json.loads(place.command("plan", path, "a").stdout)["steps"]
    calls = next(step["calls"] for step in steps if step["step"] == "sources")
    assert any("MOUNT_ATTR_IDMAP, user 1234567" in call["arguments"] for call in calls)


@pytest.mark.users("root")
@pytest.mark.parametrize("option, text", [
    ("idmap=0", "root's or clade's own"),
    ("idmap=5:0", "root's or clade's own"),
    ("idmap=x", "expected a user id of the host"),
    ("idmap=1:", "expected a user id of the host"),
    ("idmap=4294967294", "expected a user id of the host"),
    ("ridmap=1879049192", "another application's"),
])
def test_owners_that_no_application_may_be(place, option, text):
    data = directory(place, "data")
    path = place.configuration({"a": clade.native("probe"), "b": who(place, data, [option])})
    result = place.command("check", path)
    assert result.returncode == 1 and text in result.stderr, result.stderr
    assert "/applications/b/isolation/mounts/" in result.stderr


@pytest.mark.users("root")
def test_a_file_system_that_cannot_map_owners(place):
    """/proc is one: refused by check already, and with what would help."""
    path = place.configuration({"a": who(place, "/proc/sys/kernel", ["idmap=1234567"])})
    result = place.command("check", path)
    assert result.returncode == 1 and "MOUNT_ATTR_IDMAP" in result.stderr, result.stderr
    assert "file system" in result.stderr


@pytest.mark.users("user", "subuid")
def test_only_root_maps_owners(place):
    path = place.configuration({"a": who(place, place.path / "files", ["idmap=5"])})
    result = place.command("check", path)
    assert result.returncode == 1 and "by root only" in result.stderr, result.stderr
