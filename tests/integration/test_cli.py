"""The command line: what each command prints, where, and how it ends."""

import json
import subprocess

import pytest

import clade

COMMANDS = ("run", "check", "plan", "modules")


def command(*arguments):
    return subprocess.run([clade.CLADE, *arguments], capture_output=True, text=True, timeout=30,
                          check=False)


@pytest.fixture(name="write")
def write_fixture(tmp_path):
    def write(configuration):
        path = tmp_path / "app.json"
        path.write_text(configuration if isinstance(configuration, str)
                        else json.dumps(configuration, indent=4))
        return str(path)
    return write


def application(**settings):
    return {"type": "external", "executable": "/bin/true", "isolation": {"rootfs": "host"}, **settings}


def test_help_names_every_command():
    result = command("--help")
    assert result.returncode == 0 and not result.stderr
    for name in COMMANDS:
        assert f"  {name} " in result.stdout


@pytest.mark.parametrize("name", COMMANDS)
def test_help_of_a_command(name):
    result = command(name, "--help")
    assert result.returncode == 0 and not result.stderr
    assert result.stdout.startswith(f"usage: clade {name} ")
    assert "--modules GLOB" in result.stdout


def test_version():
    result = command("--version")
    assert result.returncode == 0
    assert result.stdout.split()[0] == "clade"


@pytest.mark.parametrize("arguments, reason", [
    ((), "a command is missing"),
    (("frob",), 'unknown command "frob"'),
    (("--frob",), 'unknown option "--frob"'),
    (("check",), "an argument is missing"),
    (("check", "a", "b"), "too many arguments"),
    (("check", "--frob", "a"), "unknown option --frob"),
    (("check", "-x", "a"), "unknown option -x"),
    (("check", "--modules"), "--modules needs a value"),
    (("modules", "--json=1"), "--json=1 takes no value"),
    (("modules", "x"), "too many arguments"),
    (("plan", "a", "b", "c"), "too many arguments"),
    (("run", "--log-format", "xml", "a"), '--log-format "xml": expected text or json'),
    (("run", "--log-level", "loud", "a"), "expected debug or info or warning or error"),
    (("run",), "an argument is missing"),
])
def test_usage_errors_are_one_line_with_a_pointer_to_help(arguments, reason):
    result = command(*arguments)
    assert result.returncode == 2
    assert not result.stdout
    assert result.stderr.count("\n") == 1
    assert reason in result.stderr and "--help" in result.stderr


def test_check_good(write):
    path = write({"applications": {"a": application()}})
    result = command("check", path)
    assert result.returncode == 0, result.stderr
    assert result.stdout == f"{path}: good: 1 application, 0 listeners\n"


def test_check_tells_what_is_not_there_and_where(write):
    path = write({"applications": {
        "a": application(executable="/absent/program"),
        "b": application(working_directory="/absent/directory"),
        "c": application(isolation={"rootfs": "absent"}),
        "d": application(isolation={"rootfs": "host", "mounts": [
            {"destination": "/x", "type": "tmpfs", "options": ["sise=1m"]}]}),
    }})
    result = command("check", path)
    assert result.returncode == 1 and not result.stdout
    lines = result.stderr.splitlines()
    for expected in ('/applications/a/executable: open of /absent/program, at "absent": ',
                     '/applications/b/working_directory: open of /absent/directory, at "absent": ',
                     "/applications/c/isolation/rootfs: open of the rootfs template ",
                     '/applications/d/isolation/mounts/0: unknown option "sise"'):
        found = [line for line in lines if expected in line]
        assert len(found) == 1, result.stderr
        file, line, column, _ = found[0].split(":", 3)
        assert file == path
        # The place is that of the value that the pointer leads to.
        text = open(path, encoding="utf-8").read().splitlines()[int(line) - 1]
        assert text[int(column) - 1] in '"{'


def test_check_prints_each_diagnostic_of_the_file(write):
    path = write('{"applications": {"a": {"typ": 1}, "b": 2}}')
    result = command("check", path)
    assert result.returncode == 1
    assert f"{path}:1:" in result.stderr
    assert "/applications/a/typ: " in result.stderr and "/applications/b: " in result.stderr


def test_missing_configuration():
    for name in ("check", "plan", "run"):
        result = command(name, "/absent/app.json")
        assert result.returncode == 1
        assert "/absent/app.json" in result.stderr and "ENOENT" in result.stderr


def test_run_tells_errors_as_events(write):
    path = write('{"applications": {"a": {"typ": 1}}}')
    result = command("run", "--log-format", "json", path)
    assert result.returncode == 1 and not result.stdout
    events = [json.loads(line) for line in result.stderr.splitlines()]
    assert any(event["event"] == "configuration-error" and event["line"] == 1
               and event["pointer"] == "/applications/a/typ" for event in events)


def test_plan_is_json_and_hides_the_environment(write):
    path = write({"applications": {"a": application(environment={"TOKEN": "s3cret"}),
                                   "b": application()}})
    result = command("plan", path)
    assert result.returncode == 0, result.stderr
    assert "s3cret" not in result.stdout
    plans = json.loads(result.stdout)["applications"]
    assert [plan["application"] for plan in plans] == ["a", "b"]
    assert plans[0]["environment"] == {"TOKEN": "(hidden)"}
    shown = json.loads(command("plan", "--show-environment", path, "a").stdout)
    assert shown["environment"] == {"TOKEN": "s3cret"}


def test_plan_says_everything_in_order(write):
    path = write({"applications": {"a": application(working_directory="/tmp")}})
    plan = json.loads(command("plan", path, "a").stdout)
    names = [step["step"] for step in plan["steps"]]
    assert names.index("namespaces") < names.index("pivot") < names.index("capabilities")
    assert names.index("no-new-privs") < names.index("landlock") < names.index("seccomp")
    assert set(plan["namespaces"]) >= {"user", "mount", "pid", "network"}
    assert plan["identity"]["host_uid"] != 0
    targets = [entry["target"] for entry in plan["root"]["entries"]]
    assert targets.index("/dev") < targets.index("/dev/null") < targets.index("/usr")
    for entry in plan["root"]["entries"]:
        if entry["kind"] in ("bind", "tmpfs", "proc"):
            assert "nosuid" in entry["attributes"]
    for program in [*plan["seccomp"]["prototype"], plan["seccomp"]["worker"]]:
        assert program["instructions"] > 0 and program["text"]
    assert [step["step"] for step in plan["worker_steps"]] == ["landlock", "seccomp"]


def test_plan_of_an_application_that_is_not_there(write):
    result = command("plan", write({"applications": {"a": application()}}), "b")
    assert result.returncode == 1 and not result.stdout
    assert 'no application "b"' in result.stderr


def test_modules():
    result = command("modules", "--json")
    assert result.returncode == 0, result.stderr
    modules = {module["type"]: module for module in json.loads(result.stdout)["modules"]}
    assert modules["external"]["aliases"] == ["go"]
    assert modules["external"]["file"].startswith(str(clade.BUILD))
    options = {option["name"]: option for option in modules["external"]["options"]}
    assert set(options) == {"executable", "arguments", "ready"}
    assert not modules["external"]["counts_requests"] and modules["native"]["counts_requests"]
    assert options["executable"]["type"] == "path" and options["executable"]["required"] is True
    assert options["ready"]["choices"] == ["exec", "notify"]
    table = command("modules").stdout
    assert "external" in table and "native" in table
    assert "executable arguments ready" in table


def test_modules_of_another_glob():
    result = command("modules", "--json", "--modules", "/absent/*.so")
    assert result.returncode == 0
    assert json.loads(result.stdout) == {"modules": []}


def test_a_full_disk_is_no_success(write):
    path = write({"applications": {"a": application()}})
    with open("/dev/full", "w", encoding="utf-8") as full:
        result = subprocess.run([clade.CLADE, "plan", path], stdout=full, stderr=subprocess.PIPE,
                                text=True, timeout=30, check=False)
    assert result.returncode == 1
    assert "writing the result" in result.stderr
