"""Levels outside of pods: what the doctor says to whom, and what `minimum` and `maximum` make of it."""

import json
import os
import re
import shutil

import pytest

import clade
from clade import CLADE

LEVELS = ["none", "filter", "confine", "shared-proc", "user", "full"]
STATUS = {"full": 0, "user": 10, "shared-proc": 11, "confine": 12, "filter": 13, "none": 14}


def doctor(place, prefix=()):
    process = place.popen([*prefix, CLADE, "doctor", "--json"], stdout=-1, stderr=-1, text=True)
    out, err = process.communicate(timeout=30)
    assert out, err
    found = json.loads(out)
    assert process.returncode == found["status"] == STATUS[found["level"]]
    return found


@pytest.mark.users("root", "user", "subuid")
def test_the_doctor_knows_who_asks(place):
    found = doctor(place)
    if place.who.kind == "user" and place.who.name is None and os.geteuid() == 0:
        # No account, no range; an ordinary user who runs these tests may have one.
        assert found["level"] == "user"
        assert found["features"]["own-ids"]["cause"] == "no-subuid"
    elif place.who.kind != "user":
        assert found["level"] == "full", found
    # Whoever can have a level can have those below it.
    available = {level["level"]: level["available"] for level in found["levels"]}
    assert available == {level: LEVELS.index(level) <= LEVELS.index(found["level"])
                         for level in LEVELS}
    text = place.command("doctor")
    assert f'the level "{found["level"]}"' in text.stdout and not text.stderr
    assert text.returncode == found["status"]


@pytest.mark.users("root", "user", "subuid")
def test_under_no_new_privs_nobody_is_given_ids(place):
    found = doctor(place, ["setpriv", "--no-new-privs"])
    if place.root:
        assert found["level"] == "full"
    else:
        assert found["level"] == "user"
        assert found["features"]["own-ids"]["cause"] == "no-new-privs"


def test_user_namespaces_switched_off(place, refuse):
    """In a user namespace of ours they can be, without harm to anybody."""
    if not shutil.which("unshare"):
        refuse("unshare is not installed")
    script = 'echo 0 > /proc/sys/user/max_user_namespaces && exec "$@"'
    found = doctor(place, ["unshare", "--user", "--map-user=1000", "--map-group=1000",
                           "--keep-caps", "sh", "-c", script, "sh"])
    assert found["level"] == "confine"
    namespaces = found["features"]["namespaces"]
    assert namespaces["cause"] == "namespace-limit" and namespaces["errno"] == "ENOSPC"
    assert "max_user_namespaces" in namespaces["remedy"]


def test_the_doctor_refuses_what_it_does_not_know(place):
    for arguments in (["--jsn"], ["there"], ["--json=yes"]):
        done = place.command("doctor", *arguments)
        assert done.returncode == 2 and "clade doctor" in done.stderr and not done.stdout


# --- minimum and maximum --------------------------------------------------------------------------


@pytest.mark.parametrize("maximum", ["confine", "shared-proc"])
def test_no_more_than_the_maximum_is_made_use_of(place, maximum):
    port = clade.free_port()
    path = place.configuration({"a": clade.native("probe", isolation={"maximum": maximum})},
                               {f"127.0.0.1:{port}": "a"})
    plan = json.loads(place.command("plan", path, "a").stdout)
    assert plan["level"] == plan["minimum"] == plan["maximum"] == maximum
    assert bool(plan["namespaces"]) == (maximum != "confine")
    rules = plan["landlock"]["prototype"]["rules"]
    if maximum == "confine":
        assert plan["root"] is None
        assert not [rule for rule in rules if rule["path"] == "/"]
    server = place.start(path)
    server.wait_ready("a")
    (ready,) = server.find("application-ready", "a")
    assert ready["isolation"] == maximum and ready["limits"] == "rlimit"
    status = clade.status(next(iter(server.workers("a"))))
    assert status["NoNewPrivs"] == "1" and status["Seccomp"] == "2"
    assert int(status["CapEff"], 16) == int(status["CapBnd" if place.root else "CapPrm"], 16) == 0
    if place.root:
        assert status["Uid"].split()[0] == str(plan["identity"]["host_uid"]) != "0"
    secret = place.write("secret", "a secret\n")
    assert "a secret" not in clade.get(port, f"/file?path={secret}")
    assert server.stop() == 0


def test_filter_and_none_have_to_be_named(place):
    for level, filters in (("filter", 2), ("none", 0)):
        path = place.configuration({"a": clade.native("probe", isolation={"maximum": level})})
        plan = json.loads(place.command("plan", path, "a").stdout)
        assert plan["level"] == level and plan["landlock"]["abi"] == 0
        assert len(plan["seccomp"]["prototype"]) == filters
        server = place.start(path)
        server.wait_ready("a")
        status = clade.status(next(iter(server.workers("a"))))
        assert status["NoNewPrivs"] == "1"
        assert status["Seccomp"] == ("2" if filters else "0")
        assert server.stop() == 0


@pytest.mark.users("user", "subuid")
def test_a_minimum_that_this_host_has_not_is_refused_at_its_place(place):
    path = place.configuration({"a": clade.native("probe", isolation={"minimum": "full"})})
    process = place.popen(["setpriv", "--no-new-privs", CLADE, "check", path], stderr=-1, text=True)
    _, text = process.communicate(timeout=30)
    assert process.returncode == 1
    assert re.search(r"\.json:\d+:\d+: /applications/a/isolation/minimum: .*\"user\" only.*own-ids "
                     r"\(cause: no-new-privs\)", text), text
    assert "newuidmap cannot work under no_new_privs" in text


def test_unix_clients_need_landlock_in_use(place):
    """Not only in the kernel: at the level `filter` nothing else would refuse TCP on an accepted connection."""
    port = clade.free_port()
    path = place.configuration(
        {"app": clade.native("probe", isolation={"maximum": "filter", "unix_clients": True})},
        {f"127.0.0.1:{port}": "app"})
    result = place.command("check", path)
    assert result.returncode == 1
    assert "/applications/app/isolation/unix_clients" in result.stderr and "refuse TCP" in result.stderr


def test_without_a_root_the_other_namespaces_are_its_own(place):
    port = clade.free_port()
    server = place.run({"app": clade.native("probe", isolation={"namespaces": {"mount": False}})},
                       {f"127.0.0.1:{port}": "app"})
    server.wait_ready("app")
    (pid,) = server.workers("app")
    for name in ("user", "pid", "net", "ipc", "uts", "cgroup"):
        assert os.readlink(f"/proc/{pid}/ns/{name}") != os.readlink(f"/proc/self/ns/{name}"), name
    assert server.stop() == 0
