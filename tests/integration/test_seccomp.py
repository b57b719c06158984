"""What a configuration says of system calls: strict, profiles of one's own, memory, and programs kept on disk."""

import json
import os

import pytest

import clade

USERS = pytest.mark.users("root", "user", "subuid")
PROFILES = clade.SOURCE / "seccomp-profiles"

PYTHON = """
import http.server, socket
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"python")
server = http.server.ThreadingHTTPServer(("", 0), Handler, bind_and_activate=False)
server.socket = socket.socket(fileno=3)
server.serve_forever()
"""


def answers(text):
    return dict(line.rsplit(": ", 1) for line in text.splitlines())


def application(**isolation):
    return clade.native("filtered", isolation=isolation)


def run(place, one, settings=None):
    port = clade.free_port()
    server = place.run({"a": one}, {f"127.0.0.1:{port}": "a"}, settings)
    server.wait_ready("a")
    return server, port


def own_profile(change=None):
    profile = json.loads((PROFILES / "default.json").read_text())
    if change:
        change(profile["syscalls"])
    return profile


@USERS
def test_strict_serves_and_does_nothing_else(place):
    server, port = run(place, application(seccomp="strict"))
    found = answers(clade.get(port))
    assert found == {"thread": "done", "fork": "EPERM", "socket": "EPERM", "pair": "EPERM",
                     "exec": "EPERM", "memfd": "EPERM", "file": "done", "uname": "done",
                     "prototype": "EPERM", "unknown": "ENOSYS", "ptrace": "EPERM"}, found
    # The prototype is not strict: it makes another worker.
    (pid,) = server.workers("a")
    mark = server.mark()
    os.kill(pid, 9)
    server.wait_event("worker-ready", "a", since=mark)
    assert answers(clade.get(port))["fork"] == "EPERM"
    assert server.stop() == 0


def test_the_default_leaves_more(place):
    _, port = run(place, application())
    found = answers(clade.get(port))
    assert found == {"thread": "done", "fork": "done", "socket": "done", "pair": "done",
                     "exec": "ENOENT", "memfd": "done", "file": "done", "uname": "done",
                     "prototype": "EPERM", "unknown": "ENOSYS", "ptrace": "EPERM"}, found


@USERS
def test_memory_that_is_written_is_not_executed(place):
    for isolation in ({}, {"seccomp": "strict"}):
        _, port = run(place, application(memory_deny_write_execute=True, **isolation))
        found = answers(clade.get(port, "/memory"))
        assert found.pop("segment") in ("EACCES", "EPERM")  # strict has no segments at all
        assert found == {"both": "EACCES", "both again": "EACCES",
                         "executable afterwards": "EACCES", "read-only afterwards": "done"}
    _, port = run(place, application())
    assert set(answers(clade.get(port, "/memory")).values()) == {"done"}


def test_python_serves_without_memory_of_both_kinds(place):
    script = place.write("server.py", PYTHON)
    _, port = run(place, clade.python(script, isolation={"memory_deny_write_execute": True}))
    assert clade.get(port, timeout=20) == "python"


@USERS
def test_a_profile_of_ones_own(place):
    def change(rules):
        for rule in rules:
            rule["names"] = [name for name in rule["names"] if name != "uname"]
        rules.append({"names": ["uname", "frobnicate"], "action": "SCMP_ACT_ERRNO", "errnoRet": 71})
        rules.append({"names": ["unshare", "ptrace"], "action": "SCMP_ACT_LOG",
                      "includes": {"caps": ["CAP_SYS_ADMIN"]}})

    path = place.write("own.json", json.dumps(own_profile(change)))
    configuration = place.configuration({"a": application(seccomp=path)})
    checked = place.command("check", configuration)
    assert checked.returncode == 0, checked.stderr
    assert f"{path} names system calls that are unknown here: frobnicate;" in checked.stderr
    _, port = run(place, application(seccomp=path))
    found = answers(clade.get(port))
    assert found["uname"] == "EPROTO"
    assert found["ptrace"] == "EPERM"  # the guards
    assert found["exec"] == "ENOENT"
    plan = json.loads(place.command("plan", configuration, "a").stdout)
    text = json.dumps(plan)
    assert f"# {path}" in text and "ERRNO(EPROTO): uname" in text


def test_what_is_wrong_with_a_profile_is_said_by_check(place):
    def refused(content, expected, remedy=""):
        path = place.write("bad.json", content)
        checked = place.command("check", place.configuration({"a": application(seccomp=path)}))
        assert checked.returncode == 1
        assert "/applications/a/isolation/seccomp: " in checked.stderr
        assert expected.format(path) in checked.stderr and remedy in checked.stderr, checked.stderr

    refused("{}", '{}:1:1: "defaultAction" is missing')
    refused('{\n "defaultAction": "SCMP_ACT_ALOW"\n}',
            '{}:2:19: /defaultAction: "SCMP_ACT_ALOW" is not an action: '
            'did you mean "SCMP_ACT_ALLOW"?')
    refused('{ "defaultAction": "SCMP_ACT_ERRNO" }',
            "the profile {} does not allow clone, which clade itself calls",
            "add clone to its allowed calls")
    checked = place.command("check", place.configuration(
        {"a": application(seccomp=str(place.path / "nowhere.json"))}))
    assert checked.returncode == 1 and "No such file or directory" in checked.stderr
    checked = place.command("check", place.configuration(
        {"a": application(seccomp=str(place.path))}))
    assert checked.returncode == 1 and "is not a file" in checked.stderr
    script = place.write("server.py", PYTHON)
    checked = place.command("check", place.configuration(
        {"a": clade.python(script, isolation={"seccomp": "strict"})}))
    assert checked.returncode == 1
    assert '"strict" refuses execve, by which an application of type "external"' in checked.stderr


@USERS
def test_programs_are_made_once(place):
    directory = place.path / ("state/ids/seccomp" if place.root else ".cache/clade/seccomp")
    server, _ = run(place, application())
    server.stop()
    (first,) = directory.iterdir()
    before = first.stat()
    server, _ = run(place, application())
    server.stop()
    assert first.stat().st_ino == before.st_ino, "it was there already"
    # Whatever becomes of the file, the application starts as it is meant to.
    os.truncate(first, before.st_size // 2)
    server, port = run(place, application())
    assert answers(clade.get(port))["ptrace"] == "EPERM"
    server.stop()
    (second,) = directory.iterdir()
    assert second.stat().st_size == before.st_size and second.stat().st_ino != before.st_ino
