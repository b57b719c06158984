"""The command as people use it: what it prints where, and how it exits."""

import json
import os
import shutil
import signal
import subprocess
import time

import pytest

import clade

COMMANDS = ("run", "check", "plan", "modules")


def test_version_and_help(place):
    version = place.command("--version")
    assert (version.returncode, version.stderr) == (0, "")
    assert version.stdout.startswith("clade ") and len(version.stdout.split()) == 2
    for options in (["--help"], ["-h"]):
        text = place.command(*options)
        assert (text.returncode, text.stderr) == (0, "")
        assert all(f"\n  {command} " in text.stdout for command in COMMANDS)


@pytest.mark.parametrize("command", COMMANDS)
def test_each_command_has_its_help(place, command):
    for option in ("--help", "-h"):
        text = place.command(command, option)
        assert (text.returncode, text.stderr) == (0, "")
        assert text.stdout.startswith(f"usage: clade {command} ")
        assert "--modules" in text.stdout and "Exit status" in text.stdout
        assert max(len(line) for line in text.stdout.splitlines()) <= 100


@pytest.mark.parametrize("arguments, named", [
    ([], "command"),
    (["--no-such"], "--no-such"),
    (["walk"], "walk"),
    (["run"], "argument"),
    (["run", "--log-format", "xml", "x.json"], "xml"),
    (["run", "--log-format"], "--log-format"),
    (["run", "--log-level", "loud", "x.json"], "loud"),
    (["run", "--no-such", "x.json"], "--no-such"),
    (["run", "a.json", "b.json"], "too many"),
    (["check"], "argument"),
    (["check", "-x", "a.json"], "-x"),
    (["check", "a.json", "b.json"], "too many"),
    (["plan"], "argument"),
    (["plan", "a", "b", "c"], "too many"),
    (["plan", "--show-environment=yes", "a"], "--show-environment"),
    (["modules", "surplus"], "too many"),
    (["modules", "--modules"], "--modules"),
])
def test_usage_errors_are_told_and_exit_with_2(place, arguments, named):
    result = place.command(*arguments)
    assert result.returncode == 2
    assert result.stdout == ""
    assert named in result.stderr and "--help" in result.stderr
    assert len(result.stderr.splitlines()) == 1


def test_check_of_a_good_configuration_says_nothing(place):
    path = place.configuration({"a": clade.native("probe")}, {"127.0.0.1:8000": "a"})
    result = place.command("check", path)
    assert (result.returncode, result.stderr) == (0, ""), result.stderr


def test_check_tells_all_that_is_wrong_with_places(place):
    path = place.write("bad.json", """{
  "listeners": { "127.0.0.1:8000": { "pass": "applications/b" } },
  "applications": {
    "a": {
      "type": "native",
      "libary": "/usr/lib/x.so",
      "processes": "two"
    }
  }
}
""")
    result = place.command("check", path)
    assert result.returncode == 1
    lines = result.stderr.splitlines()
    assert all(line.startswith(f"{path}:") for line in lines), lines
    found = {tuple(line.split(": ")[:2]) for line in lines}
    assert (f"{path}:2:46", "/listeners/127.0.0.1:8000/pass") in found, found
    assert (f"{path}:6:7", "/applications/a/libary") in found, found
    assert (f"{path}:7:20", "/applications/a/processes") in found, found
    assert any('"library"' in line for line in lines if "libary" in line)
    # Run says the same, as events, and starts nothing.
    server = place.start(path)
    assert server.wait(10) == 1
    assert {(event["line"], event["pointer"]) for event in server.find("configuration-error")} >= \
        {(2, "/listeners/127.0.0.1:8000/pass"), (6, "/applications/a/libary"),
         (7, "/applications/a/processes")}
    assert not server.find("started")


def test_check_tells_what_is_missing_on_the_host(place):
    missing = str(place.path / "files" / "missing.so")
    path = place.configuration({"a": {"type": "native", "library": missing},
                                "b": clade.native("probe", isolation={"rootfs": "/no/such/root"})})
    result = place.command("check", path)
    assert result.returncode == 1
    assert missing in result.stderr and "/no/such/root" in result.stderr


@pytest.mark.parametrize("path, named", [("/no/such/file.json", "No such file"),
                                         ("/", "directory"), ("/dev/null", "")])
def test_a_file_that_is_no_configuration(place, path, named):
    for command in ("check", "plan", "run"):
        result = place.command(command, path)
        assert result.returncode == 1
        assert path in result.stderr and named.lower() in result.stderr.lower()
        assert result.stdout == ""


def test_plan_is_json_and_keeps_secrets(place):
    application = clade.native("probe", processes=3, environment={"PASSWORD": "Eisenhut", "EMPTY": ""})
    path = place.configuration({"a": application, "b": clade.native("probe")},
                               {"127.0.0.1:8000": "a"})
    result = place.command("plan", path, "a")
    assert (result.returncode, result.stderr) == (0, ""), result.stderr
    assert "Eisenhut" not in result.stdout
    plan = json.loads(result.stdout)
    assert plan["application"] == "a" and plan["processes"] == 3
    assert list(plan["environment"]) == ["PASSWORD", "EMPTY"]
    assert plan["listeners"] == {"127.0.0.1:8000": {"pass": "applications/a"}}
    identity = plan["identity"]
    assert identity["uid_map"][0]["size"] >= 1 and identity["host_uid"] != 0
    assert plan["level"] == ("full" if place.who.kind != "user" else plan["level"])
    names = [step["step"] for step in plan["steps"]]
    assert set(names[:2]) <= {"sources", "namespaces", "id-maps"} and names[-1] == "seccomp"
    assert names.index("capabilities") < names.index("no-new-privs") < names.index("seccomp")
    shown = json.loads(place.command("plan", "--show-environment", path, "a").stdout)
    assert shown["environment"] == {"PASSWORD": "Eisenhut", "EMPTY": ""}
    both = json.loads(place.command("plan", path).stdout)
    assert [one["application"] for one in both["applications"]] == ["a", "b"]
    unknown = place.command("plan", path, "c")
    assert unknown.returncode == 1 and '"c"' in unknown.stderr and unknown.stdout == ""


def test_plan_changes_nothing(place):
    """No id is given away for asking."""
    path = place.configuration({"a": clade.native("probe")})
    before = sorted(os.walk(place.path))
    assert place.command("plan", path).returncode == 0
    assert place.command("check", path).returncode == 0
    assert sorted(os.walk(place.path)) == before


def test_an_id_is_an_applications_own_and_stays(place):
    if not place.root:
        # One id for all: the user's own.
        path = place.configuration({"a": clade.native("probe"), "b": clade.native("probe")})
        plans = json.loads(place.command("plan", path).stdout)["applications"]
        if all(plan["identity"]["method"] == "direct" for plan in plans):
            assert {plan["identity"]["host_uid"] for plan in plans} == {place.who.uid}
        return
    seen = []
    path = place.configuration({name: clade.native("probe") for name in "abc"})
    for _ in range(2):
        server = place.start(path)
        server.wait_ready(*"abc")
        ids = {name: clade.status(pid)["Uid"].split()[0] for name, pid in server.prototypes().items()}
        for name in "abc":
            for pid in server.workers(name):
                assert set(clade.status(pid)["Uid"].split()) == {ids[name]}
                assert set(clade.status(pid)["Gid"].split()) == {ids[name]}
                assert clade.status(pid)["Groups"].strip() == ""
        assert len(set(ids.values())) == 3 and "0" not in ids.values()
        seen.append(ids)
        assert server.stop() == 0
    # Over restarts, and when another one comes before it in the same file.
    with open(path, encoding="utf-8") as file:
        configuration = json.load(file)
    configuration["applications"] = {name: clade.native("probe") for name in "0cba"}
    with open(path, "w", encoding="utf-8") as file:
        json.dump(configuration, file)
    server = place.start(path)
    server.wait_ready(*"0cba")
    ids = {name: clade.status(pid)["Uid"].split()[0] for name, pid in server.prototypes().items()}
    assert seen[0] == seen[1] == {name: ids[name] for name in "abc"}
    assert ids["0"] not in seen[0].values()


def test_modules_lists_what_there_is(place):
    result = place.command("modules")
    assert (result.returncode, result.stderr) == (0, "")
    types = {line.split()[0]: line for line in result.stdout.splitlines()[1:]}
    assert set(types) >= {"external", "native"}
    assert "go" in types["external"].split()
    assert str(clade.BUILD) in types["native"]


def test_modules_that_are_broken_cost_themselves_only(place):
    """The fixtures of discovery: one of each way to be a bad module, beside the good ones."""
    directory = place.path / "files" / "modules"
    directory.mkdir()
    for pattern in ("modules/*/*.clade.so", "tests/integration/modules/*.clade.so"):
        for path in clade.BUILD.glob(pattern):
            (directory / path.name).symlink_to(path)
    server = place.run({"app": clade.native("probe")}, options=["--modules", f"{directory}/*.clade.so"])
    server.wait_ready("app", timeout=60)
    skipped = server.find("module-skipped")
    assert len(skipped) > 8
    assert {"crash.clade.so", "hang.clade.so", "api.clade.so"} <= \
        {event["path"].rsplit("/", 1)[1] for event in skipped}
    assert all(event["message"] for event in skipped)
    assert server.stop() == 0


def test_a_modules_pattern_that_finds_nothing(place):
    path = place.configuration({"a": clade.native("probe")})
    result = place.command("check", "--modules", "/no/such/*.so", path)
    assert result.returncode == 1
    assert "/no/such/*.so" in result.stderr or "native" in result.stderr


def test_text_is_for_people(place):
    path = place.configuration({"app": clade.native("probe")})
    process = place.popen([clade.CLADE, "run", path], stderr=subprocess.PIPE, text=True)
    try:
        time.sleep(1 * clade.SLOW)
        process.send_signal(signal.SIGINT)
        _, text = process.communicate(timeout=20)
    finally:
        process.kill()
        process.wait()
    assert process.returncode == 0
    for word in ("started", "prototype", "worker", "stopped"):
        assert word in text
    assert not any(line.startswith("{") for line in text.splitlines())
    assert "\x1b" not in text


def test_output_that_cannot_be_written_is_no_success(place):
    path = place.configuration({"a": clade.native("probe")})
    with open("/dev/full", "w", encoding="utf-8") as full:
        process = place.popen([clade.CLADE, "plan", path], stdout=full, stderr=subprocess.PIPE,
                              text=True)
        _, text = process.communicate(timeout=30)
    assert process.returncode == 1
    assert "writing" in text


def test_too_many_processes_for_the_limit_are_refused(place):
    path = place.configuration({"a": clade.native("probe", processes=1000)})
    process = place.popen(["/usr/bin/prlimit", "--nofile=256:256", clade.CLADE, "run",
                           "--log-format=json", path], stderr=subprocess.PIPE, text=True)
    _, text = process.communicate(timeout=30)
    assert process.returncode == 1
    failed = [event for event in map(json.loads, text.splitlines())
              if event["event"] == "application-failed"]
    assert len(failed) == 1
    assert "1000 processes" in failed[0]["message"] and "ulimit" in failed[0]["remedy"]


@pytest.mark.parametrize("number, remedy", [("EPERM", "seccomp"), ("ENOSPC", "max_"), ("EUSERS", "max_"),
                                            ("EAGAIN", "ulimit"), ("ENOSYS", "5.15")])
def test_a_host_that_refuses_namespaces_says_so_and_what_to_do(place, refuse, number, remedy):
    """The kernel's answer is what strace makes of it, from the clone that tries the host out on."""
    if not shutil.which("strace"):
        refuse("strace is not installed: ./dev deps")
    path = place.configuration({"a": clade.native("probe")})
    modules = len(list(clade.BUILD.glob("modules/*/*.clade.so")))  # each has a discovery of its own
    server = place.start(path, prefix=[
        "strace", "-D", "-f", "-qq", "-o", "/dev/null", "-e", "trace=clone3", "-e",
        f"inject=clone3:error={number}:when={modules + 1}+"],
        environment={"ASAN_OPTIONS": "detect_leaks=0"})  # which wants to trace, too
    assert server.wait(30) == 1
    (failed,) = server.find("application-failed")
    assert "missing: namespaces" in failed["message"] and failed["errno"] == number, failed
    assert "CLONE_NEWUSER" in failed["message"] or "user" in failed["message"], failed
    assert remedy in failed["remedy"], failed
