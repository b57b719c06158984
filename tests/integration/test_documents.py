"""What README.md and docs/ tell a newcomer to do, done."""

import json
import os
import re
import socket
import subprocess
import textwrap

import pytest

import clade

MODULES = (clade.SOURCE / "docs" / "modules.md").read_text(encoding="utf-8")
README = (clade.SOURCE / "README.md").read_text(encoding="utf-8")
WRITER = """
import http.server, socket
class Hello(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        with open("/data/visits", "a") as file:
            file.write("x")
        self.send_response(200)
        self.end_headers()
    def log_message(self, *_):
        pass
server = http.server.HTTPServer(("", 0), Hello, bind_and_activate=False)
server.socket = socket.socket(fileno=3)
server.serve_forever()
"""


def outside(place, configuration, application):
    """docs/configuration.md: the id is the `host_uid` of the plan."""
    plan = place.command("plan", configuration, application)
    assert plan.returncode == 0, plan.stderr
    return json.loads(plan.stdout)["identity"]["host_uid"]


def test_your_own_in_five_minutes(place, refuse):
    if not (clade.BUILD / "modules" / "python" / "python.clade.so").exists():
        refuse("no python module in this build: ./dev deps")
    port = clade.free_port()
    found = {name: textwrap.dedent(text) for name, text in
             re.findall(r"cat > /srv/hello/(\S+) <<'END'\n(.*?)^    END$", README, re.S | re.M)}
    assert set(found) == {"hello.py", "clade.json"}
    place.write("hello.py", found["hello.py"])
    text = found["clade.json"].replace("/srv/hello", str(place.path / "files"))
    assert "127.0.0.1:8000" in text
    configuration = json.loads(text.replace("127.0.0.1:8000", f"127.0.0.1:{port}"))
    configuration["settings"] = {"state_directory": str(place.path / "state" / "ids")}
    path = place.write("clade.json", json.dumps(configuration))
    check = place.command("check", path)
    assert check.returncode == 0, check.stderr
    server = place.start(path)
    server.wait_ready("hello")
    assert clade.get(port) == "Hello from a sandbox\n"


def test_the_misspelt_key(place):
    text = re.search(r"cat > /srv/hello/clade.json <<'END'\n(.*?)^    END$", README, re.S | re.M)[1]
    path = place.write("clade.json", textwrap.dedent(text).replace('"processes"', '"proceses"'))
    check = place.command("check", path)
    shown = re.search(r"^    /srv/hello/clade.json(:.*proceses.*)$", README, re.M)[1]
    assert (check.returncode, check.stderr.strip()) == (1, path + shown)


def test_gunicorn_as_any_program(place, refuse):
    if not os.access("/usr/bin/gunicorn", os.X_OK):
        refuse("gunicorn is not installed: ./dev deps")
    port = clade.free_port()
    found = re.search(r"cat > /srv/hello/hello.py <<'END'\n(.*?)^    END$", README, re.S | re.M)[1]
    place.write("hello.py", textwrap.dedent(found))
    text = re.search(r"^```json\n(\"hello\": .*?)^```$", README, re.S | re.M)[1]
    applications = json.loads("{" + text.replace("/srv/hello", str(place.path / "files")) + "}")
    assert applications["hello"]["executable"] == "/usr/bin/gunicorn"
    place.run(applications, {f"127.0.0.1:{port}": "hello"}).wait_ready("hello")
    assert clade.get(port) == "Hello from a sandbox\n"


@pytest.mark.users("root", "user")
def test_python_without_a_framework_and_a_directory_to_write_to(place):
    port = clade.free_port()
    place.write("server.py", WRITER)
    data = place.path / "files" / "data"
    data.mkdir(mode=0o700)
    os.chown(data, place.who.uid, place.who.gid)
    path = place.configuration({"writer": {
        "type": "external", "executable": "/usr/bin/python3", "arguments": ["server.py"],
        "working_directory": str(place.path / "files"),
        "isolation": {"rootfs": "host", "mounts": [
            {"destination": "/data", "source": str(data), "options": ["rw"]}]},
    }}, {f"127.0.0.1:{port}": "writer"})
    owner = outside(place, path, "writer")
    if place.root:
        os.chown(data, owner, owner)
    elif owner != place.who.uid:
        data.chmod(0o777)  # an id of our subordinate range, which we cannot give files to
    place.start(path).wait_ready("writer")
    clade.get(port)
    assert (data / "visits").read_text() == "x" and (data / "visits").stat().st_uid == owner


@pytest.mark.users("root")
def test_an_id_belongs_to_the_real_path_and_moves_with_its_line(place):
    path = place.configuration({"a": {"type": "external", "executable": "/bin/true"}})
    settings = json.loads(open(path, encoding="utf-8").read())["settings"]
    server = place.start(path)
    server.wait_event("prototype-started", "a")
    server.stop()
    mine = outside(place, path, "a")
    link, moved = path + ".link", path + ".moved"
    os.symlink(path, link)
    assert outside(place, link, "a") == mine
    os.rename(path, moved)
    assert outside(place, moved, "a") != mine
    ids = os.path.join(settings["state_directory"], "ids")
    with open(ids, "r+", encoding="utf-8") as file:
        text = file.read()
        assert text == f"{mine - 1000}\t{mine - 1000}\t65536\t{path}\ta\n"
        file.seek(0)
        file.write(text.replace(path, moved))
    assert outside(place, moved, "a") == mine


@pytest.mark.users("root")
def test_what_cannot_be_read_names_the_id_that_cannot(place):
    private = place.path / "files" / "private"
    private.mkdir(mode=0o700)
    path = place.configuration({"a": {
        "type": "external", "executable": "/bin/true",
        "isolation": {"rootfs": "host", "mounts": [{"destination": "/data", "source": str(private)}]},
    }})
    owner = outside(place, path, "a")
    server = place.start(path)
    failed = server.wait_event("application-failed", "a", step="entries", errno="EACCES")
    assert f"uid {owner} " in failed["message"]
    assert f"setfacl -R -m u:{owner}:rX {private}" in failed["remedy"]


def compile_block(place, said, name):
    """The one block of C in docs/modules.md that has these words, as the document has it compiled."""
    blocks = [block for block in re.findall(r"^```c\n(.*?)^```$", MODULES, re.S | re.M) if said in block]
    assert len(blocks) == 1
    source, built = place.write(name + ".c", blocks[0]), str(place.path / "files" / name)
    command = ["cc", "-D_GNU_SOURCE", "-shared", "-fPIC", "-I", clade.SOURCE / "modules" / "include",
               "-o", built, source]
    subprocess.run(command, check=True, timeout=60)
    os.chmod(built, 0o755)
    return built


def tell(port):
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        connection.sendall(b"hello\n")
        return connection.recv(100)


@pytest.mark.users("root", "user")
def test_a_module_that_counts_requests(place):
    module = compile_block(place, '.type = "tell"', "tell.clade.so")
    shown = re.search(r"^cat > counted.json <<'END'\n(.*?)^END$", MODULES, re.S | re.M)[1]
    port = clade.free_port()
    assert "127.0.0.1:8090" in shown
    configuration = json.loads(shown.replace("127.0.0.1:8090", f"127.0.0.1:{port}"))
    configuration["settings"] = {"state_directory": str(place.path / "state" / "ids")} if place.root else {}
    server = place.start(place.write("counted.json", json.dumps(configuration)), ["--modules", module])
    server.wait_event("application-ready", "told")
    assert not server.find("worker-started")
    # Three are what each serves, so twelve take four of them at least.
    assert [tell(port) for _ in range(12)] == [b"told\n"] * 12
    clade.wait_until(lambda: len(server.find("worker-started")) >= 4, 5, "a fourth worker")
    server.wait_event("worker-exited", "told", code=0)
    assert not server.find("worker-backoff")
    # One that says nothing is cut off, and another one is told meanwhile.
    with socket.create_connection(("127.0.0.1", port), timeout=10) as silent:
        assert tell(port) == b"told\n"
        assert silent.recv(1) == b""
    server.wait_event("worker-hung", "told", timeout=2)
    assert tell(port) == b"told\n"
    assert server.stop() == 0


def test_a_library_that_answers_http(place):
    library = compile_block(place, "int clade_handle(", "answer.so")
    port = clade.free_port()
    server = place.run({"answer": {"type": "native", "library": library}}, {f"127.0.0.1:{port}": "answer"})
    server.wait_ready("answer")
    assert clade.get(port, "/hello") == f"GET from 127.0.0.1:{port}\n"
    server.stop()


@pytest.mark.parametrize("arguments", [["build", "foo"], ["build", "--sanitise"], ["lint", "x"],
                                       ["demo", "--prot", "1"], ["fuzz", "1", "2"], ["clean", "all"]])
def test_dev_does_not_guess(arguments):
    result = subprocess.run([clade.SOURCE / "dev", *arguments], stdout=subprocess.PIPE,
                            stderr=subprocess.PIPE, text=True, timeout=30, check=False)
    assert result.returncode == 2 and not result.stdout
    assert f"dev: {arguments[0]} does not know" in result.stderr and "usage: ./dev" in result.stderr


def test_dev_says_how_it_is_used():
    for arguments in ([], ["help"], ["build", "--help"], ["demo", "-h"]):
        result = subprocess.run([clade.SOURCE / "dev", *arguments], stdout=subprocess.PIPE,
                                stderr=subprocess.PIPE, text=True, timeout=30, check=False)
        assert result.returncode == 0 and result.stdout.startswith("usage: ./dev")
