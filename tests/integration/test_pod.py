"""clade in restricted pods (tests/pod): the level that is found, what it holds, and what is said below the minimum."""

import json
import os
import pathlib
import shutil
import socket
import sys

import pytest

from clade import BUILD, CLADE, SLOW, SOURCE

sys.path.insert(0, str(SOURCE / "tests" / "pod"))
import pod  # pylint: disable=wrong-import-position

pytestmark = pytest.mark.users("root")  # who sets pods up; in them clade is an ordinary user

INMATE = BUILD / "tests" / "pod" / "inmate"
STATUS = {"user": 10, "shared-proc": 11, "confine": 12}


@pytest.fixture(name="make_pod")
def make_pod_fixture(place, refuse):
    if not shutil.which("crun"):
        refuse("crun is not installed: ./dev deps")
    pods = []

    def make(profile, **features):
        pods.append(pod.Pod(profile, [(BUILD,), (SOURCE,), (place.path,)], **features))
        return pods[-1]

    yield make
    for each in pods:
        each.close()


# --- what is found --------------------------------------------------------------------------------

FOUND = [
    # profile, features of the pod, level, {what is missing: cause}
    ("runtime-default", {}, "confine", {"namespaces": "seccomp", "own-ids": "no-new-privs"}),
    ("runtime-default", {"masked": False, "no_new_privs": False}, "confine",
     {"namespaces": "seccomp", "own-ids": "no-subuid"}),
    ("crio", {}, "confine", {"namespaces": "seccomp", "own-ids": "no-new-privs"}),
    ("nesting", {}, "shared-proc", {"fresh-proc": "masked-proc", "own-ids": "no-new-privs"}),
    ("nesting", {"no_new_privs": False}, "shared-proc",
     {"fresh-proc": "masked-proc", "own-ids": "no-subuid"}),
    ("nesting", {"masked": False}, "user", {"own-ids": "no-new-privs"}),
]


@pytest.mark.parametrize("profile, features, level, missing", FOUND)
def test_the_doctor_is_right(make_pod, profile, features, level, missing):
    done = make_pod(profile, **features).run([CLADE, "doctor", "--json"])
    assert done.returncode == STATUS[level], done.stdout + done.stderr
    found = json.loads(done.stdout)
    assert found["level"] == level
    assert {name: feature["cause"] for name, feature in found["features"].items()
            if not feature["available"] and feature["cause"] != "needs-another"} == missing
    for name in missing:
        assert found["features"][name]["remedy"]
    assert found["orphans_possible"] == (level == "confine")


# --- below the minimum ----------------------------------------------------------------------------


def application(place, minimum, *arguments):
    hello = pathlib.Path(place.write("hello", "hello\n"))
    isolation = {"mounts": [{"destination": str(hello), "source": str(hello)}]}
    if minimum:
        isolation["minimum"] = minimum
    return {"type": "external", "executable": str(INMATE),
            "arguments": [f"read={hello}", f"write={hello}", *arguments], "isolation": isolation}


REFUSED = [
    # profile, features, minimum, what the message says, what the remedy names
    ("runtime-default", {}, None, '"confine" only, and "user" is needed, as no', "clade.json"),
    ("crio", {}, "shared-proc", '"confine" only, and "shared-proc" is needed;', "clade.json"),
    ("nesting", {}, "user", "fresh-proc (cause: masked-proc)", "procMount: Unmasked"),
    ("nesting", {"masked": False}, "full", "own-ids (cause: no-new-privs)",
     "allowPrivilegeEscalation"),
    ("nesting", {"masked": False, "no_new_privs": False}, "full", "own-ids (cause: no-subuid)",
     "/etc/subuid"),
]


@pytest.mark.parametrize("profile, features, minimum, message, remedy", REFUSED)
def test_below_the_minimum_there_is_no_start(place, make_pod, profile, features, minimum, message,
                                             remedy):
    configuration = place.configuration({"inmate": application(place, minimum)})
    done = make_pod(profile, **features).run(
        [CLADE, "run", "--log-format", "json", configuration], timeout=30 * SLOW)
    assert done.returncode == 1, done.stderr
    events = [json.loads(line) for line in done.stderr.splitlines()]
    failed = [event for event in events if event["event"] == "application-failed"]
    assert len(failed) == 1, done.stderr
    assert message in failed[0]["message"] and remedy in failed[0]["remedy"], failed
    assert not [event for event in events if event["event"] == "prototype-started"]


# --- what holds -----------------------------------------------------------------------------------

# What an application answers at `confine`. Where two answers are given, either serves.
CONFINED = {
    "read:HELLO": "0",
    "write:HELLO": "EACCES EROFS",
    "read:/secrets/token": "EACCES",
    "read:/etc/passwd": "EACCES",
    "read:CONFIGURATION": "EACCES",
    "write:/tmp/file": "EACCES",
    "write:/dev/shm/file": "EACCES",
    "exec:/bin/sh": "EACCES",
    "list:/": "EACCES",
    "tcp": "EAFNOSUPPORT",
    "socket:udp": "EAFNOSUPPORT",
    "socket:netlink": "EAFNOSUPPORT",
    "stream": "EPERM",
    "datagram": "EPERM",
    "read:/proc/1/environ": "EACCES",
    "write:/proc/1/mem": "EACCES",
    "kill:1": "EPERM",
    "kill:parent": "EPERM",
    "ptrace:1": "EPERM",
    "unshare:user": "EPERM",
    "mount": "EPERM",
    "clone3": "ENOSYS",
    "setuid:0": "EPERM",
    "status:NoNewPrivs": "1",
    "status:Seccomp": "2",
    "status:CapEff": "0000000000000000",
}

# At `shared-proc` it has a root of its own: what is not shown is not there, and what it writes is its own.
SHARED_PROC = {
    **CONFINED,
    "read:/secrets/token": "ENOENT",
    "read:/etc/passwd": "0",
    "read:CONFIGURATION": "ENOENT",
    "write:HELLO": "EROFS EACCES",
    "write:/tmp/file": "0",
    "write:/dev/shm/file": "ENOENT EACCES EROFS",
    "exec:/bin/sh": "ENOENT",
    "list:/": "0",
    "tcp": "EPERM",
    "socket:udp": "0",
    "socket:netlink": "0",
    "datagram": "ECONNREFUSED",
    "write:/proc/1/mem": "EROFS",
    "setuid:0": "EINVAL",
}


def outcomes(process, timeout):
    """All that an inmate prints, and application-ready."""
    said, ready = {}, None
    for line in process.stderr:
        event = json.loads(line)
        if event["event"] == "application-ready":
            ready = event
        elif event["event"] in ("application-failed", "worker-failed"):
            raise AssertionError(line)
        elif event["event"] == "output":
            name, _, outcome = event["text"].rpartition(" ")
            said[name] = outcome
        # What it says and what is said of it come over different ways.
        if ready and "done" in said:
            said.pop("done")
            return said, ready
    raise AssertionError(f"it ended: {said}, {process.wait(timeout)}")


def compare(said, expected, names):
    expected = {names.get(name, name): outcome for name, outcome in expected.items()}
    assert said.keys() == expected.keys()
    return {name: (said[name], wanted) for name, wanted in expected.items()
            if said[name] not in wanted.split()}


@pytest.mark.parametrize("profile, minimum, level, table", [
    ("runtime-default", "confine", "confine", CONFINED),
    ("crio", "confine", "confine", CONFINED),
    ("nesting", "shared-proc", "shared-proc", SHARED_PROC),
    ("nesting", "filter", "shared-proc", SHARED_PROC),
])
def test_what_a_level_promises_holds(place, make_pod, profile, minimum, level, table):
    abstract = f"clade-test-{os.getpid()}"
    configuration = str(place.path / "files" / "1.json")
    with socket.socket() as tcp, socket.socket(socket.AF_UNIX) as stream, \
            socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as datagram:
        tcp.bind(("127.0.0.1", 0))
        tcp.listen()
        stream.bind(f"\0{abstract}-stream")
        stream.listen()
        datagram.bind(f"\0{abstract}-datagram")
        tried = application(
            place, minimum, "read=/secrets/token", "read=/etc/passwd", f"read={configuration}",
            "write=/tmp/file", "write=/dev/shm/file", "exec=/bin/sh",
            f"tcp={tcp.getsockname()[1]}", f"stream={abstract}-stream",
            f"datagram={abstract}-datagram")
        assert place.configuration({"inmate": tried}) == configuration
        process = make_pod(profile).popen([CLADE, "run", "--log-format", "json", configuration])
        said, ready = outcomes(process, 10)
    hello = str(place.path / "files" / "hello")
    wrong = compare(said, table, {"read:HELLO": f"read:{hello}", "write:HELLO": f"write:{hello}",
                                  "read:CONFIGURATION": f"read:{configuration}"})
    assert not wrong, wrong
    assert ready["isolation"] == level and ready["landlock"] > 0
