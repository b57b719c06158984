"""WSGI, as PEP 3333 has it and as the module's own promises go: served sandboxed, without a network."""

import concurrent.futures
import hashlib
import json
import os
import signal
import socket
import time

import pytest

import clade
from python_application import Served, python_version

SERVES = "def application(environ, start_response):\n" \
         "    start_response('200 OK', [])\n    return [b'ok']\n"


@pytest.fixture(name="served", params=["minimal"])
def served_fixture(place, request):
    return Served(place, rootfs=request.param)


def test_the_environ(served):
    status, _, body = served.ask("/environ/a%20b%C3%A4?q=%41", fields={
        "X-One-Two": "x", "X_One_Two": "forged", "Content-Type": "text/x", "Cookie": "a=1"})
    environ = json.loads(body)
    assert status == 200
    expected = {"REQUEST_METHOD": "GET", "SCRIPT_NAME": "", "PATH_INFO": "/environ/a b\u00c3\u00a4",
                "QUERY_STRING": "q=%41", "SERVER_PROTOCOL": "HTTP/1.1", "REMOTE_ADDR": "127.0.0.1",
                "SERVER_NAME": "127.0.0.1", "SERVER_PORT": str(served.port), "CONTENT_TYPE": "text/x",
                "HTTP_X_ONE_TWO": "x", "HTTP_COOKIE": "a=1", "wsgi.version": [1, 0],
                "wsgi.url_scheme": "http", "wsgi.multithread": False, "wsgi.multiprocess": False,
                "wsgi.run_once": False, "HTTP_HOST": f"127.0.0.1:{served.port}"}
    assert {key: environ.get(key) for key in expected} == expected
    assert "CONTENT_LENGTH" not in environ and "HTTP_CONTENT_TYPE" not in environ
    # Several fields of a name become one.
    answer = served.raw(b"GET /x HTTP/1.1\r\nHost: a\r\nX-A: 1\r\nX-A: 2\r\nCookie: a\r\nCookie: b\r\n"
                        b"Connection: close\r\n\r\n")
    environ = json.loads(answer.partition(b"\r\n\r\n")[2])
    assert environ["HTTP_X_A"] == "1, 2" and environ["HTTP_COOKIE"] == "a; b"
    answer = served.raw(b"GET /x HTTP/1.0\r\n\r\n")
    assert json.loads(answer.partition(b"\r\n\r\n")[2])["SERVER_PROTOCOL"] == "HTTP/1.0"


@pytest.mark.users("root")
def test_the_body(served):
    body = b"one\ntwo three\nfour" + b"\n" + b"5" * 9000 + b"\n\nend"
    _, _, answer = served.ask("/body?lines", "POST", body)
    lines = json.loads(answer)
    assert lines[:3] == ["one\n", "two", " three\n"] and "".join(lines).encode() == body
    _, _, answer = served.ask("/body?iterate", "POST", body)
    assert json.loads(answer) == body.decode().splitlines(keepends=True)
    large = os.urandom(3_000_000)
    digest = hashlib.sha256(large).hexdigest()
    _, _, answer = served.ask("/body?pieces", "POST", large)
    assert answer.decode() == f"{len(large)} {digest}"
    _, _, answer = served.ask("/body?all", "POST", iter([large[:10], large[10:]]))  # chunked
    assert answer.decode() == f"{len(large)} {digest} b''"
    # Two on one connection: what the first one did not read is not the second one's.
    data = (b"POST /body?none HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nabcde"
            b"GET /body?all HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
    assert served.raw(data).count(b"200 OK") == 2
    _, _, answer = served.ask("/environ", "POST", iter([b"abc", b"def"]))
    environ = json.loads(answer)
    assert environ["CONTENT_LENGTH"] == "6" and "HTTP_TRANSFER_ENCODING" not in environ


@pytest.mark.users("root")
def test_the_answer(served):
    _, fields, body = served.ask("/closing")
    assert body == b"one two three"
    served.wait_log("closed")
    _, fields, body = served.ask("/written")
    assert body == b"written twice and returned"
    status, _, body = served.ask("/late")
    assert (status, body) == (400, b"replaced")
    status, fields, body = served.ask("/state", "HEAD")
    assert status == 200 and body == b"" and int(fields["Content-Length"]) > 10
    status, fields, body = served.ask("/status?204")
    assert (status, body, fields["X-Test"]) == (204, b"", "yes")
    assert served.ask("/status?304")[0] == 304
    status, fields, _ = served.ask("/status?404")
    assert status == 404 and fields["Content-Length"] == "0"
    # Blocks go out when they are made.
    with socket.create_connection(("127.0.0.1", served.port), 10) as client:
        client.sendall(b"GET /generated HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        times = []
        while client.recv(65536):
            times.append(time.monotonic())
    assert times[-1] - times[0] > 0.3
    # One that comes too late ends the connection, not the worker.
    answer = served.raw(b"GET /too-late HTTP/1.1\r\nHost: a\r\n\r\n")
    assert b"begun" in answer and b"never" not in answer and not answer.endswith(b"0\r\n\r\n")
    served.wait_log("ValueError: found out too late")
    answer = served.raw(b"GET /closing?midway HTTP/1.1\r\nHost: a\r\n\r\n")
    assert b"first" in answer and not answer.endswith(b"0\r\n\r\n")
    served.wait_log("RuntimeError: midway")
    served.wait_log("closed", 2)
    assert served.ask("/closing?fails")[2] == b"all of it"
    served.wait_log("RuntimeError: close failed")
    assert not served.server.find("worker-exited")


@pytest.mark.users("root")
def test_files(served):
    content = os.urandom(300_000)
    path = served.place.path / "files" / "app" / "large"
    path.write_bytes(content)
    path.chmod(0o644)
    _, fields, body = served.ask(f"/file?{path}")
    assert body == content[5:] and fields["Content-Length"] == str(len(content) - 5)
    empty = served.place.path / "files" / "app" / "empty"
    empty.write_bytes(b"")
    assert served.ask(f"/file?{empty}")[2] == b""
    assert served.ask("/unreal-file")[2] == b"x" * 3000
    served.wait_log("counting closed")
    (worker,) = served.server.workers("app")
    open_files = len(clade.descriptors(worker))
    for _ in range(20):
        served.ask(f"/file?{path}")
    clade.wait_until(lambda: len(clade.descriptors(worker)) <= open_files, 5, "files are closed")


def test_what_an_application_may_not_answer(served):
    expected = {
        "str": "must be bytes, not str", "bare": "returned bytes", "none": "returned None",
        "number": "'int' object is not iterable", "silent": "has not called start_response",
        "status": "status must be a str", "reason": "three digits", "control": "control characters",
        "name": "header name is none", "bytes": "header name must be a str", "wide": "beyond latin-1",
        "hop": "Connection is the server's", "tuple": "headers must be a list",
        "twice": "a second time", "length": "Content-Length is no number",
        "long": "longer than its Content-Length", "raises": "ZeroDivisionError",
        "exits": "SystemExit: 5",
    }
    for kind, words in expected.items():
        answer = served.raw(f"GET /bad?{kind} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n".encode())
        assert b" 500 " in answer.partition(b"\r\n")[0], (kind, answer)
        served.wait_log(words)
        served.wait_log(f"GET /bad?{kind}")
    # Less than was said is found out at the end only: the client must not take it for all.
    assert b"Content-Length: 30" not in served.raw(
        b"GET /bad?short HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
    assert served.ask("/state")[0] == 200
    assert not served.server.find("worker-exited")


@pytest.mark.users("root")
def test_a_client_that_goes_away(served):
    with socket.create_connection(("127.0.0.1", served.port), 10) as client:
        client.sendall(b"GET /endless HTTP/1.1\r\nHost: a\r\n\r\n")
        client.recv(1000)
    served.wait_log("the client did not take its answer to the end")
    assert served.ask("/state")[0] == 200
    assert not [line for line in served.log() if "Traceback" in line]


@pytest.mark.users("root")
def test_what_is_kept_is_of_no_use_later(served):
    served.ask("/keep", "POST", b"body")
    _, _, body = served.ask("/use-kept")
    assert all("after its request has ended" in line for line in json.loads(body)), body


@pytest.mark.users("root", "user", "subuid")
def test_libraries_time_zones_and_certificates_are_there(place, refuse):
    try:
        import numpy  # pylint: disable=unused-import,import-outside-toplevel
    except ImportError:
        refuse("numpy is not installed: ./dev deps")
    served = Served(place, user=None)
    status, _, body = served.ask("/imports")
    assert status == 200, served.log()
    found = json.loads(body)
    assert found["ca"] > 20 and found["zone"] == "Pacific/Auckland" and found["lzma"] == "ok"
    # ... and not much else.
    assert not {"shadow", "machine-id", "ld.so.cache", "fstab"} & set(found["etc"]), found["etc"]
    assert not found["bin"]
    assert found["libc"] and abs(found["numpy"] - 8) < 1e-9 and found["localhost"] == "127.0.0.1"


def test_workers_are_clones_of_what_was_loaded(place):
    served = Served(place, processes=3)
    states = {}

    def all_met():
        with concurrent.futures.ThreadPoolExecutor(6) as pool:
            for answer in pool.map(lambda _: served.ask("/state?0.1")[2], range(6)):
                state = json.loads(answer)
                states[state["pid"]] = state
        return len(states) == 3
    clade.wait_until(all_met, 20, "three workers")
    for state in states.values():
        assert state["loaded_by"] == 1 and state["pid"] != 1
        assert state["forked"][-1] == "child" and state["forked"].count("child") == 1
        assert state["forked"].count("before") == state["forked"].count("parent") + 1
        assert state["threads"] == ["MainThread"]
        assert state["hook"] == "_after_fork"  # what the clone was spared is back
    assert len({state["random"] for state in states.values()}) == 3


@pytest.mark.users("root")
def test_the_log(served):
    served.ask("/say")
    for words in ("to stdout", "to stderr", "to wsgi.errors"):
        served.wait_log(words)


@pytest.mark.users("root")
def test_background_threads_run_while_the_worker_waits(served):
    served.ask("/background?start")
    time.sleep(0.6)
    assert int(served.ask("/background")[2]) == 20


@pytest.mark.users("root")
def test_threads(place):
    served = Served(place, threads=4, thread_stack_size=1 << 20)
    assert json.loads(served.ask("/environ")[2])["wsgi.multithread"] is True
    start = time.monotonic()
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda _: served.ask("/sleep?0.5")[2], range(4)))
    assert time.monotonic() - start < 1.8 * clade.SLOW
    assert len(set(answers)) >= 2
    assert served.server.stop() == 0


@pytest.mark.users("root")
def test_targets_prefixes_and_several_paths(place):
    place.write("one/first.py", "import shared\ndef application(environ, start_response):\n"
                "    start_response('200 OK', [])\n"
                "    return [('first %s %s %s' % (environ['SCRIPT_NAME'], environ['PATH_INFO'],"
                " shared.NAME)).encode()]\n")
    place.write("two/shared.py", "NAME = 'shared'\n")
    place.write("two/second.py", "class shop:\n    @staticmethod\n"
                "    def entry(environ, start_response):\n"
                "        start_response('200 OK', [])\n        return [b'second']\n")
    served = Served(place, "", listeners=2, module=None, passes=["first", "second"],
                    path=[str(place.path / "files" / "one"), str(place.path / "files" / "two")],
                    targets={"first": {"module": "first", "prefix": "/shop"},
                             "second": {"module": "second", "callable": "shop.entry"}})
    assert served.ask("/shop/cart%20x")[2] == b"first /shop /cart x shared"
    assert served.ask("/shop")[2] == b"first /shop  shared"
    assert served.ask("/shopping")[2] == b"first  /shopping shared"
    assert served.ask("/", port=served.ports[1])[2] == b"second"


@pytest.mark.users("root")
def test_a_factory_and_the_environment(place):
    served = Served(place, "import os, sys\ndef make():\n    def application(environ, start_response):\n"
                    "        start_response('200 OK', [])\n"
                    "        return [f\"{os.environ['COLOUR']} {sys.flags.optimize} {sys.path[1]}\".encode()]\n"
                    "    return application\n", callable="make", factory=True,
                    environment={"COLOUR": "red", "PYTHONOPTIMIZE": "1", "PYTHONPATH": "/tmp/x"})
    assert served.ask("/")[2] == b"red 1 /tmp/x"


@pytest.mark.users("root")
def test_wsgiref_validates_it(place):
    served = Served(place, callable="validated")
    for method in ("GET", "HEAD", "POST"):
        status, _, body = served.ask("/a?b", method, b"body" if method == "POST" else None)
        assert status == 200 and body in (b"valid", b""), served.log()
    assert b"200 OK" in served.raw(b"GET / HTTP/1.0\r\n\r\n")
    time.sleep(0.2)
    assert not [line for line in served.log() if "clade:" in line or "Error" in line], served.log()


@pytest.mark.users("root", "user")
def test_a_virtual_environment(place):
    version = python_version()
    packages = f"venv/lib/python{version}/site-packages"
    home = str(place.path / "files" / "venv")
    place.write("venv/pyvenv.cfg", f"home = /usr/bin\nversion = {version}.1\n")
    place.write(f"{packages}/parcel.py", "NAME = 'from the venv'\n")
    place.write(f"{packages}/extra.pth", f"{place.path}/files/more\n")
    served = Served(place, "import parcel, sys\ntry:\n    import flask\n    found = True\n"
                    "except ImportError:\n    found = False\n"
                    "def application(environ, start_response):\n    start_response('200 OK', [])\n"
                    "    return [f'{parcel.NAME} {found} {sys.prefix}'.encode()]\n", home=home)
    assert served.ask("/")[2].decode() == f"from the venv False {home}"


@pytest.mark.users("root")
def test_the_end_is_pythons_own(place):
    served = Served(place, "import atexit, threading\natexit.register(print, 'atexit ran')\n" + SERVES)
    assert served.ask("/")[2] == b"ok"
    assert served.server.stop(signal.SIGTERM) == 0
    assert any("atexit ran" in line for line in served.log())
    assert served.server.find("worker-exited", "app", code=0)


@pytest.mark.users("root")
def test_limits_requests_renews_workers(place):
    served = Served(place, limits={"requests": 5}, processes={"max": 2, "spare": 2})
    pids = {json.loads(served.ask("/state")[2])["pid"] for _ in range(40)}
    assert len(pids) >= 8
    assert not served.server.find("application-failed")


@pytest.mark.users("root")
def test_a_hung_request_is_named(place):
    served = Served(place, limits={"timeout": 1})
    status, _, _ = served.ask("/sleep?60")
    assert status == 503
    served.wait_log("in sleep")
    clade.wait_until(lambda: served.ask("/state")[0] == 200, 20, "another worker")
